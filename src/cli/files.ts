/** Files that the user names. */
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { basename } from "node:path";
import type { BootModule } from "../index.js";
import { X2vmError } from "../errors.js";

const STANDARD_INPUT = 0;
/** Characters written at once. */
const CHUNK = 1 << 16;

/** @param path - "-" is standard input @throws X2vmError FILE with a sentence for the user */
export function readUserFile(path: string | URL): Uint8Array {
  try {
    return readFileSync(path === "-" ? STANDARD_INPUT : path);
  } catch (error) {
    throw new X2vmError("FILE", `${String(path)}: ${reason(error)}.`, { cause: error });
  }
}

/** @throws X2vmError FILE with a sentence for the user */
export function writeUserFile(path: string, bytes: Uint8Array): void {
  try {
    writeFileSync(path, bytes);
  } catch (error) {
    throw new X2vmError("FILE", `${path}: ${reason(error)}.`, { cause: error });
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

/** A text file that is written line by line, and there before the first. */
export class LineFile {
  readonly #descriptor: number;
  #pending = "";

  /** @throws X2vmError FILE */
  constructor(path: string) {
    try {
      this.#descriptor = openSync(path, "w");
    } catch (error) {
      throw new X2vmError("FILE", `${path}: ${reason(error)}.`, { cause: error });
    }
  }

  write(line: string): void {
    this.#pending += `${line}\n`;
    if (this.#pending.length >= CHUNK) this.#flush();
  }

  /** A character, 0..255, of text whose lines end where it says. */
  put(byte: number): void {
    this.#pending += String.fromCharCode(byte);
    if (this.#pending.length >= CHUNK) this.#flush();
  }

  close(): void {
    this.#flush();
    closeSync(this.#descriptor);
  }

  #flush(): void {
    writeSync(this.#descriptor, this.#pending);
    this.#pending = "";
  }
}

function reason(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EACCES") return "no permission";
  if (code === "EISDIR") return "it is a directory";
  return error instanceof Error ? error.message : String(error);
}
