/**
 * When interrupts and NMIs are taken: the shadows of STI and MOV SS, NMIs until IRET, HLT; and the interrupt table and
 * IRET of real-address mode.
 * Source: SDM 3A "Masking Maskable Hardware Interrupts", "Handling Multiple NMIs", SDM 2 "IRET/IRETD/IRETQ", "STI".
 */
import { describe, expect, it } from "vitest";
import type { Machine, Vcpu } from "../../../src/index.js";
import { BUILDS, hex, type Build } from "../../support/machine.js";
import {
  CODE,
  DATA,
  inInterruptHandler,
  interrupt,
  worldOf,
  type WorldName,
} from "../../support/worlds.js";

const IF = 0x200n;
const DF_VECTOR = 8;

async function at(build: Build, name: WorldName, code: string): Promise<[Machine, Vcpu]> {
  const target = await worldOf(build, name, hex(code));
  return [target, target.vcpus[0]!];
}

/** Steps until the interrupt handler is entered. @returns instructions of the program before that */
function stepsBefore(target: Machine, vcpu: Vcpu, most = 8): number {
  for (let steps = 0; steps < most; steps++) {
    target.step(0);
    if (inInterruptHandler(vcpu)) return steps;
  }
  return -1;
}

type Row = [what: string, name: WorldName, code: string, isEnabled: boolean, steps: number];
const WAITS: Row[] = [
  ["at once with IF", "64-bit ring 0", "90 90 90", true, 0],
  ["never without IF", "64-bit ring 0", "90 90 90 90 90 90 90 90", false, -1],
  ["after the instruction behind STI", "64-bit ring 0", "fb 90 90", false, 2],
  ["after the instruction behind STI, in real-address mode", "real", "fb 90 90", false, 2],
  ["after the instruction behind the first of two STIs", "32-bit ring 0", "fb fb 90 90", false, 2],
  ["not between STI and CLI", "64-bit ring 0", "fb fa 90 90 90 90 90 90", false, -1],
  ["after HLT behind STI", "64-bit ring 0", "fb f4 90", false, 2],
  ["behind POPF at once", "64-bit ring 0", "9c 58 80 cc 02 50 9d 90 90", false, 5],
];

describe.each(BUILDS)("a pending interrupt is taken (%s)", (build) => {
  it.each(WAITS)("%s", async (_, name, code, isEnabled, steps) => {
    const [target, vcpu] = await at(build, name, code);
    if (!isEnabled) vcpu.rflags &= ~IF;
    interrupt(target, "interrupt");
    expect(stepsBefore(target, vcpu)).toBe(steps);
  });
});

type ShadowRow = [what: string, name: WorldName, code: string, steps: number];
/** The interrupt comes while the first or second instruction has just run. */
const SHADOWS: ShadowRow[] = [
  ["MOV SS", "32-bit ring 0", "8e d0 90 90", 1],
  ["POP SS", "32-bit ring 0", "17 90 90", 1],
  ["MOV SS of real-address mode", "real", "8e d0 90 90", 1],
  ["MOV SS of 64-bit mode", "64-bit ring 0", "8e d0 90 90", 1],
  ["not MOV DS", "32-bit ring 0", "8e d8 90 90", 0],
  ["not LSS", "32-bit ring 0", "0f b2 23 90 90", 0],
];

describe.each(BUILDS)("the instruction behind it runs before an interrupt or NMI (%s)", (build) => {
  const rows = SHADOWS.flatMap((row) =>
    (["interrupt", "nmi"] as const).map((kind) => [...row, kind] as const),
  );
  it.each(rows)("%s, %s", async (_, name, code, steps, kind) => {
    const [target, vcpu] = await at(build, name, code);
    const selector = BigInt(vcpu.segment("ss").selector);
    vcpu.gpr.rax = selector;
    const stack = new Uint8Array(8);
    const view = new DataView(stack.buffer);
    if (code.startsWith("0f b2")) {
      view.setUint32(0, Number(vcpu.gpr.rsp), true);
      view.setUint16(4, Number(selector), true);
      target.writeMemory(DATA + 0x100, stack);
    } else {
      view.setUint16(0, Number(selector), true);
      target.writeMemory(DATA + 0x7800, stack);
    }
    target.step(0);
    interrupt(target, kind);
    expect(stepsBefore(target, vcpu)).toBe(steps);
  });
});

