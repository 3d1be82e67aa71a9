/**
 * Kernels to test with: the one that X2VM_KERNEL names, or what Debian's package archive has, kept in the user's cache folder.
 *
 * Nothing here may make a test fail: without a kernel the reason is printed, and the tests are skipped.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    /** Paths; the first is what all tests run. */
    kernels: string[];
  }
}

/** Depends on the newest kernel for virtual machines, in each release of Debian and its backports. */
const PACKAGE = "linux-image-cloud-amd64";
/** The stable kernel, and the one of the backports. */
const MOST_KERNELS = 2;
const QUERY_MS = 20_000;
const DOWNLOAD_MS = 180_000;
const UNPACK_MS = 60_000;
const KERNEL = /^vmlinuz-/;

export default function setup(project: TestProject): void {
  const chosen = process.env["X2VM_KERNEL"];
  if (chosen !== undefined && chosen !== "") {
    project.provide("kernels", [chosen]);
    return;
  }
  const kernels: string[] = [];
  let reason = "";
  try {
    for (const name of kernelPackages()) kernels.push(kernelOf(name));
  } catch (error) {
    reason = error instanceof Error ? error.message.split("\n")[0]! : String(error);
  }
  if (kernels.length === 0) {
    console.warn(
      `Linux is not tested: no kernel (${reason}). X2VM_KERNEL=/boot/vmlinuz-... names one.`,
    );
  }
  project.provide("kernels", kernels);
}

/** The packages with kernels that apt knows, one of each version of PACKAGE, the candidate first. */
function kernelPackages(): string[] {
  const text = run("apt-cache", ["show", PACKAGE], QUERY_MS);
  const names = [...text.matchAll(/^Depends:.*?\b(linux-image-\d\S*)/gm)].map((match) => match[1]!);
  const newest = [...new Set(names.map((name) => name.replace(/,$/, "")))];
  // Of one release, the newest is enough.
  const releases = new Map(newest.toReversed().map((name) => [/\d+\.\d+/.exec(name)![0], name]));
  const found = [...releases.values()].toReversed().slice(0, MOST_KERNELS);
  if (found.length === 0) throw new Error(`apt knows no ${PACKAGE}`);
  return found;
}

/** The kernel of a package, from the cache if it is there. */
function kernelOf(name: string): string {
  const cache = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "x2vm", "linux");
  const kept = join(cache, name.replace("linux-image-", "vmlinuz-"));
  mkdirSync(cache, { recursive: true });
  if (readdirSync(cache).includes(kept.slice(cache.length + 1))) return kept;
  console.log(`Getting ${name} ...`);
  const folder = mkdtempSync(join(tmpdir(), "x2vm-kernel-"));
  try {
    run("apt-get", ["-o", "APT::Sandbox::User=root", "download", name], DOWNLOAD_MS, folder);
    const archive = readdirSync(folder).find((file) => file.endsWith(".deb"))!;
    const files = execFileSync("dpkg-deb", ["--fsys-tarfile", archive], {
      cwd: folder,
      timeout: UNPACK_MS,
      maxBuffer: 2 ** 30,
    });
    writeFileSync(join(folder, "files.tar"), files);
    run("tar", ["-xf", "files.tar", "--wildcards", "./boot/vmlinuz-*"], UNPACK_MS, folder);
    const boot = join(folder, "boot");
    copyFileSync(
      join(
        boot,
        readdirSync(boot).find((file) => KERNEL.test(file))!,
      ),
      kept,
    );
    return kept;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @throws Error with one sentence when the program is not there, fails or takes too long */
function run(program: string, args: readonly string[], timeout: number, cwd = "."): string {
  try {
    return execFileSync(program, args, { cwd, timeout, encoding: "utf8", stdio: "pipe" });
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: string };
    if (code === "ENOENT") throw new Error(`there is no ${program} here`, { cause: error });
    if (code === "ETIMEDOUT")
      throw new Error(`${program} took more than ${timeout / 1000} s`, { cause: error });
    const said = stderr?.trim().split("\n").at(-1) || "it failed";
    throw new Error(`${program} ${args.at(-1)}: ${said}`, { cause: error });
  }
}
