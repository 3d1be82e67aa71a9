/**
 * Far JMP, CALL, RET and IRET in IA-32e mode through every type of descriptor, at every DPL, CPL and RPL, and through
 * call gates to every kind of code, against a model of the manual's pseudo-code. Source: SDM 2 "JMP", "CALL", "RET",
 * "IRET", the parts for IA-32e mode. (Legacy mode: protected-mode.test.ts.)
 */
import { describe, expect, it } from "vitest";
import type { Machine, Vcpu } from "../../../src/index.js";
import { BUILDS, hex, readU64, writeU64, type Build } from "../../support/machine.js";
import { rewinder } from "../../support/rewind.js";
import { CODE, DATA, GDT, TSS, worldOf } from "../../support/worlds.js";

const [NP, SS, GP] = [11, 12, 13];
/** Descriptors behind those of the world: the one under test, a call gate, stacks of the four rings. */
const SELECTOR = 0x70;
const GATE = 0x80;
const STACKS = 0x90;
const TABLE_LIMIT = 0xaf;
/** Where transfers go, and where the stacks of rings 0 to 2 begin. */
const TARGET = CODE + 0x200;
const INNER_STACK = 0xe800;

const RINGS = [0, 1, 2, 3];
const WORLDS = [
  "64-bit ring 0",
  "64-bit ring 3",
  "compatibility ring 0",
  "compatibility ring 3",
] as const;
type World = (typeof WORLDS)[number];
const is64 = (world: World) => world.startsWith("64");
const ringOf = (world: World) => (world.endsWith("3") ? 3 : 0);

interface Descriptor {
  /** Type 3:0, S 4. */
  type: number;
  dpl: number;
  isPresent: boolean;
  /** L 1, D/B 0. */
  size: number;
}

const isCode = ({ type }: Descriptor) => type >= 24;
const isConforming = ({ type }: Descriptor) => type >= 28;
const CALL_GATE = 12;

function raw({ type, dpl, isPresent, size }: Descriptor): bigint {
  const high =
    0xf0000 |
    ((type | (dpl << 5) | (isPresent ? 0x80 : 0)) << 8) |
    ((8 | ((size & 1) << 2) | (size & 2)) << 20);
  return (BigInt(high >>> 0) << 32n) | 0xffffn;
}

/** All types; those of code with all of L and D. */
const DESCRIPTORS: Descriptor[] = Array.from({ length: 32 }, (_, type) => type).flatMap((type) =>
  RINGS.flatMap((dpl) =>
    [false, true].flatMap((isPresent) =>
      (type >= 24 ? [0, 1, 2, 3] : [0]).map((size) => ({ type, dpl, isPresent, size })),
    ),
  ),
);

/** Vector and error code, or the new CS and CPL. */
interface Outcome {
  fault?: [vector: number, error: number];
  cs?: number;
  cpl?: number;
}
const fault = (vector: number, error: number): Outcome => ({ fault: [vector, error] });

/** A far JMP or CALL whose selector names a descriptor that is no call gate. */
function direct(each: Descriptor, rpl: number, cpl: number): Outcome {
  if (!isCode(each) || each.size === 3) return fault(GP, SELECTOR);
  const refused = isConforming(each) ? each.dpl > cpl : rpl > cpl || each.dpl !== cpl;
  if (refused) return fault(GP, SELECTOR);
  return each.isPresent ? { cs: SELECTOR | cpl, cpl } : fault(NP, SELECTOR);
}

/** What the selector in a call gate, which may be used, leads to. */
function throughGate(each: Descriptor, cpl: number, isCall: boolean): Outcome {
  if (!isCode(each) || each.dpl > cpl || each.size !== 2) return fault(GP, SELECTOR);
  if (!isCall && !isConforming(each) && each.dpl !== cpl) return fault(GP, SELECTOR);
  if (!each.isPresent) return fault(NP, SELECTOR);
  const inner = isConforming(each) ? cpl : each.dpl;
  return { cs: SELECTOR | inner, cpl: inner };
}

/** RET and IRET to a CS of this kind, with a stack that fits it. */
function back(each: Descriptor, rpl: number, cpl: number): Outcome {
  if (!isCode(each) || rpl < cpl || each.size === 3) return fault(GP, SELECTOR);
  if (isConforming(each) ? each.dpl > rpl : each.dpl !== rpl) return fault(GP, SELECTOR);
  return each.isPresent ? { cs: SELECTOR | rpl, cpl: rpl } : fault(NP, SELECTOR);
}

