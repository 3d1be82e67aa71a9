import { describe, expect, it } from "vitest";
import { crashReport, exceptionName, modeName } from "../../../src/cli/crash-report.js";
import { lastInstructions } from "../../../src/cli/history.js";
import { Machine } from "../../../src/index.js";
import { NOP, machineWith } from "../guest-code.js";

const FLAT_CODE32 = 0xc09b;
const CODE64 = 0xa09b;
const CODE16 = 0x009b;

describe("modeName", () => {
  // CR0, EFER, RFLAGS, rights of CS
  it.each([
    [0x10n, 0n, 0x2n, CODE16, "real mode"],
    [0x11n, 0n, 0x20002n, CODE16, "virtual-8086 mode"],
    [0x11n, 0n, 0x2n, CODE16, "protected mode, 16 bit"],
    [0x11n, 0n, 0x2n, FLAT_CODE32, "protected mode, 32 bit"],
    [0x80000011n, 0x500n, 0x2n, CODE64, "64-bit mode"],
    [0x80000011n, 0x500n, 0x2n, FLAT_CODE32, "compatibility mode, 32 bit"],
    [0x80000011n, 0x500n, 0x2n, CODE16, "compatibility mode, 16 bit"],
  ])(
    "of CR0 %d, EFER %d, RFLAGS %d, CS rights %i is %s",
    async (cr0, efer, rflags, accessRights, name) => {
      const machine = await Machine.create({ memoryBytes: 0x10000 });
      const [cpu] = machine.vcpus;
      cpu!.setSegment("cs", { accessRights });
      cpu!.control.efer = efer;
      cpu!.control.cr0 = cr0;
      cpu!.rflags = rflags;
      expect(modeName(cpu!)).toBe(name);
    },
  );
});

describe("exceptionName", () => {
  it.each([
    [0, "#DE (0)"],
    [2, "NMI (2)"],
    [8, "#DF (8)"],
    [13, "#GP (13)"],
    [14, "#PF (14)"],
    [0x40, "vector (64)"],
  ])("of %i is %s", (vector, name) => {
    expect(exceptionName(vector)).toBe(name);
  });
});

describe("crashReport", () => {
  const code = [0xb8, 0x34, 0x12, NOP, 0x0f, 0x0b]; // mov ax, 0x1234; nop; ud2

  async function crash() {
    const machine = await machineWith(code, { apicIds: [0x23] });
    machine.vcpus[0]!.idtr = { base: 0n, limit: 0 };
    return machine;
  }

  it("says where, in which mode and on which way the CPU died", async () => {
    const machine = await crash();
    machine.run();
    const report = crashReport(machine, machine.vcpus[0]!, []).join("\n");
    expect(report).toContain("Triple fault on CPU 0x23 in real mode, CPL 0");
    expect(report).toContain("at 0000:00007c04: 0f 0b");
    expect(report).toMatch(/the delivery of #\w\w \(\d+\) raised #\w\w \(\d+\)/);
    expect(report).toMatch(/IVT entry \d+ lies outside the table/);
    expect(report).toContain("rax 0000000000001234");
    expect(report).toMatch(/cs +0000 +base 0000000000000000 +limit 0000ffff +rights 0009b/);
  });

  it("shows the last instructions of a run by repeating it", async () => {
    const machine = await crash();
    const { instructions } = machine.run();
    const history = lastInstructions(await crash(), instructions, 2);
    expect(history.map(({ apicId, rip, bytes }) => [apicId, rip, bytes[0]])).toEqual([
      [0x23, 0x7c00n, 0xb8],
      [0x23, 0x7c03n, NOP],
    ]);
    const report = crashReport(machine, machine.vcpus[0]!, history).join("\n");
    expect(report).toContain("CPU 0x23  0000:00007c03  90 0f 0b");
  });

  it("shows the gate that failed in protected mode", async () => {
    const machine = await crash();
    const [cpu] = machine.vcpus;
    cpu!.control.cr0 |= 1n;
    cpu!.idtr = { base: 0x1000n, limit: 0x7ff };
    machine.writeMemory(0x1000 + 8 * 8, Uint8Array.of(0x78, 0x56, 0x08, 0, 0, 0x0e, 0x34, 0x12)); // not present
    expect(machine.run().reason).toBe("shutdown");
    const report = crashReport(machine, cpu!, []).join("\n");
    expect(report).toContain("IDT entry 8: 0008:12345678, type 0e, DPL 0, not present");
  });
});
