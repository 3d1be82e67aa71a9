/** The experiment with Linux, as far as it goes without a kernel; test/linux plays it. */
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { linuxRows } from "../../../src/experiments/linux-hotplug.js";
import { X2vmError, PRESETS } from "../../../src/index.js";

const PROGRAM = new URL("../../../bin/x2vm.js", import.meta.url).pathname;

function x2vm(...args: string[]) {
  const { stderr, status } = spawnSync(process.execPath, [PROGRAM, "experiment", ...args], {
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
  return { stderr: stderr.trim(), status };
}

describe("the rows of the experiment with Linux", () => {
  it("name every preset, each with an outcome and a reason", () => {
    const rows = linuxRows("all");
    expect(new Set(rows.map(({ policy }) => policy))).toEqual(
      new Set(PRESETS.map(({ name }) => name)),
    );
    for (const { expected, why } of rows) {
      expect(expected).not.toHaveLength(0);
      expect(why).toBeTruthy();
    }
  });

  it("are those of one preset where one is asked for", () => {
    expect(linuxRows("knl").map(({ neighbour }) => neighbour)).toEqual([
      undefined,
      "x2APIC",
      "xAPIC",
    ]);
  });

  it("are one without an expected outcome for a preset with knobs changed", () => {
    expect(linuxRows("kvm,high=drop")).toMatchObject([
      { policy: "kvm,high=drop", expected: undefined },
    ]);
  });

  it("are none for a policy that does not exist", () => {
    expect(() => linuxRows("vmware")).toThrow(X2vmError);
  });
});

describe("x2vm experiment linux-hotplug", () => {
  it("says where to get a kernel", () => {
    const { stderr, status } = x2vm("linux-hotplug");
    expect(stderr).toMatch(/needs a Linux kernel .*\/boot .*linux-image-cloud-amd64\.$/);
    expect(status).toBe(2);
  });

  it.each<[string[], RegExp]>([
    [["--kernel", "/nowhere/vmlinuz"], /there is no such file/],
    [["--kernel", PROGRAM], /^x2vm: x2vm\.js is no Linux kernel/],
    [["--policy", "vmware"], /There is no policy "vmware"/],
  ])("refuses %j with a sentence", (args, sentence) => {
    const { stderr, status } = x2vm("linux-hotplug", ...args);
    expect(stderr).toMatch(sentence);
    expect(stderr.split("\n")).toHaveLength(1);
    expect(status).toBe(2);
  });
});