describe.each(BUILDS)("NMIs (%s)", (build) => {
  it("wait for the IRET of the one before, and one is kept", async () => {
    const [target, vcpu] = await at(build, "64-bit ring 0", "90 90 90 90");
    interrupt(target, "nmi");
    expect(stepsBefore(target, vcpu)).toBe(0);
    interrupt(target, "nmi");
    // The handler goes to its end; behind its IRET the second one comes before any instruction of the program.
    while (inInterruptHandler(vcpu)) target.step(0);
    expect(vcpu.rip).toBe(BigInt(CODE));
    expect(stepsBefore(target, vcpu)).toBe(0);
    while (inInterruptHandler(vcpu)) target.step(0);
    expect(stepsBefore(target, vcpu)).toBe(-1);
  });

  it("are let in by an IRET that faults", async () => {
    const [target, vcpu] = await at(build, "64-bit ring 0", "48 cf");
    interrupt(target, "nmi");
    target.step(0);
    interrupt(target, "nmi");
    vcpu.rip = BigInt(CODE);
    vcpu.gpr.rsp = 0x400000n; // nothing there
    expect(target.step(0).exception?.vector).toBe(14);
    expect(stepsBefore(target, vcpu, 1)).toBe(0);
  });

  it("come without IF and end HLT", async () => {
    const [target, vcpu] = await at(build, "64-bit ring 0", "f4 90");
    vcpu.rflags &= ~IF;
    target.step(0);
    expect(vcpu.runState).toBe("halted");
    interrupt(target, "nmi");
    expect(stepsBefore(target, vcpu)).toBe(0);
  });
});

describe.each(BUILDS)("the interrupt table of real-address mode (%s)", (build) => {
  const rows: [what: string, limit: number, vector: number][] = [
    ["a vector inside the limit", 0x3ff, 3],
    ["a vector whose last byte is the limit", 3 * 4 + 3, 3],
    ["#DF for INT3 beyond the limit when #GP is beyond it too", 3 * 4 + 2, DF_VECTOR],
  ];
  it.each(rows)("%s", async (_, limit, vector) => {
    const [target, vcpu] = await at(build, "real", "cc");
    vcpu.idtr = { base: 0n, limit };
    const { reason, exception } = target.step(0);
    if (vector === DF_VECTOR) expect(reason).toBe("shutdown");
    else expect(exception?.vector).toBe(vector);
  });

  it("may lie anywhere", async () => {
    const [target, vcpu] = await at(build, "real", "cc");
    target.writeMemory(0x30000 + 3 * 4, hex("34 02 00 20"));
    vcpu.idtr = { base: 0x30000n, limit: 0x3ff };
    target.step(0);
    expect([vcpu.segment("cs").selector, vcpu.rip]).toEqual([0x2000, 0x234n]);
  });
});

/** Code, flags before, the frame's flags, flags after. */
type IretRow = [
  what: string,
  name: WorldName,
  code: string,
  before: bigint,
  image: bigint,
  after: bigint,
];
const IRETS: IretRow[] = [
  ["IRET keeps the upper flags", "real", "cf", 0x240202n, 0x7ed7n, 0x247ed7n],
  ["IRETD loads them", "real", "66 cf", 0x2n, 0x247ed7n, 0x247ed7n],
  ["IRETD clears them", "real", "66 cf", 0x240202n, 0x2n, 0x2n],
  ["IRET of V86 keeps IOPL", "v86", "cf", 0x23202n, 0x4ed7n, 0x27ed7n],
  ["IRETD of V86 keeps IOPL and VM", "v86", "66 cf", 0x23202n, 0x204ed7n, 0x227ed7n],
];

describe.each(BUILDS)("IRET of real-address and virtual-8086 mode (%s)", (build) => {
  it.each(IRETS)("%s", async (_, name, code, before, image, after) => {
    const [target, vcpu] = await at(build, name, code);
    const size = code.startsWith("66") ? 4 : 2;
    const frame = new Uint8Array(size * 3);
    const view = new DataView(frame.buffer);
    [0x40n, BigInt(CODE >> 4), image].forEach((value, i) => {
      if (size === 4) view.setUint32(i * 4, Number(value), true);
      else view.setUint16(i * 2, Number(value & 0xffffn), true);
    });
    target.writeMemory(DATA + 0x7800, frame);
    vcpu.rflags = before;
    target.step(0);
    expect(vcpu.rip).toBe(0x40n);
    expect(vcpu.rflags).toBe(after);
    expect(vcpu.gpr.rsp).toBe(0x7800n + BigInt(size * 3));
  });

  it("takes #GP for an EIP beyond the limit", async () => {
    const [target] = await at(build, "real", "66 cf");
    target.writeMemory(DATA + 0x7800, hex("00 00 01 00 00 10 00 00 02 00 00 00"));
    expect(target.step(0).exception?.vector).toBe(13);
  });

  it("needs IOPL 3 in virtual-8086 mode", async () => {
    const [target, vcpu] = await at(build, "v86", "cf");
    vcpu.rflags = 0x22202n;
    expect(target.step(0).exception?.vector).toBe(13);
  });
});
