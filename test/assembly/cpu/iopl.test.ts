/**
 * What IOPL decides: POPF, IRET, PUSHF, CLI, STI and INT n at every CPL and IOPL in every mode. Source: SDM 2, these
 * instructions; SDM 3A "Protected-Mode I/O", "Sensitive Instructions" (virtual-8086 mode).
 */
import { describe, expect, it } from "vitest";
import type { Machine, Vcpu } from "../../../src/index.js";
import { BUILDS, hex, readU64, writeU64, type Build } from "../../support/machine.js";
import { rewinder } from "../../support/rewind.js";
import { CODE, enterRing, worldOf, type WorldName } from "../../support/worlds.js";

const GP = 13;
const RINGS = [0, 1, 2, 3];
const [IF, RF, VM] = [0x200n, 0x10000n, 0x20000n];
const IOPL = 0x3000n;
/** C P A Z S T D O, NT: anybody's; AC and ID with 32 bits. TF and NT are left out: they do more than be there. */
const FREE = 0xcd5n;
const WIDE = 0x240000n;

/** A world at one of the rings that its mode has. */
interface Place {
  world: WorldName;
  cpl: number;
  /** Bytes of an operand without prefix, and prefixes of the other sizes that there are. */
  sizes: Record<number, string>;
}
const PLACES: Place[] = [
  { world: "real", cpl: 0, sizes: { 2: "", 4: "66" } },
  { world: "v86", cpl: 3, sizes: { 2: "", 4: "66" } },
  ...RINGS.flatMap((cpl) => [
    { world: "32-bit ring 0" as const, cpl, sizes: { 2: "66", 4: "" } },
    { world: "compatibility ring 0" as const, cpl, sizes: { 2: "66", 4: "" } },
    { world: "64-bit ring 0" as const, cpl, sizes: { 2: "66", 8: "" } },
  ]),
];

async function prepared(
  build: Build,
  { world, cpl }: Place,
  code: string,
): Promise<[Machine, Vcpu]> {
  const target = await worldOf(build, world, hex(code));
  const vcpu = target.vcpus[0]!;
  if (world.endsWith("0")) enterRing(vcpu, cpl);
  return [target, vcpu];
}

const isReal = ({ world }: Place) => world === "real";
const isV86 = ({ world }: Place) => world === "v86";

/** Bits that POPF and IRET load: SDM's tables for POPF, pseudo-code of IRET. */
function loadable(place: Place, iopl: number, size: number, isIret: boolean): bigint {
  let mask = FREE;
  if (size > 2) mask |= WIDE;
  if (size > 2 && isIret) mask |= RF;
  if (place.cpl <= iopl) mask |= IF;
  if (place.cpl === 0) mask |= IOPL;
  return mask;
}

/** Writes values of a size at the top of the stack. */
function push(target: Machine, vcpu: Vcpu, size: number, values: bigint[]): void {
  const at = Number(vcpu.gpr.rsp + vcpu.segment("ss").base);
  const bytes = new Uint8Array(size * values.length);
  values.forEach((value, i) => {
    for (let n = 0; n < size; n++) bytes[i * size + n] = Number((value >> BigInt(n * 8)) & 0xffn);
  });
  target.writeMemory(at, bytes);
}

const rows = PLACES.flatMap((place) =>
  Object.entries(place.sizes).map(([size, prefix]) => [Number(size), place, prefix] as const),
);