async function prepared(build: Build, world: World, code: string): Promise<[Machine, Vcpu]> {
  const target = await worldOf(build, world, hex(code));
  const vcpu = target.vcpus[0]!;
  vcpu.gdtr = { base: BigInt(GDT), limit: TABLE_LIMIT };
  for (const ring of RINGS) {
    writeU64(target, GDT + STACKS + ring * 8, 0x00cf93000000ffffn | (BigInt(ring) << 45n));
    if (ring < 3) writeU64(target, TSS + 4 + ring * 8, BigInt(INNER_STACK));
  }
  vcpu.gpr.rbx = BigInt(DATA + 0x100);
  return [target, vcpu];
}

/** One step. @returns what came of it, in the words of the model */
function outcome(target: Machine, vcpu: Vcpu): Outcome {
  const { exception } = target.step(0);
  if (exception === undefined) return { cs: vcpu.segment("cs").selector, cpl: vcpu.cpl };
  return fault(exception.vector, Number(readU64(target, Number(vcpu.gpr.rsp))));
}

function writeCallGate(target: Machine, selector: number, rights: number, high = 0n): void {
  const low =
    BigInt(TARGET & 0xffff) |
    (BigInt(selector) << 16n) |
    (BigInt(rights) << 40n) |
    (BigInt(TARGET >>> 16) << 48n);
  writeU64(target, GDT + GATE, low);
  writeU64(target, GDT + GATE + 8, high);
}

/** JMP and CALL of m16:32 at [RBX]. */
const TRANSFERS: [name: string, code: string, isCall: boolean][] = [
  ["JMP", "ff 2b", false],
  ["CALL", "ff 1b", true],
];

