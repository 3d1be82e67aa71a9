/** IA32_APIC_BASE: transitions between modes and what each keeps. */
import { beforeEach, describe, expect, it } from "vitest";
import { VCPU_LAPIC } from "../../../assembly/abi.js";
import { Apics } from "../../support/apics.js";

const apics = await Apics.create();
const VALUES = { off: 0xfee00000n, x: 0xfee00800n, x2: 0xfee00c00n, extd: 0xfee00400n } as const;
type State = "off" | "x" | "x2";

/** Brings a CPU to a mode as a host does. */
function inMode(state: State): number {
  const cpu = apics.addFresh(0x123);
  if (!apics.hostBase(cpu, VALUES[state])) throw new Error(state);
  return cpu;
}

beforeEach(() => {
  apics.clear();
});

describe("APIC_BASE by the guest", () => {
  it.each<[State, keyof typeof VALUES, boolean]>([
    ["off", "off", true],
    ["off", "x", true],
    ["off", "x2", false],
    ["off", "extd", false],
    ["x", "off", true],
    ["x", "x", true],
    ["x", "x2", true],
    ["x", "extd", false],
    ["x2", "off", true],
    ["x2", "x", false],
    ["x2", "x2", true],
    ["x2", "extd", false],
  ])("from %s to %s: %s", (from, to, allowed) => {
    const cpu = inMode(from);
    expect(apics.setMsr(cpu, 0x1b, VALUES[to])).toBe(allowed ? "ok" : "#GP");
    expect(apics.msr(cpu, 0x1b)).toBe(allowed ? VALUES[to] : VALUES[from]);
  });

  it.each([0, 1, 2, 3, 4, 5, 6, 7, 9, 40, 51, 63])("faults on reserved bit %i", (bit) => {
    expect(apics.setMsr(inMode("x"), 0x1b, VALUES.x | (1n << BigInt(bit)))).toBe("#GP");
  });

  it.each([
    ["kvm", 39, "ok"],
    ["kvm,maxPhyAddr=46", 45, "ok"],
    ["kvm,maxPhyAddr=36", 35, "ok"],
    ["kvm,maxPhyAddr=36", 36, "#GP"],
    ["kvm,maxPhyAddr=52", 51, "ok"],
  ])("under %s answers address bit %i with %s", (policy, bit, answer) => {
    apics.clear(policy);
    expect(apics.setMsr(inMode("x"), 0x1b, VALUES.x | (1n << BigInt(bit)))).toBe(answer);
  });

  it("refuses EXTD where the CPU has no x2APIC mode", () => {
    apics.clear("kvm,x2apic=off");
    expect(apics.setMsr(inMode("x"), 0x1b, VALUES.x2)).toBe("#GP");
  });

  it("lets the BSP bit be written freely", () => {
    const cpu = inMode("x");
    expect(apics.setMsr(cpu, 0x1b, VALUES.x | 0x100n)).toBe("ok");
    expect(apics.msr(cpu, 0x1b)).toBe(VALUES.x | 0x100n);
  });
});

describe("APIC_BASE by the host", () => {
  it.each<[State, keyof typeof VALUES, boolean]>([
    ["off", "x2", true],
    ["x2", "x", true],
    ["x", "extd", false],
    ["x2", "extd", false],
  ])("from %s to %s: %s", (from, to, allowed) => {
    expect(apics.hostBase(inMode(from), VALUES[to])).toBe(allowed);
  });

  it("writes the present value back whatever it is", () => {
    const cpu = inMode("x2");
    expect(apics.setMsr(cpu, 0x1b, VALUES.x2)).toBe("ok");
  });
});

