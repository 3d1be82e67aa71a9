/** The Linux benchmark's table, from made-up times. */
import { describe, expect, it } from "vitest";
import { linuxRecord, linuxTable, stageLines } from "../../../src/bench/linux-report.js";

const sample = (bootWallMs: number, bootCpuMs: number, addWallMs: number) => ({
  bootWallMs,
  bootCpuMs,
  addWallMs,
  addCpuMs: 100,
});
const stages = [
  { kind: "added", wallMs: 0.5, virtualMs: 0 },
  { kind: "online", wallMs: 250, virtualMs: 60 },
] as const;
const RESULT = {
  cpus: 4,
  here: [3000, 2000, 4000].map((ms) => ({
    ...sample(ms, 2000, 400),
    instructions: 400e6,
    stages,
  })),
  there: new Map([["QEMU", [sample(6000, 1000, 500)]]]),
};
const cellsOf = (line: string) => line.split("│").map((cell) => cell.trim());

describe("linuxTable", () => {
  const [, , , here, there] = linuxTable([RESULT]).split("\n").map(cellsOf);

  it("shows medians, ranges and speed of x2vm", () => {
    expect(here!.slice(1, 10)).toEqual([
      "4",
      "x2vm",
      "3.00",
      "2.00 - 4.00",
      "2.00",
      "400",
      "200",
      "0.40",
      "0.10",
    ]);
  });

  it("compares with the peer by wall clock and by CPU time", () => {
    expect(there!.slice(1, 4)).toEqual(["4", "QEMU", "6.00"]);
    expect(there!.slice(10, 12)).toEqual(["0.50 x", "2.00 x"]);
  });
});

describe("stageLines", () => {
  it("names each stage with its time since the request", () => {
    const [title, first, last] = stageLines(RESULT);
    expect(title).toBe("A CPU added to 4, from the request on x2vm:");
    expect(first).toMatch(/request +0\.5 ms, virtual 0\.000 ms/);
    expect(last).toMatch(/online +250\.0 ms, virtual 60\.000 ms/);
  });

  it("says nothing when no CPU was added", () => {
    const here = RESULT.here.map((each) => ({ ...each, stages: [] }));
    expect(stageLines({ ...RESULT, here })).toEqual([]);
  });
});

describe("linuxRecord", () => {
  it("leaves out what was not measured", () => {
    const there = new Map([["QEMU", [{ ...sample(1, 2, 3), bootCpuMs: undefined }]]]);
    expect(linuxRecord({ ...RESULT, there }).peers["QEMU"]!.bootCpuMs).toBeUndefined();
  });
});