describe.each(BUILDS)("far transfers of IA-32e mode (%s)", (build) => {
  const words = (all: [string, Outcome][]) =>
    all.map(([what, each]) => `${what}: ${JSON.stringify(each)}`);

  const rows = TRANSFERS.flatMap(([name, code, isCall]) =>
    WORLDS.map((world) => [name, world, code, isCall] as const),
  );
  it.each(rows)("%s to every descriptor, %s", async (_, world, code, isCall) => {
    const [target, vcpu] = await prepared(build, world, code);
    const rewind = rewinder(vcpu);
    const found: [string, Outcome][] = [];
    const expected: [string, Outcome][] = [];
    for (const each of DESCRIPTORS) {
      if (each.type === CALL_GATE) continue;
      for (const rpl of RINGS) {
        rewind();
        const { rsp } = vcpu.gpr;
        writeU64(target, GDT + SELECTOR, raw(each));
        writeU64(target, GDT + SELECTOR + 8, 0n);
        writeU64(target, DATA + 0x100, BigInt(TARGET) | (BigInt(SELECTOR | rpl) << 32n));
        const what = `${Object.values(each).join(" ")} ${rpl}`;
        const result = direct(each, rpl, ringOf(world));
        expected.push([what, result]);
        found.push([what, outcome(target, vcpu)]);
        if (result.fault !== undefined) continue;
        expect(vcpu.rip).toBe(BigInt(TARGET));
        expect(vcpu.gpr.rsp).toBe(isCall ? rsp - 8n : rsp);
      }
    }
    expect(words(found)).toEqual(words(expected));
  });

  it.each(rows)(
    "%s through a call gate to every descriptor, %s",
    async (_, world, code, isCall) => {
      const cpl = ringOf(world);
      const [target, vcpu] = await prepared(build, world, code);
      writeU64(target, DATA + 0x100, 0x5555_5555n | (BigInt(GATE | cpl) << 32n));
      const rewind = rewinder(vcpu);
      const { selector: oldSs } = vcpu.segment("ss");
      const { selector: oldCs } = vcpu.segment("cs");
      const found: [string, Outcome][] = [];
      const expected: [string, Outcome][] = [];
      for (const each of DESCRIPTORS) {
        rewind();
        const { rsp } = vcpu.gpr;
        writeU64(target, GDT + SELECTOR, raw(each));
        // The RPL of the gate's selector does not count.
        writeCallGate(target, SELECTOR | (each.dpl ^ 3), 0xec);
        const what = Object.values(each).join(" ");
        const result = throughGate(each, cpl, isCall);
        expected.push([what, result]);
        found.push([what, outcome(target, vcpu)]);
        if (result.fault !== undefined) continue;
        expect(vcpu.rip).toBe(BigInt(TARGET));
        const next = BigInt(CODE + 2);
        const stack = [vcpu.gpr.rsp, vcpu.segment("ss").selector];
        const frameOf = (size: number) =>
          Array.from({ length: size }, (__, i) => readU64(target, Number(vcpu.gpr.rsp) + i * 8));
        if (!isCall) expect(stack).toEqual([rsp, oldSs]);
        else if (result.cpl === cpl) {
          expect(stack).toEqual([rsp - 16n, oldSs]);
          expect(frameOf(2)).toEqual([next, BigInt(oldCs)]);
        } else {
          expect(stack).toEqual([BigInt(INNER_STACK - 32), result.cpl]);
          expect(frameOf(4)).toEqual([next, BigInt(oldCs), rsp, BigInt(oldSs)]);
        }
      }
      expect(words(found)).toEqual(words(expected));
    },
  );

  it.each(rows)("%s and the rights to a call gate, %s", async (_, world, code) => {
    const cpl = ringOf(world);
    const [target, vcpu] = await prepared(build, world, code);
    writeU64(target, GDT + SELECTOR, raw({ type: 26, dpl: cpl, isPresent: true, size: 2 }));
    const rewind = rewinder(vcpu);
    for (const dpl of RINGS) {
      for (const rpl of RINGS) {
        for (const isPresent of [false, true]) {
          // Bits 44:40 of the upper half are no type; others mean nothing.
          for (const high of [0n, 0x1fn << 40n, 1n << 40n, ~0n << 45n, 0xffn << 32n]) {
            rewind();
            writeU64(target, DATA + 0x100, BigInt(GATE | rpl) << 32n);
            writeCallGate(
              target,
              SELECTOR,
              0xc | (dpl << 5) | (isPresent ? 0x80 : 0),
              high & ~0xffffffffn,
            );
            const what = `${dpl} ${rpl} ${isPresent} ${high.toString(16)}`;
            const isTyped = ((high >> 40n) & 0x1fn) !== 0n;
            let result: Outcome = { cs: SELECTOR | cpl, cpl };
            if (dpl < cpl || dpl < rpl) result = fault(GP, GATE);
            else if (!isPresent) result = fault(NP, GATE);
            else if (isTyped) result = fault(GP, GATE);
            expect([what, outcome(target, vcpu)]).toEqual([what, result]);
          }
        }
      }
    }
  });

  it.each(rows)("%s by a gate to nothing, and out of the tables, %s", async (_, world, code) => {
    const cpl = ringOf(world);
    const [target, vcpu] = await prepared(build, world, code);
    const rewind = rewinder(vcpu);
    for (const [selector, result] of [
      [0, fault(GP, 0)],
      [3, fault(GP, 0)],
      [TABLE_LIMIT + 1, fault(GP, TABLE_LIMIT + 1)],
      [0xffff, fault(GP, 0xfffc)],
      [4, fault(GP, 4)], // there is no LDT
    ] as const) {
      rewind();
      writeCallGate(target, selector, 0xec);
      writeU64(target, DATA + 0x100, BigInt(GATE | cpl) << 32n);
      expect([selector, outcome(target, vcpu)]).toEqual([selector, result]);
      rewind();
      writeU64(target, DATA + 0x100, BigInt(selector) << 32n);
      expect([selector, outcome(target, vcpu)]).toEqual([selector, result]);
    }
    // A gate whose upper half is beyond the limit.
    rewind();
    vcpu.gdtr = { base: BigInt(GDT), limit: GATE + 7 };
    writeCallGate(target, SELECTOR, 0xec);
    writeU64(target, DATA + 0x100, BigInt(GATE | cpl) << 32n);
    expect(outcome(target, vcpu)).toEqual(fault(GP, GATE));
  });

  const RETURNS: [name: string, world: World, code: string, width: number, withFlags: boolean][] = [
    ["RETF of 64 bits", "64-bit ring 0", "48 cb", 8, false],
    ["RETF of 64 bits", "64-bit ring 3", "48 cb", 8, false],
    ["RETF of 32 bits", "64-bit ring 0", "cb", 4, false],
    ["RETF of 16 bits", "64-bit ring 0", "66 cb", 2, false],
    ["RETF of 32 bits", "compatibility ring 0", "cb", 4, false],
    ["RETF of 32 bits", "compatibility ring 3", "cb", 4, false],
    ["IRETQ", "64-bit ring 0", "48 cf", 8, true],
    ["IRETQ", "64-bit ring 3", "48 cf", 8, true],
    ["IRETD", "64-bit ring 0", "cf", 4, true],
    ["IRET", "64-bit ring 0", "66 cf", 2, true],
    ["IRETD", "compatibility ring 0", "cf", 4, true],
    ["IRETD", "compatibility ring 3", "cf", 4, true],
  ];

  /** Puts words of a width at the top of the stack. */
  function push(target: Machine, vcpu: Vcpu, width: number, values: number[]): void {
    const frame = new Uint8Array(width * values.length);
    const view = new DataView(frame.buffer);
    values.forEach((value, i) => {
      if (width === 2) view.setUint16(i * 2, value & 0xffff, true);
      else view.setUint32(i * width, value, true);
    });
    target.writeMemory(Number(vcpu.gpr.rsp), frame);
  }

  it.each(RETURNS)("%s to every descriptor, %s", async (...row) => {
    const [, world, code, width, withFlags] = row;
    const cpl = ringOf(world);
    const [target, vcpu] = await prepared(build, world, code);
    const rewind = rewinder(vcpu);
    const rip = TARGET & (width === 2 ? 0xffff : -1);
    const found: [string, Outcome][] = [];
    const expected: [string, Outcome][] = [];
    for (const each of DESCRIPTORS) {
      for (const rpl of RINGS) {
        rewind();
        writeU64(target, GDT + SELECTOR, raw(each));
        const flags = withFlags ? [0x202] : [];
        const stack = (STACKS + rpl * 8) | rpl;
        push(target, vcpu, width, [rip, SELECTOR | rpl, ...flags, 0x7654, stack]);
        const what = `${Object.values(each).join(" ")} ${rpl}`;
        const result = back(each, rpl, cpl);
        expected.push([what, result]);
        const { rsp } = vcpu.gpr;
        const { selector: oldSs } = vcpu.segment("ss");
        found.push([what, outcome(target, vcpu)]);
        if (result.fault !== undefined) continue;
        expect(vcpu.rip).toBe(BigInt(rip));
        // In 64-bit mode IRET always takes the stack.
        const takesStack = rpl !== cpl || (withFlags && is64(world));
        const popped = BigInt(width * (withFlags ? 3 : 2));
        expect([what, vcpu.gpr.rsp, vcpu.segment("ss").selector]).toEqual(
          takesStack ? [what, 0x7654n, stack] : [what, rsp + popped, oldSs],
        );
      }
    }
    expect(words(found)).toEqual(words(expected));
  });

  /** What a return may find in the place of SS. */
  const stackRows = RETURNS.filter(([, , , width]) => width !== 2);
  it.each(stackRows)("%s to a stack of every kind, %s", async (...row) => {
    const [, world, code, width, withFlags] = row;
    const cpl = ringOf(world);
    const [target, vcpu] = await prepared(build, world, code);
    const rewind = rewinder(vcpu);
    const found: [string, Outcome][] = [];
    const expected: [string, Outcome][] = [];
    const check = (what: string, rpl: number, size: number, ss: number, result: Outcome) => {
      rewind();
      writeU64(target, GDT + SELECTOR, raw({ type: 26, dpl: rpl, isPresent: true, size }));
      const flags = withFlags ? [0x202] : [];
      push(target, vcpu, width, [TARGET, SELECTOR | rpl, ...flags, 0x7654, ss]);
      expected.push([what, result]);
      found.push([what, outcome(target, vcpu)]);
    };
    for (const rpl of RINGS) {
      if (rpl < cpl || (rpl === cpl && !(withFlags && is64(world)))) continue;
      const done = { cs: SELECTOR | rpl, cpl: rpl };
      for (const size of [1, 2]) {
        // A null SS is for 64-bit code of rings 0 to 2, its RPL that of CS.
        for (const ss of RINGS) {
          const isFine = size === 2 && rpl !== 3 && ss === rpl;
          check(`null ${rpl} ${ss} ${size}`, rpl, size, ss, isFine ? done : fault(GP, 0));
        }
        for (const ss of [TABLE_LIMIT + 1, 0xfff8]) {
          check(`beyond ${rpl} ${ss}`, rpl, size, ss | rpl, fault(GP, ss));
        }
      }
      for (let type = 0; type < 32; type++) {
        for (const dpl of RINGS) {
          for (const ssRpl of RINGS) {
            for (const isPresent of [false, true]) {
              // Of the wrong ring one type is enough.
              if ((dpl !== rpl || ssRpl !== rpl) && type !== 18) continue;
              const at = STACKS + 8;
              const entry = readU64(target, GDT + at);
              writeU64(target, GDT + at, raw({ type, dpl, isPresent, size: 1 }));
              const isData = type >= 16 && type < 24 && (type & 2) !== 0;
              let result: Outcome = done;
              if (ssRpl !== rpl || !isData || dpl !== rpl) result = fault(GP, at);
              else if (!isPresent) result = fault(SS, at);
              check(`${type} ${dpl} ${ssRpl} ${isPresent} ${rpl}`, rpl, 2, at | ssRpl, result);
              writeU64(target, GDT + at, entry);
            }
          }
        }
      }
    }
    expect(words(found)).toEqual(words(expected));
  });
});
