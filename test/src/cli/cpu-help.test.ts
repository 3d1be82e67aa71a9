/** `--cpu` on the command line. */
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { CPU_FEATURES } from "../../../src/cpu-features.js";
import { CPU_MODELS } from "../../../src/cpu-models.js";

const MAIN = new URL("../../../dist/src/cli/main.js", import.meta.url).pathname;
const HELLO = new URL("../../../guests/hello.bin", import.meta.url).pathname;

function x2vm(...args: string[]) {
  const { stdout, stderr, status } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: "utf8",
  });
  return { stdout, stderr, status };
}

describe("--cpu help", () => {
  it.each(["run", "diff"])("of %s lists models and features, needs no image", (command) => {
    const { stdout, stderr, status } = x2vm(command, "--cpu", "help");
    expect([stderr, status]).toEqual(["", 0]);
    for (const { name, brand } of CPU_MODELS) {
      expect(stdout).toMatch(new RegExp(`^${name} `, "m"));
      expect(stdout.replaceAll(/\s+/g, " ")).toContain(`"${brand}"`);
    }
    const words = new Set(stdout.split(/[\s,.]+/));
    for (const { name } of CPU_FEATURES) expect(words).toContain(name);
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
  });
});

describe("--cpu", () => {
  it("runs a guest on another CPU", () => {
    expect(x2vm("run", HELLO, "--cpu", "qemu64,+popcnt").status).toBe(x2vm("run", HELLO).status);
  });

  it("refuses what there is not, with a sentence and exit code 2", () => {
    const { stderr, status } = x2vm("run", HELLO, "--cpu", "pentium");
    expect(stderr).toBe(
      'x2vm: There is no CPU model "pentium". The models are x2vm, kvm64, qemu64, x86-64-v2.\n',
    );
    expect(status).toBe(2);
  });
});