describe.each(BUILDS)("flags (%s)", (build) => {
  it.each(rows)("POPF of %i bytes, %o", async (size, place, prefix) => {
    const [target, vcpu] = await prepared(build, place, `${prefix} 9d`);
    const rewind = rewinder(vcpu);
    for (const iopl of RINGS) {
      for (const [before, image] of [
        [0n, FREE | WIDE | IF | IOPL | RF | VM],
        [FREE | WIDE | IF, 0n],
        [0n, IF | (1n << 12n)],
        [IF, 2n << 12n],
      ] as const) {
        rewind();
        const fixed = (isV86(place) ? VM : 0n) | (BigInt(iopl) << 12n) | 2n;
        vcpu.rflags = before | fixed;
        push(target, vcpu, size, [image]);
        const { exception } = target.step(0);
        if (isV86(place) && iopl < 3) {
          expect(exception?.vector).toBe(GP);
          continue;
        }
        const mask = loadable(place, iopl, size, false);
        expect(exception).toBeUndefined();
        expect([iopl, vcpu.rflags]).toEqual([iopl, ((before | fixed) & ~mask) | (image & mask)]);
      }
    }
  });

  it.each(rows)("IRET of %i bytes, %o", async (size, place, prefix) => {
    // In 64-bit mode that of 8 bytes has REX.W.
    const [target, vcpu] = await prepared(build, place, `${size === 8 ? "48" : prefix} cf`);
    const rewind = rewinder(vcpu);
    const { selector: cs } = vcpu.segment("cs");
    const { selector: ss } = vcpu.segment("ss");
    // A selector of the ring that IRET comes from.
    if (place.world.endsWith("0") && place.cpl % 3 !== 0) {
      for (const selector of [cs, ss]) {
        const at = 0x9000 + (selector & ~7);
        writeU64(target, at, readU64(target, at) | (BigInt(place.cpl) << 45n));
      }
    }
    const shift = place.cpl === 3 && place.world.endsWith("0") ? 0x28 : 0;
    for (const iopl of RINGS) {
      for (const [before, image] of [
        [0n, FREE | WIDE | IF | IOPL | RF],
        [FREE | WIDE | IF, 0n],
        [0n, IF | (1n << 12n)],
        [IF, 2n << 12n],
      ] as const) {
        rewind();
        const fixed = (isV86(place) ? VM : 0n) | (BigInt(iopl) << 12n) | 2n;
        vcpu.rflags = before | fixed;
        const isShort = place.world === "real" || isV86(place);
        const frame = [isShort ? 0x40n : BigInt((CODE + 0x40) & (size === 2 ? 0xffff : -1))];
        frame.push(BigInt(cs + shift), image, vcpu.gpr.rsp, BigInt(ss + shift));
        push(target, vcpu, size, frame);
        const { exception } = target.step(0);
        if (isV86(place) && iopl < 3) {
          expect(exception?.vector).toBe(GP);
          continue;
        }
        const mask = loadable(place, iopl, size, true);
        expect(exception).toBeUndefined();
        expect(vcpu.rip).toBe(frame[0]);
        expect([iopl, vcpu.rflags]).toEqual([iopl, ((before | fixed) & ~mask) | (image & mask)]);
      }
    }
  });

  it.each(rows)("PUSHF of %i bytes, %o", async (size, place, prefix) => {
    const [target, vcpu] = await prepared(build, place, `${prefix} 9c`);
    const rewind = rewinder(vcpu);
    for (const iopl of RINGS) {
      rewind();
      const flags = FREE | WIDE | IF | RF | (BigInt(iopl) << 12n) | 2n;
      vcpu.rflags = flags | (isV86(place) ? VM : 0n);
      const { exception } = target.step(0);
      expect(exception?.vector).toBe(isV86(place) && iopl < 3 ? GP : undefined);
      if (exception !== undefined) continue;
      const image = readU64(target, Number(vcpu.gpr.rsp + vcpu.segment("ss").base));
      // RF and VM are pushed as zeros.
      expect(BigInt.asUintN(size * 8, image)).toBe(BigInt.asUintN(size * 8, flags & ~RF));
    }
  });

  it.each([
    ["CLI", "fa", 0n],
    ["STI", "fb", IF],
  ] as const)("%s", async (_, code, after) => {
    for (const place of PLACES) {
      const [target, vcpu] = await prepared(build, place, code);
      const rewind = rewinder(vcpu);
      for (const iopl of RINGS) {
        rewind();
        vcpu.rflags = (isV86(place) ? VM : 0n) | (BigInt(iopl) << 12n) | (after ^ IF) | 2n;
        const { exception } = target.step(0);
        const what = JSON.stringify(place) + iopl;
        const isRefused = !isReal(place) && place.cpl > iopl;
        expect([what, exception?.vector]).toEqual([what, isRefused ? GP : undefined]);
        if (!isRefused) expect([what, vcpu.rflags & IF]).toEqual([what, after]);
      }
    }
  });

  it.each([
    ["INT n", "cd 03", true],
    ["INT3", "cc", false],
    ["INTO", "ce", false],
    ["INT1", "f1", false],
  ] as const)("%s of virtual-8086 mode", async (name, code, isSensitive) => {
    const place = PLACES.find(isV86)!;
    const [target, vcpu] = await prepared(build, place, code);
    const rewind = rewinder(vcpu);
    for (const iopl of RINGS) {
      rewind();
      vcpu.rflags = VM | (BigInt(iopl) << 12n) | 0x802n;
      const vector = { INTO: 4, INT1: 1 }[name as string] ?? 3;
      expect(target.step(0).exception?.vector).toBe(isSensitive && iopl < 3 ? GP : vector);
    }
  });
});
