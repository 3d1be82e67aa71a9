/**
 * IN, OUT, INS and OUTS at every edge of the I/O permission bit map. Source: SDM 1 "I/O Permission Bit Map", "I/O
 * Privilege Level"; SDM 3A "Protecting I/O Ports" (virtual-8086 mode).
 */
import { describe, expect, it } from "vitest";
import type { Machine, Vcpu } from "../../../src/index.js";
import { BUILDS, hex, readU64, writeU64 } from "../../support/machine.js";
import { rewinder } from "../../support/rewind.js";
import { CODE, enterRing, PT, TSS, worldOf, type WorldName } from "../../support/worlds.js";

const GP = 13;
const PF = 14;
const RINGS = [0, 1, 2, 3];
const VM = 0x20000n;

/** A TSS and an access, and whether the map lets it through. */
interface Io {
  what: string;
  port: number;
  size: number;
  /** Offset of the map, and the limit of the TSS. */
  base: number;
  limit: number;
  /** Bytes of the map from this offset in the TSS. */
  at: number;
  map: number[];
  allowed: boolean;
}
const MAP = 0x68;
const io = (what: string, port: number, size: number, map: number[], allowed: boolean): Io => ({
  what,
  port,
  size,
  base: MAP,
  limit: MAP + 0x2001,
  at: MAP + (port >> 3),
  map,
  allowed,
});
const MAP_ROWS: Io[] = [
  io("a bit of its own", 0x80, 1, [0xfe, 0xff], true),
  io("no bit of its own", 0x80, 1, [0x01, 0x00], false),
  io("bit 7", 0x87, 1, [0x7f, 0xff], true),
  io("not bit 7", 0x87, 1, [0x80, 0x00], false),
  io("two bits", 0x86, 2, [0x3f, 0xff], true),
  io("two bits, the second set", 0x86, 2, [0x80, 0x00], false),
  io("two bits, over a byte's end", 0x87, 2, [0x7f, 0xfe], true),
  io("two bits, the second set over a byte's end", 0x87, 2, [0x00, 0x01], false),
  io("four bits", 0x84, 4, [0x0f, 0xff], true),
  io("four bits, over a byte's end", 0x85, 4, [0x1f, 0xfe], true),
  ...[0, 1, 2].map((n) => io(`four bits, bit ${n} set`, 0x85, 4, [1 << (5 + n), 0], false)),
  io("four bits, the last set over a byte's end", 0x85, 4, [0, 1], false),
  io("the last port", 0xffff, 1, [0x7f, 0xff], true),
  io("two bytes at the last port", 0xffff, 2, [0x7f, 0xff], false),
  // The byte behind the bits is read too, whatever the access.
  { ...io("the map ends with its byte", 0x80, 1, [0, 0], false), limit: MAP + 0x10 },
  { ...io("the map ends a byte later", 0x80, 1, [0, 0], true), limit: MAP + 0x11 },
  {
    ...io("the map begins beyond the limit", 0, 1, [0, 0], false),
    base: 0x1000,
    limit: 0xfff,
    at: 0x1000,
  },
  { ...io("the map may begin anywhere", 0x80, 1, [0, 0], true), base: 0x10, limit: 0x67, at: 0x20 },
  {
    ...io("the map's place is beyond the limit", 0, 1, [0, 0], false),
    base: 0,
    limit: 0x66,
    at: 0,
  },
  {
    ...io("the map's offset wraps not", 0x80, 1, [0, 0], false),
    base: 0xffff,
    limit: 0xfffe,
    at: 0x20,
  },
];

const IN: Record<number, string> = { 1: "ec", 2: "66 ed", 4: "ed" };
const OUT: Record<number, string> = { 1: "ee", 2: "66 ef", 4: "ef" };
const INS: Record<number, string> = { 1: "6c", 2: "66 6d", 4: "6d" };
const OUTS: Record<number, string> = { 1: "6e", 2: "66 6f", 4: "6f" };
const WIDE_TSS = 0x40000;
/** In 16-bit code the prefix means the other size. */
const codeOf = (codes: Record<number, string>, size: number, isShort: boolean) =>
  isShort && size > 1 ? (size === 2 ? codes[2]!.slice(3) : `66 ${codes[4]!}`) : codes[size]!;

