/**
 * Virtual interrupts: CR4.VME for virtual-8086 mode (CLI, STI, PUSHF, POPF, IRET, INT n by the redirection bit map) and
 * CR4.PVI for ring 3. Source: SDM 3B "Interrupt and Exception Handling in Virtual-8086 Mode", "Protected-Mode Virtual
 * Interrupts"; SDM 2, these instructions. Off unless the CPU has `vme`.
 */
import { describe, expect, it } from "vitest";
import type { Machine, Vcpu } from "../../../src/index.js";
import { BUILDS, hex, readU64, writeU64, type Build } from "../../support/machine.js";
import { rewinder } from "../../support/rewind.js";
import { CODE, DATA, enterRing, PT, TSS, worldOf, type WorldName } from "../../support/worlds.js";

const [UD, GP, PF] = [6, 13, 14];
const [VME, PVI] = [1n, 2n];
const [TF, IF, NT, VM, VIF, VIP] = [0x100n, 0x200n, 0x4000n, 0x20000n, 0x80000n, 0x100000n];
const IOPL = 0x3000n;
const RINGS = [0, 1, 2, 3];
const iopl = (n: number) => BigInt(n) << 12n;

async function prepared(
  build: Build,
  code: string,
  {
    world = "v86",
    cr4 = VME,
    cpu = "x2vm,+vme",
  }: { world?: WorldName; cr4?: bigint; cpu?: string } = {},
): Promise<[Machine, Vcpu, () => void]> {
  const target = await worldOf(build, world, hex(code), { cpu });
  const vcpu = target.vcpus[0]!;
  vcpu.control.cr4 |= cr4;
  return [target, vcpu, rewinder(vcpu)];
}

/** Words at the top of the stack. */
const stackOf = (target: Machine, vcpu: Vcpu, count: number) =>
  Array.from({ length: count }, (_, i) =>
    Number(readU64(target, Number(vcpu.gpr.rsp + vcpu.segment("ss").base) + i * 2) & 0xffffn),
  );

function push(target: Machine, vcpu: Vcpu, words: number[]): void {
  const bytes = new Uint8Array(Uint16Array.from(words).buffer);
  target.writeMemory(Number(vcpu.gpr.rsp + vcpu.segment("ss").base), bytes);
}

