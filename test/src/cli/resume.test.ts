/** `run --save` and `resume`: a run in two commands is the run in one. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

const PROGRAM = new URL("../../../bin/x2vm.js", import.meta.url).pathname;
const GUEST = new URL("../../../guests/hotplug.bin", import.meta.url).pathname;
const FOLDER = mkdtempSync(join(tmpdir(), "x2vm-resume-"));
const SNAPSHOT = join(FOLDER, "early.snap");
const HOTPLUG = ["--hotplug", "0x123@2ms"];

function x2vm(...args: string[]) {
  const { stdout, stderr, status } = spawnSync(process.execPath, [PROGRAM, ...args], {
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
  return { stdout, stderr, status };
}

afterAll(() => rmSync(FOLDER, { recursive: true }));

describe("x2vm run --save, x2vm resume", () => {
  it("goes on to the same end, in as many steps as one likes", () => {
    const late = join(FOLDER, "late.snap");
    const run = ["run", GUEST, "--apic-ids", "0,0x23", ...HOTPLUG, "--json"];
    const whole = x2vm(...run, "--save", `${SNAPSHOT}@1ms`);
    const rest = x2vm("resume", SNAPSHOT, ...HOTPLUG, "--save", `${late}@1.5ms`, "--json");
    const end = x2vm("resume", late, ...HOTPLUG, "--json");
    const [one, two, three] = [whole, rest, end].map(({ stdout }) => JSON.parse(stdout));
    expect(one.reason).toBe("exit");
    for (const each of [two, three]) {
      expect(each).toMatchObject({
        stateHash: one.stateHash,
        instructions: one.instructions,
        virtualNs: one.virtualNs,
        cpus: one.cpus,
      });
      expect(one.serial.endsWith(each.serial)).toBe(true);
    }
    expect(three.serial.length).toBeLessThanOrEqual(two.serial.length);
  });

  it("goes on under another policy", () => {
    const { stdout } = x2vm(
      "resume",
      SNAPSHOT,
      ...HOTPLUG,
      "--force-hotplug",
      "--policy",
      "strict8",
    );
    expect(stdout).toMatch(/FAIL/);
  });

  it.each<[string, () => string[], RegExp]>([
    [
      "a file that is not there",
      () => ["resume", join(FOLDER, "none")],
      /none: there is no such file/,
    ],
    ["another file", () => ["resume", GUEST], /This is not a snapshot of x2vm\.$/],
    [
      "half a snapshot",
      () => {
        const half = join(FOLDER, "half.snap");
        writeFileSync(half, readFileSync(SNAPSHOT).subarray(0, 9000));
        return ["resume", half];
      },
      /The snapshot is truncated: 9000 of \d+ bytes\.$/,
    ],
    ["a snapshot without a moment", () => ["run", GUEST, "--save", "x"], /boot\.snap@2s/],
    [
      "a file that cannot be written",
      () => ["run", GUEST, "--save", join(FOLDER, "no", "x@1us")],
      /no\/x: there is no such file/,
    ],
    ["an unknown policy", () => ["resume", SNAPSHOT, "--policy", "x"], /There is no policy "x"/],
  ])("refuses %s with a sentence", (_, args, sentence) => {
    const { stderr, status } = x2vm(...args());
    expect(stderr.trim()).toMatch(sentence);
    expect(stderr).not.toMatch(/ at .*:\d+:\d+/);
    expect(status).toBe(2);
  });
});
