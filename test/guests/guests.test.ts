/** The guests are what the manifest says: sources, binaries, and lines on another machine. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { GUESTS, expectedLines, readManifest, type Guest, type GuestRun } from "./manifest.js";
import { hasQemu, isInstalled, runOnQemu } from "./qemu.js";

const NASM = "nasm";
const manifest = readManifest();
const folder = fileURLToPath(GUESTS);
const read = (file: string) => readFileSync(new URL(file, GUESTS));
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** Why a binary cannot be compared with a fresh one, or undefined. */
function rebuildObstacle(): string | undefined {
  if (!isInstalled(NASM, "-v")) return "nasm is not installed";
  const [, version] = /version (\S+)/.exec(execFileSync(NASM, ["-v"], { encoding: "utf8" })) ?? [];
  if (version === manifest.nasm) return undefined;
  return `the binaries were built by NASM ${manifest.nasm}, this is ${version ?? "another"}`;
}

describe("manifest.json", () => {
  it.each(Object.entries(manifest.sources))("knows the content of %s", (file, hash) => {
    expect(sha256(read(file)), "changed without `node guests/build.mjs`").toBe(hash);
  });

  it("names every source, and no other", () => {
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
    const sources = files.filter((file) => /\.(asm|inc)$/.test(file));
    expect(Object.keys(manifest.sources)).toEqual(sources.sort());
    const used = new Set(manifest.guests.flatMap((guest) => guest.sources));
    expect([...used].sort()).toEqual(sources);
  });

  it.each(manifest.guests)("knows the content of $name.bin", ({ binary }) => {
    const bytes = read(binary.file);
    expect(bytes.length).toBe(binary.bytes);
    expect(sha256(bytes)).toBe(binary.sha256);
  });

  it.each(manifest.guests)("expects a last line of every run of $name", ({ runs }) => {
    for (const run of runs) {
      const failed = run.lines.some((line) => line.startsWith("FAIL "));
      expect(run.lines.at(-1), run.name).toBe("DONE");
      expect(run.exitCode, run.name).toBe(failed ? 3 : 1);
    }
  });
});

describe("binaries", () => {
  const obstacle = rebuildObstacle();
  for (const guest of manifest.guests) {
    const title = `${guest.name}.bin is what NASM makes of its source`;
    if (obstacle !== undefined) {
      it.skip(`${title} (skipped: ${obstacle})`, () => {});
      continue;
    }
    it(title, () => {
      const output = mkdtempSync(join(tmpdir(), "x2vm-nasm-"));
      const file = join(output, guest.binary.file);
      execFileSync(NASM, ["-f", "bin", "-o", file, `${guest.name}.asm`], { cwd: folder });
      const same = readFileSync(file).equals(read(guest.binary.file));
      rmSync(output, { recursive: true });
      expect(same, "run `node guests/build.mjs`").toBe(true);
    });
  }
});

describe("guests on QEMU", () => {
  const isMissing = !hasQemu();
  const runs = manifest.guests.flatMap((guest) => guest.runs.map((run) => [guest, run] as const));
  for (const [guest, run] of runs) {
    const title = `${guest.name}, run ${run.name}, prints the same lines`;
    const { qemu } = run;
    if ("skip" in qemu) {
      it.skip(`${title} (skipped: ${qemu.skip})`, () => {});
    } else if (isMissing) {
      it.skip(`${title} (skipped: qemu-system-x86_64 is not installed)`, () => {});
    } else {
      it(title, () => checkOnQemu(guest, run, qemu));
    }
  }
});

async function checkOnQemu(
  guest: Guest,
  run: GuestRun,
  qemu: Exclude<GuestRun["qemu"], { skip: string }>,
): Promise<void> {
  const { lines, exitCode, messages } = await runOnQemu(guest, qemu);
  const expected = expectedLines(lines, qemu.lines ?? run.lines, qemu.differs);
  expect(lines, messages).toEqual(expected);
  const failed = lines.some((line) => line.startsWith("FAIL "));
  expect(exitCode).toBe(failed ? 3 : 1);
}
