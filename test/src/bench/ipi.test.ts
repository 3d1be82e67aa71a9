/** The IPI benchmark: every pattern runs in both modes, and what the guest sees is the same every time. */
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { ipiCsv } from "../../../src/bench/ipi-report.js";
import { IPI_ROWS, countOf, type ApicMode } from "../../../src/bench/ipi-rows.js";
import { measureIpi, obstacle } from "../../../src/bench/ipi.js";

const imagePath = fileURLToPath(new URL("../../../guests/ipi-bench.bin", import.meta.url));
const OPTIONS = { imagePath, repetitions: 1, policy: "kvm", peers: [] };
const MODES: readonly ApicMode[] = ["x2apic", "xapic"];
const CPUS = 3;
/** Few interrupts: a test is no benchmark. */
const rows = IPI_ROWS.map((row) => ({ ...row, inAll: 60 }));
const cases = rows
  .flatMap((row) => MODES.map((mode) => ({ row, mode, name: row.name })))
  .filter(({ row, mode }) => obstacle({ row, mode, cpus: CPUS }) === undefined);

describe("IPI patterns", () => {
  it.each(cases)("$name, $mode: all interrupts arrive", async ({ row, mode }) => {
    const result = await measureIpi({ row, cpus: CPUS, mode }, OPTIONS);
    const asked = countOf(row, CPUS) * row.each(CPUS);
    expect(result.interrupts).toBeGreaterThanOrEqual(asked);
    if (row.name === "dry") return;
    expect(result.latency!.samples).toBeGreaterThan(0);
    expect(result.distribution.at(-1)).toEqual({ ns: result.latency!.most, part: 1 });
  });

  it("see the same instructions and latencies in every run", async () => {
    const each = { row: rows.find(({ name }) => name === "ring")!, cpus: CPUS, mode: MODES[0]! };
    const first = await measureIpi(each, OPTIONS);
    const second = await measureIpi(each, OPTIONS);
    expect(second.instructionsEach).toBe(first.instructionsEach);
    expect(second.latency).toEqual(first.latency);
  });

  it("come as CSV with a name for each column", async () => {
    const result = await measureIpi({ row: rows[1]!, cpus: 1, mode: "xapic" }, OPTIONS);
    const [names, values, end] = ipiCsv([result]).split("\n");
    expect(names).toMatch(/^pattern,apic,cpus,interrupts,/);
    expect(values).toMatch(/^self,xapic,1,60,/);
    expect(values!.split(",")).toHaveLength(names!.split(",").length);
    expect(end).toBe("");
  });
});

describe("a machine without PV_SEND_IPI", () => {
  it("cannot run that row", async () => {
    const row = rows.find(({ name }) => name === "pv-send-ipi")!;
    const { kvmFeatures: _, ...without } = row;
    const measured = measureIpi({ row: without, cpus: CPUS, mode: "x2apic" }, OPTIONS);
    await expect(measured).rejects.toThrow("needs another mode, or KVM's hypercall");
  });
});

describe("obstacle", () => {
  it.each([
    { name: "self", cpus: 1, mode: "xapic", expected: undefined },
    { name: "ring", cpus: 1, mode: "xapic", expected: "needs 2 CPUs" },
    { name: "ring", cpus: 255, mode: "xapic", expected: undefined },
    { name: "ring", cpus: 256, mode: "xapic", expected: "xAPIC mode ends at 255 CPUs" },
    { name: "ring", cpus: 256, mode: "x2apic", expected: undefined },
    { name: "flat", cpus: 4, mode: "x2apic", expected: "is for xapic mode" },
    { name: "x2cluster", cpus: 4, mode: "xapic", expected: "is for x2apic mode" },
  ] as const)("of $name with $cpus CPUs in $mode mode is: $expected", (each) => {
    const row = IPI_ROWS.find(({ name }) => name === each.name)!;
    expect(obstacle({ row, cpus: each.cpus, mode: each.mode })).toBe(each.expected);
  });
});
