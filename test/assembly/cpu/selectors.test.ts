/**
 * LAR, LSL, VERR, VERW and ARPL over every type of descriptor, present or not, at every DPL, CPL and RPL, in legacy and
 * IA-32e mode, against a model of what the manual says. Source: SDM 2 "LAR", "LSL", "VERR/VERW", "ARPL"; SDM 3A
 * "Pointer Validation".
 */
import { describe, expect, it } from "vitest";
import type { Machine, Vcpu } from "../../../src/index.js";
import { BUILDS, hex, writeU64, type Build } from "../../support/machine.js";
import { CODE, DATA, enterRing, GDT, type WorldName, worldOf } from "../../support/worlds.js";

const UD = 6;
const ZF = 0x40n;
/** Of the descriptor under test, behind those of the world. */
const SELECTOR = 0x70;
const TABLE_LIMIT = 0x7f;

/** A descriptor and who asks for it. */
interface Case {
  /** Type 3:0, S 4. */
  type: number;
  dpl: number;
  isPresent: boolean;
  isGranular: boolean;
  cpl: number;
  rpl: number;
}

const RINGS = [0, 1, 2, 3];

function* cases(): Generator<Case> {
  for (let type = 0; type < 32; type++)
    for (const dpl of RINGS)
      for (const isPresent of [false, true])
        for (const cpl of RINGS)
          for (const rpl of RINGS)
            yield { type, dpl, isPresent, isGranular: ((type ^ dpl) & 1) === 0, cpl, rpl };
}

const LIMIT = 0xabcde;
/** Bits 23:20: G, D/B, L, AVL. */
const FLAGS = 7;

function descriptor({ type, dpl, isPresent, isGranular }: Case): bigint {
  const rights = type | (dpl << 5) | (isPresent ? 0x80 : 0);
  const flags = isGranular ? FLAGS | 8 : FLAGS;
  const high = 0x12000034 | (rights << 8) | ((LIMIT >> 16) << 16) | (flags << 20);
  return (BigInt(high) << 32n) | 0x5678_0000n | BigInt(LIMIT & 0xffff);
}

const isSegment = (type: number) => type >= 16;
const isCode = (type: number) => type >= 24;
const isConforming = (type: number) => type >= 28;

/** Types that the instructions accept, system types by the manual's tables. */
const LAR_TYPES = { legacy: [1, 2, 3, 4, 5, 9, 11, 12], long: [2, 9, 11, 12] };
const LSL_TYPES = { legacy: [1, 2, 3, 9, 11], long: [2, 9, 11] };

function isVisible({ type, dpl, cpl, rpl }: Case): boolean {
  return isConforming(type) || Math.max(cpl, rpl) <= dpl;
}

type Expected = bigint | undefined;

/** What each instruction leaves in its register; undefined for ZF = 0. VERR and VERW have none: 0. */
const MODEL: Record<string, (each: Case, mode: "legacy" | "long") => Expected> = {
  lar: (each, mode) => {
    const ok = isSegment(each.type) || LAR_TYPES[mode].includes(each.type);
    // Bits 19:16 are undefined: here as on silicon.
    return ok && isVisible(each) ? (descriptor(each) >> 32n) & 0xffff00n : undefined;
  },
  lsl: (each, mode) => {
    const ok = isSegment(each.type) || LSL_TYPES[mode].includes(each.type);
    const bytes = each.isGranular ? LIMIT * 4096 + 4095 : LIMIT;
    return ok && isVisible(each) ? BigInt(bytes) : undefined;
  },
  verr: (each) =>
    isSegment(each.type) && isVisible(each) && (!isCode(each.type) || (each.type & 2) !== 0)
      ? 0n
      : undefined,
  verw: (each) =>
    isSegment(each.type) && isVisible(each) && !isCode(each.type) && (each.type & 2) !== 0
      ? 0n
      : undefined,
};

/** ECX holds the selector; LAR and LSL go to EDX. */
const CODES: Record<string, string> = {
  lar: "0f 02 d1",
  lsl: "0f 03 d1",
  verr: "0f 00 e1",
  verw: "0f 00 e9",
};
const BEFORE = 0x1111_2222_3333_4444n;

async function prepared(build: Build, world: WorldName, code: string): Promise<[Machine, Vcpu]> {
  const target = await worldOf(build, world, hex(code));
  const vcpu = target.vcpus[0]!;
  vcpu.gdtr = { base: BigInt(GDT), limit: TABLE_LIMIT };
  return [target, vcpu];
}

const MODES: [world: WorldName, mode: "legacy" | "long", prefix: string, width: number][] = [
  ["32-bit ring 0", "legacy", "", 32],
  ["32-bit ring 0", "legacy", "66", 16],
  ["compatibility ring 0", "long", "", 32],
  ["64-bit ring 0", "long", "", 32],
  ["64-bit ring 0", "long", "66", 16],
  ["64-bit ring 0", "long", "48", 64],
];

