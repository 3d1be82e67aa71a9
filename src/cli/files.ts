/** Files that the user names. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { BootModule } from "../index.js";
import { X2vmError } from "../errors.js";

const STANDARD_INPUT = 0;

/** @param path - "-" is standard input @throws X2vmError FILE with a sentence for the user */
export function readUserFile(path: string | URL): Uint8Array {
  try {
    return readFileSync(path === "-" ? STANDARD_INPUT : path);
  } catch (error) {
    throw new X2vmError("FILE", `${String(path)}: ${reason(error)}.`, { cause: error });
  }
}

/** Multiboot modules as QEMU's -initrd takes them: FILE [ARGUMENTS], with commas between modules. */
export function readModules(text: string): BootModule[] {
  return text.split(",").map((each) => {
    const [path, ...words] = each.trim().split(" ");
    const bytes = readUserFile(path!);
    return { name: basename(path!), bytes, commandLine: words.join(" ") };
  });
}

function reason(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EACCES") return "no permission to read it";
  if (code === "EISDIR") return "it is a directory, not an image";
  return error instanceof Error ? error.message : String(error);
}