describe("a change of mode", () => {
  it("brings the 8-bit ID of power-up back when xAPIC mode is entered", () => {
    const cpu = inMode("x");
    apics.write(cpu, 0x20, 0x77000000);
    apics.setMsr(cpu, 0x1b, VALUES.off);
    apics.setMsr(cpu, 0x1b, VALUES.x);
    expect(apics.read(cpu, 0x20)).toBe(0x23000000);
    apics.write(cpu, 0x20, 0x77000000);
    apics.setMsr(cpu, 0x1b, VALUES.x2);
    apics.hostBase(cpu, VALUES.x);
    expect(apics.read(cpu, 0x20)).toBe(0x23000000);
  });

  it("leaves the other registers as they were, disabled in between or not", () => {
    const cpu = inMode("x");
    apics.write(cpu, 0xf0, 0x1ee);
    apics.write(cpu, 0x80, 0x30);
    apics.write(cpu, 0xd0, 0x44000000);
    apics.send(cpu, 0x23, { vector: 0x91 });
    apics.setMsr(cpu, 0x1b, VALUES.off);
    apics.setMsr(cpu, 0x1b, VALUES.x);
    expect([0xf0, 0x80, 0xd0, 0x240].map((offset) => apics.read(cpu, offset))).toEqual([
      0x1ee, 0x30, 0x44000000, 0x20000,
    ]);
  });

  it("derives LDR on the way to x2APIC mode, and leaves it behind on the way back", () => {
    const cpu = inMode("x");
    apics.write(cpu, 0xd0, 0x44000000);
    apics.setMsr(cpu, 0x1b, VALUES.x2);
    expect(apics.msr(cpu, 0x80d)).toBe(0x120008n);
    apics.setMsr(cpu, 0x1b, VALUES.off);
    apics.setMsr(cpu, 0x1b, VALUES.x);
    expect(apics.read(cpu, 0xd0)).toBe(0x120008);
  });

  it("does not carry ICR high into x2APIC mode", () => {
    const cpu = inMode("x");
    apics.write(cpu, 0x310, 0x23000000);
    apics.write(cpu, 0x300, 0x40044);
    apics.setMsr(cpu, 0x1b, VALUES.x2);
    expect(apics.msr(cpu, 0x830)).toBe(0x40044n);
    apics.setMsr(cpu, 0x830, 0x99_00040045n);
    apics.hostBase(cpu, VALUES.x);
    expect(apics.read(cpu, 0x310)).toBe(0x23000000);
  });

  it("holds interrupts while disabled and delivers them afterwards", () => {
    const cpu = apics.add(5, { mode: "x" });
    apics.send(cpu, 5, { vector: 0x91 });
    apics.setMsr(cpu, 0x1b, VALUES.off);
    expect(apics.x.apicHighestPending(cpu)).toBe(-1);
    expect(apics.send(cpu, 5, { vector: 0x92 })).toEqual([]);
    apics.setMsr(cpu, 0x1b, VALUES.x);
    expect(apics.x.apicAcknowledge(cpu)).toBe(0x91);
  });
});

describe("the register page", () => {
  /** Guest-physical page of the registers, from the vCPU record: the field before `monitorAddress`. */
  const VCPU_APIC_PAGE = 240;
  const page = (cpu: number): bigint =>
    (BigInt(apics.field(cpu, VCPU_APIC_PAGE + 4)) << 32n) |
    BigInt(apics.field(cpu, VCPU_APIC_PAGE));
  const NONE = 0xffffffffffffffffn;

  it("moves with the base", () => {
    const cpu = inMode("x");
    expect(VCPU_APIC_PAGE).toBeLessThan(VCPU_LAPIC);
    expect(page(cpu)).toBe(0xfee00000n);
    apics.setMsr(cpu, 0x1b, 0x1_23456800n);
    expect(page(cpu)).toBe(0x1_23456000n);
  });

  it.each([
    ["kvm", "x2", 0xfee00000n],
    ["kvm", "off", 0xfee00000n],
    ["kvm,mmioHole=off", "x2", NONE],
    ["kvm,mmioHole=off", "off", NONE],
    ["kvm,mmioHole=off", "x", 0xfee00000n],
  ] as const)("under %s in mode %s is %i", (policy, mode, want) => {
    apics.clear(policy);
    expect(page(inMode(mode))).toBe(want);
  });

  it("leaves RAM alone where a closed page would cover it", () => {
    const cpu = inMode("x");
    apics.setMsr(cpu, 0x1b, 0x1000n); // disabled, in guest RAM
    expect(page(cpu)).toBe(NONE);
  });
});
