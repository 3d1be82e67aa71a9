import { beforeAll, describe, expect, it } from "vitest";
import { GPR_NAMES, Machine, SEGMENT_NAMES, type Vcpu } from "../../src/index.js";

let machine: Machine;
let cpu: Vcpu;

beforeAll(async () => {
  machine = await Machine.create({ memoryBytes: 0x10000, cpus: 2 });
  cpu = machine.vcpus[0]!;
});

describe("Vcpu after power-up", () => {
  // SDM 3A "Processor State After Reset"
  it("has the manual's segments", () => {
    expect(cpu.segment("cs")).toEqual({
      selector: 0xf000,
      base: 0xffff0000n,
      limit: 0xffff,
      accessRights: 0x9b,
    });
    for (const name of ["ds", "es", "fs", "gs", "ss"] as const) {
      expect(cpu.segment(name)).toEqual({
        selector: 0,
        base: 0n,
        limit: 0xffff,
        accessRights: 0x93,
      });
    }
    expect(cpu.gdtr).toEqual({ base: 0n, limit: 0xffff });
    expect(cpu.idtr).toEqual({ base: 0n, limit: 0xffff });
  });

  it("has the manual's registers", () => {
    expect([cpu.rip, cpu.rflags, cpu.control.cr0, cpu.cpl]).toEqual([0xfff0n, 2n, 0x60000010n, 0]);
    expect([cpu.debug.dr6, cpu.debug.dr7]).toEqual([0xffff0ff0n, 0x400n]);
    expect(cpu.fpu.mxcsr).toBe(0x1f80);
  });
});

describe("Vcpu registers", () => {
  it.each(GPR_NAMES)("%s holds 64 bits", (name) => {
    cpu.gpr[name] = 0xfedc_ba98_7654_3210n;
    expect(cpu.gpr[name]).toBe(0xfedc_ba98_7654_3210n);
    expect(machine.vcpus[1]!.gpr[name]).not.toBe(0xfedc_ba98_7654_3210n);
    cpu.gpr[name] = -1n;
    expect(cpu.gpr[name]).toBe(0xffff_ffff_ffff_ffffn);
  });

  it.each(SEGMENT_NAMES)("%s holds its hidden part", (name) => {
    const value = {
      selector: 0x1b,
      base: 0x1234_5678_9000n,
      limit: 0xffffffff,
      accessRights: 0xc0f3,
    };
    cpu.setSegment(name, value);
    expect(cpu.segment(name)).toEqual(value);
    cpu.setSegment(name, { base: 0n });
    expect(cpu.segment(name)).toEqual({ ...value, base: 0n });
  });

  it.each([0x2n, 0x246n, 0x8d7n, 0x3202n])("RFLAGS holds %d", (value) => {
    cpu.rflags = value;
    expect(cpu.rflags).toBe(value);
  });

  it("shows the privilege of SS in protected mode", () => {
    cpu.control.cr0 |= 1n;
    cpu.setSegment("ss", { accessRights: 0xc0f3 });
    expect(cpu.cpl).toBe(3);
    cpu.setSegment("ss", { accessRights: 0xc093 });
    expect(cpu.cpl).toBe(0);
  });

  it("reads and writes MSRs as the guest would", () => {
    expect(cpu.writeMsr(0xc0000102, 0xffff_8000_0000_1000n)).toBe(true); // KERNEL_GS_BASE
    expect(cpu.readMsr(0xc0000102)).toBe(0xffff_8000_0000_1000n);
    expect(cpu.writeMsr(0xc0000102, 0x8000_0000_0000_0000n)).toBe(false); // not canonical
    expect(cpu.readMsr(0xc0000102)).toBe(0xffff_8000_0000_1000n);
    expect(cpu.readMsr(0xdead)).toBeUndefined();
    expect(cpu.writeMsr(0xdead, 0n)).toBe(false);
  });

  it("holds tables with 16-bit limits", () => {
    cpu.gdtr = { base: 0xffff_8000_0000_0000n, limit: 0x7f };
    expect(cpu.gdtr).toEqual({ base: 0xffff_8000_0000_0000n, limit: 0x7f });
    expect(() => (cpu.idtr = { base: 0n, limit: 0x10000 })).toThrow(
      expect.objectContaining({ code: "BAD_OPTION" }),
    );
  });

  it("cannot be given a register that does not exist", () => {
    expect(() => ((cpu.gpr as Record<string, bigint>)["eax"] = 1n)).toThrow(TypeError);
    expect(() => cpu.segment("cr0" as "cs")).toThrow(
      expect.objectContaining({ code: "BAD_OPTION" }),
    );
  });
});

describe("Vcpu.translate", () => {
  it("follows the page tables", () => {
    cpu.control.cr0 &= ~(1n << 31n);
    expect(cpu.translate(0x1234n)).toBe(0x1234n);
    const page = new DataView(new ArrayBuffer(4096));
    page.setUint32(0, 0x83, true); // a 4 MiB page at 0
    page.setUint32(4, 0x400083, true);
    machine.writeMemory(0x4000, new Uint8Array(page.buffer));
    cpu.control.cr4 = 0x10n; // PSE
    cpu.control.cr3 = 0x4000n;
    cpu.control.cr0 = 0x80000011n;
    expect(cpu.translate(0x0001_2345n)).toBe(0x0001_2345n);
    expect(cpu.translate(0x0040_0010n)).toBe(0x0040_0010n);
    expect(cpu.translate(0x0080_0000n)).toBeUndefined();
  });
});

describe("Vcpu.fpu", () => {
  it("holds the x87 and SSE registers", () => {
    cpu.fpu.setSt(7, { significand: 0x8000_0000_0000_0001n, signExponent: 0xbfff });
    cpu.fpu.setXmm(15, (1n << 127n) | 5n);
    Object.assign(cpu.fpu, { fcw: 0x37f, fsw: 0x3800, ftw: 0x80, mxcsr: 0x1f80 });
    const last = { fop: 0x123, fip: 1n << 40n, fdp: 2n, fcs: 3, fds: 4 };
    cpu.fpu.last = last;
    expect(cpu.fpu.st(7)).toEqual({ significand: 0x8000_0000_0000_0001n, signExponent: 0xbfff });
    expect(cpu.fpu.xmm(15)).toBe((1n << 127n) | 5n);
    expect([cpu.fpu.fcw, cpu.fpu.fsw, cpu.fpu.ftw, cpu.fpu.mxcsr]).toEqual([
      0x37f, 0x3800, 0x80, 0x1f80,
    ]);
    expect(cpu.fpu.last).toEqual(last);
  });

  it.each([8, -1, 0.5])("refuses x87 register %d", (n) => {
    expect(() => cpu.fpu.st(n)).toThrow(expect.objectContaining({ code: "BAD_OPTION" }));
  });
});