describe.each(BUILDS)("CR4.VME and CR4.PVI (%s)", (build) => {
  it("are reserved without the feature, which the default CPU has not", async () => {
    for (const [cpu, bit, vector] of [
      ["x2vm", VME, GP],
      ["x2vm", PVI, GP],
      ["x2vm,+vme", VME | PVI, undefined],
    ] as const) {
      const [target, vcpu] = await prepared(build, "0f 22 e0", {
        world: "32-bit ring 0",
        cr4: 0n,
        cpu,
      });
      vcpu.gpr.rax = vcpu.control.cr4 | bit;
      expect(target.step(0).exception?.vector).toBe(vector);
    }
  });

  /** World, CR4 and IOPL; whether CLI and STI go to VIF there. */
  it.each([
    ["v86", VME],
    ["v86", PVI],
    ["v86", 0n],
    ["16-bit ring 3", PVI],
    ["32-bit ring 3", PVI],
    ["32-bit ring 3", VME],
    ["compatibility ring 3", PVI],
    ["64-bit ring 3", PVI],
  ] as const)("CLI and STI, %s, CR4 %i", async (world, cr4) => {
    const [target, vcpu, rewind] = await prepared(build, "fa", { world, cr4 });
    const isVirtual = cr4 === (world === "v86" ? VME : PVI);
    for (const [code, sets] of [
      ["fa", false],
      ["fb", true],
    ] as const) {
      target.writeMemory(CODE, hex(code));
      for (const ring of RINGS) {
        for (const pending of [0n, VIP]) {
          for (const before of [0n, VIF]) {
            for (const real of [0n, IF]) {
              rewind();
              const base = (world === "v86" ? VM : 0n) | iopl(ring) | pending | 2n;
              vcpu.rflags = base | before | real;
              let expected: bigint | number = GP;
              if (ring === 3) expected = base | before | (sets ? IF : 0n);
              else if (isVirtual && !(sets && pending !== 0n))
                expected = base | real | (sets ? VIF : 0n);
              const vector = target.step(0).exception?.vector;
              const what = [code, ring, pending, before, real];
              expect([...what, vector ?? vcpu.rflags]).toEqual([...what, expected]);
            }
          }
        }
      }
    }
  });

  it("PVI is for ring 3 alone", async () => {
    for (const ring of [1, 2]) {
      const [target, vcpu] = await prepared(build, "fa", { world: "32-bit ring 0", cr4: PVI });
      enterRing(vcpu, ring);
      expect(target.step(0).exception?.vector).toBe(GP);
    }
  });

  it("PVI leaves PUSHF and POPF alone", async () => {
    const [target, vcpu] = await prepared(build, "66 9c 66 9d", {
      world: "32-bit ring 3",
      cr4: PVI,
    });
    vcpu.rflags = 2n | VIF;
    target.step(0);
    expect(stackOf(target, vcpu, 1)).toEqual([2]);
    push(target, vcpu, [0x202]);
    target.step(0);
    expect(vcpu.rflags).toBe(2n | VIF);
  });

  it("PUSHF of 16 bits shows VIF as IF and IOPL 3, that of 32 faults", async () => {
    const [target, vcpu, rewind] = await prepared(build, "9c");
    for (const ring of RINGS) {
      for (const flags of [0n, VIF, IF, VIF | IF, VIF | VIP]) {
        rewind();
        vcpu.rflags = VM | iopl(ring) | flags | 0x8d7n;
        expect(target.step(0).exception).toBeUndefined();
        const shown = ring === 3 ? flags & IF : (flags & VIF) >> 10n;
        expect(stackOf(target, vcpu, 1)).toEqual([Number(0x38d7n | shown)]);
        expect(vcpu.rflags).toBe(VM | iopl(ring) | flags | 0x8d7n);
      }
    }
    target.writeMemory(CODE, hex("66 9c"));
    rewind();
    vcpu.rflags = VM | iopl(2) | 2n;
    expect(target.step(0).exception?.vector).toBe(GP);
  });

  /** POPF and IRET: the image, VIP, and what comes of it. */
  const IMAGES: [image: bigint, vip: bigint, vector: number | undefined][] = [
    [0n, 0n, undefined],
    [IF, 0n, undefined],
    [IF | IOPL | NT | 0xcd5n, 0n, undefined],
    [0n, VIP, undefined],
    [IF, VIP, GP],
    [TF, 0n, GP],
  ];
  it.each([
    ["POPF", "9d", 1],
    ["IRET", "cf", 3],
  ] as const)("%s of 16 bits loads IF into VIF, that of 32 faults", async (_, code, words) => {
    const [target, vcpu, rewind] = await prepared(build, code);
    for (const ring of [0, 1, 2]) {
      for (const [image, vip, vector] of IMAGES) {
        for (const before of [0n, VIF]) {
          for (const real of [0n, IF]) {
            rewind();
            vcpu.rflags = VM | iopl(ring) | vip | before | real | 2n;
            push(target, vcpu, [...(words === 3 ? [0x123, 0x1000] : []), Number(image)]);
            const { rsp } = vcpu.gpr;
            const what = [ring, image, vip, before, real];
            expect([...what, target.step(0).exception?.vector]).toEqual([...what, vector]);
            if (vector !== undefined) continue;
            const loaded = (image & (NT | 0xcd5n)) | (image & IF ? VIF : 0n);
            expect(vcpu.rflags).toBe(VM | iopl(ring) | vip | real | loaded | 2n);
            expect(vcpu.gpr.rsp).toBe(rsp + BigInt(words * 2));
            if (words === 3)
              expect([vcpu.rip, vcpu.segment("cs").base]).toEqual([0x123n, 0x10000n]);
          }
        }
      }
    }
    target.writeMemory(CODE, hex(`66 ${code}`));
    rewind();
    vcpu.rflags = VM | iopl(2) | 2n;
    expect(target.step(0).exception?.vector).toBe(GP);
  });

  it("POPF and IRET with IOPL 3 load IF itself", async () => {
    for (const code of ["9d", "cf"]) {
      const [target, vcpu] = await prepared(build, code);
      vcpu.rflags = VM | IOPL | VIF | 2n;
      push(target, vcpu, code === "9d" ? [0x202] : [0, 0x1000, 0x202]);
      expect(target.step(0).exception).toBeUndefined();
      expect(vcpu.rflags).toBe(VM | IOPL | VIF | IF | 2n);
    }
  });

  /** A TSS with a redirection bit map below an I/O map at 0x100. */
  const WIDE_TSS = 0x40000;
  const MAP = 0x100;
  function setMap(target: Machine, vcpu: Vcpu, vector: number, bit: 0 | 1, limit = 0x2200): void {
    const image = new Uint8Array(0x2400).fill(0xff);
    image.set(target.readMemory(TSS, 0x66));
    new DataView(image.buffer).setUint16(0x66, MAP, true);
    const at = MAP - 32 + (vector >> 3);
    image[at] = bit === 0 ? 0xff & ~(1 << (vector & 7)) : 1 << (vector & 7);
    target.writeMemory(WIDE_TSS, image);
    vcpu.setSegment("tr", { base: BigInt(WIDE_TSS), limit });
  }

  it.each([0x00, 0x03, 0x07, 0x08, 0x21, 0xff])(
    "INT %i goes where its bit says",
    async (vector) => {
      const [target, vcpu, rewind] = await prepared(
        build,
        `cd ${vector.toString(16).padStart(2, "0")}`,
      );
      // The program's own table, at linear address 0.
      writeU64(target, vector * 4, 0x2345_6789n);
      for (const ring of RINGS) {
        for (const bit of [0, 1] as const) {
          for (const flags of [0n, VIF, IF, VIF | IF]) {
            rewind();
            setMap(target, vcpu, vector, bit);
            vcpu.rflags = VM | iopl(ring) | flags | 0xc57n;
            const { exception } = target.step(0);
            const what = [ring, bit, flags];
            if (bit === 1) {
              // The monitor's: a gate of ring 0 refuses INT n but for 3 and 4, and beyond the table there is none.
              const expected = ring === 3 && vector === 3 ? vector : GP;
              expect([...what, exception?.vector]).toEqual([...what, expected]);
              continue;
            }
            expect([...what, exception]).toEqual([...what, undefined]);
            const [ip, cs, image] = stackOf(target, vcpu, 3);
            const shown = ring === 3 ? flags & IF : IOPL | ((flags & VIF) >> 10n);
            expect([ip, cs, image]).toEqual([2, 0x1000, Number(iopl(ring) | shown | 0xc57n)]);
            expect([vcpu.rip, vcpu.segment("cs").selector]).toEqual([0x6789n, 0x2345]);
            expect(vcpu.segment("cs").base).toBe(0x23450n);
            const cleared = TF | (ring === 3 ? IF : VIF);
            expect(vcpu.rflags).toBe((VM | iopl(ring) | flags | 0xc57n) & ~cleared);
          }
        }
      }
    },
  );

  it("INT n clears TF before it traps, INT3 and INTO are not redirected", async () => {
    const [target, vcpu, rewind] = await prepared(build, "cd 21");
    writeU64(target, 0x21 * 4, 0x1000_0100n);
    setMap(target, vcpu, 0x21, 0);
    vcpu.rflags = VM | TF | 2n;
    expect(target.step(0).exception).toBeUndefined();
    expect(stackOf(target, vcpu, 3)[2]).toBe(0x3102);
    for (const [code, vector] of [
      ["cc", 3],
      ["ce", 4],
      ["f1", 1],
    ] as const) {
      rewind();
      target.writeMemory(CODE, hex(code));
      setMap(target, vcpu, vector, 0);
      vcpu.rflags = VM | 0x802n;
      expect(target.step(0).exception?.vector).toBe(vector);
    }
  });

  it("INT n takes #GP where the TSS has no map, and the faults of what it reads and pushes", async () => {
    const [target, vcpu, rewind] = await prepared(build, "cd 21");
    for (const limit of [0x66, MAP - 32 + 3]) {
      rewind();
      setMap(target, vcpu, 0x21, 0, limit);
      vcpu.rflags = VM | IOPL | 2n;
      expect(target.step(0).exception?.vector).toBe(GP);
    }
    rewind();
    setMap(target, vcpu, 0x21, 0);
    writeU64(target, PT + (DATA >> 12) * 8, 0n);
    vcpu.gpr.rsp = 0x100n;
    vcpu.rflags = VM | 2n;
    expect(target.step(0).exception?.vector).toBe(PF);
  });

  it("IRETD of ring 0 loads VIF and VIP, POPFD does not, and interrupts save them", async () => {
    const [target, vcpu] = await prepared(build, "cf", { world: "32-bit ring 0" });
    const at = Number(vcpu.gpr.rsp);
    const frame = [CODE + 0x10, vcpu.segment("cs").selector, 0x180002];
    frame.forEach((value, i) =>
      target.writeMemory(at + i * 4, new Uint8Array(Uint32Array.of(value).buffer)),
    );
    target.step(0);
    expect(vcpu.rflags).toBe(VIF | VIP | 2n);
    target.writeMemory(CODE + 0x10, hex("9d 0f 0b"));
    writeU64(target, Number(vcpu.gpr.rsp), 2n);
    target.step(0);
    expect(vcpu.rflags).toBe(VIF | VIP | 2n);
    expect(target.step(0).exception?.vector).toBe(UD);
    expect(readU64(target, Number(vcpu.gpr.rsp) + 8) & 0xffffffffn).toBe(0x190002n);
  });

  it.each([
    ["32-bit ring 0", 3, 0, PVI, GP],
    ["32-bit ring 0", 3, 3, PVI, undefined],
    ["32-bit ring 0", 3, 0, VME, undefined],
    ["32-bit ring 0", 0, 0, PVI, undefined],
    ["64-bit ring 0", 3, 2, PVI, GP],
  ] as const)(
    "IRET of %s to ring %i, IOPL %i, with both VIF and VIP",
    async (world, ring, level, cr4, vector) => {
      const is64 = world.startsWith("64");
      const [target, vcpu] = await prepared(build, is64 ? "48 cf" : "cf", { world, cr4 });
      const shift = ring === 3 ? 0x2b : 0;
      const flags = VIF | VIP | iopl(level) | 2n;
      const [cs, ss] = [vcpu.segment("cs").selector + shift, vcpu.segment("ss").selector + shift];
      const frame = [BigInt(CODE + 0x40), BigInt(cs), flags, vcpu.gpr.rsp, BigInt(ss)];
      const width = is64 ? 8 : 4;
      frame.forEach((value, i) => {
        const at = Number(vcpu.gpr.rsp) + i * width;
        target.writeMemory(
          at,
          new Uint8Array(Uint32Array.of(Number(value), 0).buffer).slice(0, width),
        );
      });
      expect(target.step(0).exception?.vector).toBe(vector);
      if (vector === undefined) {
        expect([vcpu.rip, vcpu.rflags]).toEqual([BigInt(CODE + 0x40), flags]);
        return;
      }
      // Error code 0, the instruction returned to, its CS, and RF.
      const at = Number(vcpu.gpr.rsp);
      const saved = [0, 1, 2, 3].map((i) =>
        BigInt.asUintN(width * 8, readU64(target, at + i * width)),
      );
      expect(saved).toEqual([0n, BigInt(CODE + 0x40), BigInt(cs), flags | 0x10000n]);
    },
  );

  it("without the feature IRETD keeps VIF and VIP 0", async () => {
    const [target, vcpu] = await prepared(build, "cf", {
      world: "32-bit ring 0",
      cr4: 0n,
      cpu: "x2vm",
    });
    const at = Number(vcpu.gpr.rsp);
    const frame = [CODE + 0x10, vcpu.segment("cs").selector, 0x180002];
    frame.forEach((value, i) =>
      target.writeMemory(at + i * 4, new Uint8Array(Uint32Array.of(value).buffer)),
    );
    target.step(0);
    expect(vcpu.rflags).toBe(2n);
  });
});
