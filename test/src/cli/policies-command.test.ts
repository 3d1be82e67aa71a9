/** `x2vm policies` against the tables of presets and knobs. */
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { KNOBS } from "../../../src/knobs.js";
import { PRESETS, parsePolicy } from "../../../src/policies.js";

const MAIN = new URL("../../../dist/src/cli/main.js", import.meta.url).pathname;

function policies(...args: string[]): string {
  const { stdout, status } = spawnSync(process.execPath, [MAIN, "policies", ...args], {
    encoding: "utf8",
  });
  expect(status).toBe(0);
  return stdout;
}

describe("x2vm policies", () => {
  const text = policies();
  // names, values and sentences wrap at spaces
  const flat = text.replaceAll(/\s+/g, " ");

  it("prints every preset and every knob with its meaning", () => {
    for (const { name, description } of PRESETS) expect(flat).toContain(`${name} ${description}`);
    for (const { name, meaning } of KNOBS) {
      expect(text).toMatch(new RegExp(`^${name} `, "m"));
      expect(flat).toContain(meaning);
    }
  });

  it("names the values, and the presets that differ from kvm", () => {
    expect(flat).toContain("ids32 on (of off, on); kvm-f0 off ");
    expect(flat).toContain("high hack (of hack, drop, truncate); kvm-legacy drop; knl truncate;");
    expect(flat).toContain("periodMin 200000 (of 0 to 4294967295); knl 0; strict8 0 ");
  });

  it("keeps to 100 columns", () => {
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  it("gives as JSON what can be written back as a policy", () => {
    const { presets, knobs } = JSON.parse(policies("--json"));
    expect(knobs.map(({ name }: { name: string }) => name)).toEqual(KNOBS.map(({ name }) => name));
    for (const { name, knobs: values } of presets) {
      const written = Object.entries(values).map(([knob, value]) => `${knob}=${value}`);
      expect(parsePolicy(["kvm", ...written].join(",")).knobs).toEqual(parsePolicy(name).knobs);
    }
    expect(knobs.find(({ name }: { name: string }) => name === "slot")).toMatchObject({
      values: ["scan", "map-both", "map-mode"],
      default: "map-both",
      differs: { "kvm-scan": "scan", "kvm-legacy": "map-mode", knl: "scan", strict8: "scan" },
    });
  });
});