describe.each(BUILDS)("the I/O permission bit map (%s)", (build) => {
  const worlds = [
    "32-bit ring 3",
    "16-bit ring 3",
    "compatibility ring 3",
    "64-bit ring 3",
    "v86",
  ] as const;

  /** Gives the CPU a TSS where a whole map fits; ring 0's stacks stay where they were. */
  function setMap(target: Machine, world: WorldName, each: Io): void {
    const vcpu = target.vcpus[0]!;
    const image = new Uint8Array(0x3000).fill(0xff);
    image.set(target.readMemory(TSS, 0x66));
    new DataView(image.buffer).setUint16(0x66, each.base, true);
    image.set(each.map, each.at);
    image.fill(0, Math.max(each.limit + 1, 0x68));
    target.writeMemory(WIDE_TSS, image);
    vcpu.setSegment("tr", { base: BigInt(WIDE_TSS), limit: each.limit });
    vcpu.gpr.rdx = BigInt(each.port);
    // IOPL does not let it through in protected mode; in virtual-8086 mode it does not count at all.
    vcpu.rflags = world === "v86" ? 0x23202n : 0x202n;
  }

  async function withMap(world: WorldName, each: Io, code: string): Promise<[Machine, Vcpu]> {
    const target = await worldOf(build, world, hex(code));
    setMap(target, world, each);
    return [target, target.vcpus[0]!];
  }

  it.each(worlds)("lets through what its bits let through, %s", async (world) => {
    const isShort = world === "v86" || world.startsWith("16");
    const target = await worldOf(build, world, hex("90"));
    const rewind = rewinder(target.vcpus[0]!);
    for (const each of MAP_ROWS) {
      for (const codes of [IN, OUT, INS, OUTS]) {
        const code = codeOf(codes, each.size, isShort);
        rewind();
        target.writeMemory(CODE, hex(code));
        setMap(target, world, each);
        const vector = target.step(0).exception?.vector;
        const what = `${each.what}, ${code}`;
        expect([what, vector]).toEqual([what, each.allowed ? undefined : GP]);
      }
    }
  });

  const good = MAP_ROWS[0]!;
  const bad = MAP_ROWS[1]!;
  it.each(["32-bit ring 0", "compatibility ring 0", "64-bit ring 0"] as const)(
    "does not matter where CPL is not above IOPL, %s",
    async (world) => {
      const [target, vcpu] = await withMap(world, bad, "ec");
      const rewind = rewinder(vcpu);
      for (const cpl of RINGS) {
        for (const iopl of RINGS) {
          rewind();
          setMap(target, world, bad);
          enterRing(vcpu, cpl);
          vcpu.rflags = 2n | (BigInt(iopl) << 12n);
          const vector = target.step(0).exception?.vector;
          expect([cpl, iopl, vector]).toEqual([cpl, iopl, cpl > iopl ? GP : undefined]);
        }
      }
    },
  );

  it("does not exist in real-address mode", async () => {
    const [target, vcpu] = await withMap("real", bad, "ec");
    vcpu.rflags = 2n;
    expect(target.step(0).exception).toBeUndefined();
  });

  it("decides in virtual-8086 mode whatever IOPL is", async () => {
    for (const iopl of RINGS) {
      for (const [each, vector] of [
        [good, undefined],
        [bad, GP],
      ] as const) {
        const [target, vcpu] = await withMap("v86", each, "ec");
        vcpu.rflags = VM | 2n | (BigInt(iopl) << 12n);
        expect([iopl, target.step(0).exception?.vector]).toEqual([iopl, vector]);
      }
    }
  });

  it("is not in a 16-bit TSS, nor in none", async () => {
    for (const accessRights of [0x83, 0x1008b]) {
      const [target, vcpu] = await withMap("64-bit ring 3", good, "ec");
      vcpu.setSegment("tr", { accessRights });
      expect(target.step(0).exception?.vector).toBe(GP);
    }
  });

  it("is read through paging, by the supervisor", async () => {
    // The bits lie in a page of their own.
    const apart = { ...good, base: 0xff0, at: 0x1000 };
    const [target, vcpu] = await withMap("64-bit ring 3", apart, "ec");
    writeU64(target, PT + ((WIDE_TSS + 0x1000) >> 12) * 8, 0n);
    expect(target.step(0).exception?.vector).toBe(PF);
    const error = readU64(target, Number(vcpu.gpr.rsp));
    expect([vcpu.control.cr2, error]).toEqual([BigInt(WIDE_TSS + 0x1000), 0n]);
  });

  it("comes before the operand of INS and OUTS", async () => {
    for (const code of ["6c", "6e"]) {
      const [target, vcpu] = await withMap("64-bit ring 3", bad, code);
      vcpu.gpr.rsi = 0x9000n;
      vcpu.gpr.rdi = 0x9000n;
      expect(target.step(0).exception?.vector).toBe(GP);
      const [other, reaching] = await withMap("64-bit ring 3", good, code);
      reaching.gpr.rsi = 0x9000n;
      reaching.gpr.rdi = 0x9000n;
      expect(other.step(0).exception?.vector).toBe(PF);
    }
  });
});