describe.each(BUILDS)("selectors (%s)", (build) => {
  const rows = MODES.flatMap(([world, mode, prefix, width]) =>
    Object.keys(CODES).map((name) => [name, world, width, mode, prefix] as const),
  );
  it.each(rows)("%s of every descriptor, %s, %i bits", async (name, world, width, mode, prefix) => {
    const [target, vcpu] = await prepared(build, world, `${prefix} ${CODES[name]!}`);
    const found: string[] = [];
    const expected: string[] = [];
    let ring = -1;
    for (const each of cases()) {
      if (each.cpl !== ring) enterRing(vcpu, each.cpl);
      ring = each.cpl;
      writeU64(target, GDT + SELECTOR, descriptor(each));
      vcpu.rip = BigInt(CODE);
      // Upper bits of the source mean nothing; flags but ZF stay.
      vcpu.gpr.rcx = 0xffff_0000n | BigInt(SELECTOR | each.rpl);
      vcpu.gpr.rdx = BEFORE;
      const flags = (each.rpl & 1) === 0 ? 0x8d7n : 0x2n;
      vcpu.rflags = flags;
      const value = MODEL[name]!(each, mode);
      let rdx = BEFORE;
      if (value !== undefined && name.startsWith("l"))
        rdx = width === 16 ? (BEFORE & ~0xffffn) | (value & 0xffffn) : value;
      const after = (flags & ~ZF) | (value === undefined ? 0n : ZF);
      const what = Object.values(each).join(" ");
      expected.push(`${what}: ${rdx.toString(16)} ${after.toString(16)}`);
      const { exception } = target.step(0);
      const { rflags } = vcpu;
      found.push(
        exception === undefined
          ? `${what}: ${vcpu.gpr.rdx.toString(16)} ${rflags.toString(16)}`
          : `${what}: exception ${exception.vector}`,
      );
    }
    expect(found).toEqual(expected);
  });

  it.each(Object.entries(CODES))(
    "%s knows no null selector and none beyond a table",
    async (_, code) => {
      for (const world of ["32-bit ring 0", "64-bit ring 0"] as const) {
        const [target, vcpu] = await prepared(build, world, code);
        // Readable, writable data, also where the null descriptor is.
        for (const at of [0, SELECTOR, SELECTOR + 8])
          writeU64(target, GDT + at, 0x00cf93000000ffffn);
        vcpu.setSegment("ldtr", {
          selector: 0x50,
          base: BigInt(GDT),
          limit: 0x1f,
          accessRights: 0x82,
        });
        const seen = [0, 3, SELECTOR, 0x78, 0x80, 0xfff8, 0x1c, 0x24, 4].map((selector) => {
          vcpu.gdtr = { base: BigInt(GDT), limit: 0x7e };
          vcpu.rip = BigInt(CODE);
          vcpu.gpr.rcx = BigInt(selector);
          expect(target.step(0).exception).toBeUndefined();
          return (vcpu.rflags & ZF) !== 0n;
        });
        // Of the GDT the last descriptor is cut; the first of the LDT is no null one.
        const isCodeAt18 = !code.endsWith("e9"); // VERW: 18H is code
        expect(seen).toEqual([false, false, true, false, false, false, isCodeAt18, false, true]);
      }
    },
  );

  it.each(["real", "v86"] as const)("%s mode has none of these", async (world) => {
    for (const code of [...Object.values(CODES), "63 d1"]) {
      const target = await worldOf(build, world, hex(code));
      expect(target.step(0).exception?.vector).toBe(UD);
    }
  });
});

describe.each(BUILDS)("ARPL (%s)", (build) => {
  const worlds = [
    "16-bit ring 0",
    "16-bit ring 3",
    "32-bit ring 0",
    "compatibility ring 3",
  ] as const;
  it.each(worlds)("raises the RPL, %s", async (world) => {
    const isShort = world.startsWith("16");
    // arpl cx, dx; arpl [bx or ebx], dx
    const [target, vcpu] = await prepared(build, world, isShort ? "63 d1 63 17" : "63 d1 63 13");
    const start = vcpu.rip;
    for (const dst of RINGS) {
      for (const src of RINGS) {
        vcpu.rip = start;
        vcpu.rflags = 0x8d7n & (dst === 2 ? ~0n : ~ZF);
        vcpu.gpr.rcx = 0x1111_5678_9ab0n | BigInt(dst);
        vcpu.gpr.rdx = 0x2222_1234_5678_0000n | BigInt(src);
        vcpu.gpr.rbx = BigInt(isShort ? 0x100 : DATA + 0x100);
        target.writeMemory(DATA + 0x100, Uint8Array.of(0xb0 | dst, 0x9a, 0x5a));
        const isLower = dst < src;
        const result = isLower ? src : dst;
        const flags = (0x8d7n & ~ZF) | (isLower ? ZF : 0n);
        target.step(0);
        expect([vcpu.gpr.rcx, vcpu.rflags]).toEqual([0x1111_5678_9ab0n | BigInt(result), flags]);
        target.step(0);
        expect([...target.readMemory(DATA + 0x100, 3)]).toEqual([0xb0 | result, 0x9a, 0x5a]);
        expect(vcpu.rflags).toBe(flags);
      }
    }
  });
});
