/**
 * SYSCALL, SYSRET, SYSENTER and SYSEXIT: where they exist, what selectors and hidden parts they load, what they make of
 * the flags, and what they refuse. Source: SDM 2 "SYSCALL", "SYSRET", "SYSENTER", "SYSEXIT".
 */
import { describe, expect, it } from "vitest";
import type { Machine, Vcpu } from "../../../src/index.js";
import { BUILDS, hex, readU64, type Build } from "../../support/machine.js";
import { rewinder } from "../../support/rewind.js";
import { CODE, worldOf, WORLDS, type WorldName } from "../../support/worlds.js";

const [UD, GP] = [6, 13];
const STAR = 0xc0000081;
const LSTAR = 0xc0000082;
const FMASK = 0xc0000084;
const SYSENTER_CS = 0x174;
const SYSENTER_ESP = 0x175;
const SYSENTER_EIP = 0x176;
const ENTRY = 0xffff_8000_1234_5678n;

const SYSCALL = "0f 05";
const SYSRET = "0f 07";
const SYSRETQ = "48 0f 07";
const SYSENTER = "0f 34";
const SYSEXIT = "0f 35";
const SYSEXITQ = "48 0f 35";

/** Access rights: flat, present, accessed. */
const CODE_64 = 0xa09b;
const CODE_32 = 0xc09b;
const DATA_32 = 0xc093;
const DPL_3 = 0x60;

interface Registers {
  star?: bigint;
  fmask?: bigint;
  sysenterCs?: bigint;
  sce?: boolean;
}

async function prepared(
  build: Build,
  world: WorldName,
  code: string,
  { star = 0x23_0010_0000_0000n << 8n, fmask = 0n, sysenterCs = 8n, sce = true }: Registers = {},
): Promise<[Machine, Vcpu]> {
  const target = await worldOf(build, world, hex(code));
  const vcpu = target.vcpus[0]!;
  if (sce) vcpu.control.efer |= 1n;
  const values: [number, bigint][] = [
    [STAR, star],
    [LSTAR, ENTRY],
    [FMASK, fmask],
    [SYSENTER_CS, sysenterCs],
    [SYSENTER_ESP, 0xffff_9000_2345_6789n],
    [SYSENTER_EIP, ENTRY],
  ];
  for (const [msr, value] of values) expect(vcpu.writeMsr(msr, value)).toBe(true);
  return [target, vcpu];
}

/** What is visible and hidden of CS and SS. */
function stateOf(vcpu: Vcpu) {
  const { cpl } = vcpu;
  const flat = { base: 0n, limit: 0xffffffff };
  expect(vcpu.segment("cs")).toMatchObject(flat);
  expect(vcpu.segment("ss")).toMatchObject(flat);
  const [cs, ss] = [vcpu.segment("cs"), vcpu.segment("ss")];
  return {
    cpl,
    cs: [cs.selector, cs.accessRights],
    ss: [ss.selector, ss.accessRights],
    rip: vcpu.rip,
    rsp: vcpu.gpr.rsp,
  };
}

const SELECTORS = [0x08, 0x09, 0x0b, 0x0c, 0x10, 0x23, 0xfff0, 0xffe3, 0xffff];
/** Flags that software can set: C P A Z S T I D O, IOPL, NT, AC, ID; and bit 1. */
const FLAG_BITS = [0, 2, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 18, 21].map((bit) => 1n << BigInt(bit));
const ALL_FLAGS = FLAG_BITS.reduce((all, bit) => all | bit, 2n);
const TF = 0x100n;

describe.each(BUILDS)("SYSCALL (%s)", (build) => {
  const rows = SELECTORS.flatMap((selector) =>
    (["64-bit ring 0", "64-bit ring 3"] as const).map((world) => [selector, world] as const),
  );
  it.each(rows)("with STAR[47:32] = %i, %s", async (selector, world) => {
    const star = (BigInt(selector) << 32n) | 0x5678_0000_9abc_def0n;
    const [target, vcpu] = await prepared(build, world, SYSCALL, { star });
    const { rsp } = vcpu.gpr;
    expect(target.step(0).exception).toBeUndefined();
    expect(stateOf(vcpu)).toEqual({
      cpl: 0,
      cs: [selector & 0xfffc, CODE_64],
      // SS is 8 above STAR's field, whose RPL is not masked.
      ss: [(selector + 8) & 0xffff, DATA_32],
      rip: ENTRY,
      rsp,
    });
    expect(vcpu.gpr.rcx).toBe(BigInt(CODE + 2));
  });

  it("saves the flags in R11 and clears those of IA32_FMASK", async () => {
    const [target, vcpu] = await prepared(build, "64-bit ring 3", SYSCALL);
    const rewind = rewinder(vcpu);
    for (const mask of [0n, 0xffffffffn, 2n, ...FLAG_BITS]) {
      for (const flags of [2n, ALL_FLAGS & ~TF, ...FLAG_BITS.map((bit) => bit | 2n)]) {
        rewind();
        vcpu.writeMsr(FMASK, mask);
        vcpu.rflags = flags;
        const { exception } = target.step(0);
        // A TF that is left traps at once.
        const traps = (flags & ~mask & TF) !== 0n;
        expect(exception?.vector).toBe(traps ? 1 : undefined);
        const after = traps ? readU64(target, Number(vcpu.gpr.rsp) + 16) : vcpu.rflags;
        expect([vcpu.gpr.r11, after]).toEqual([flags, (flags & ~mask) | 2n]);
      }
    }
  });
});

describe.each(BUILDS)("SYSRET (%s)", (build) => {
  const rows = SELECTORS.flatMap((selector) =>
    [SYSRET, SYSRETQ].map((code) => [selector, code === SYSRETQ, code] as const),
  );
  it.each(rows)("with STAR[63:48] = %i, REX.W %s", async (selector, isWide, code) => {
    const star = (BigInt(selector) << 48n) | 0x1234_5678_9abcn;
    const [target, vcpu] = await prepared(build, "64-bit ring 0", code, { star });
    vcpu.gpr.rcx = 0x1234_5678_9abcn;
    vcpu.gpr.r11 = 0x202n;
    const { rsp } = vcpu.gpr;
    expect(target.step(0).exception).toBeUndefined();
    expect(stateOf(vcpu)).toEqual({
      cpl: 3,
      cs: [((selector + (isWide ? 16 : 0)) & 0xffff) | 3, (isWide ? CODE_64 : CODE_32) | DPL_3],
      ss: [((selector + 8) & 0xffff) | 3, DATA_32 | DPL_3],
      rip: isWide ? 0x1234_5678_9abcn : 0x5678_9abcn,
      rsp,
    });
  });

  it("loads the flags from R11, but for RF, VM and what is reserved", async () => {
    const [target, vcpu] = await prepared(build, "64-bit ring 0", SYSRETQ);
    const rewind = rewinder(vcpu);
    vcpu.gpr.rcx = BigInt(CODE + 0x100);
    for (let bit = 0n; bit < 64n; bit++) {
      // VIF and VIP are of virtual-8086 mode extensions.
      if (bit === 8n || bit === 19n || bit === 20n) continue;
      rewind();
      vcpu.gpr.rcx = BigInt(CODE + 0x100);
      vcpu.gpr.r11 = 1n << bit;
      expect(target.step(0).exception).toBeUndefined();
      expect([bit, vcpu.rflags]).toEqual([bit, ((1n << bit) & ALL_FLAGS) | 2n]);
    }
  });

  it.each([
    ["just beyond the lower half", 1n << 47n],
    ["just below the upper half", (0xffff_8000n << 32n) - 1n],
    ["with a high bit", (1n << 63n) | BigInt(CODE)],
  ])("refuses a RCX %s, in ring 0, but not without REX.W", async (_, rcx) => {
    const [target, vcpu] = await prepared(build, "64-bit ring 0", SYSRETQ);
    vcpu.gpr.rcx = rcx;
    vcpu.gpr.r11 = 0xffffn;
    const { rflags } = vcpu;
    expect(target.step(0).exception?.vector).toBe(GP);
    const frame = Number(vcpu.gpr.rsp);
    const [error, rip, cs, flags] = [0, 8, 16, 24].map((at) => readU64(target, frame + at));
    expect([error, rip, cs, flags]).toEqual([0n, BigInt(CODE), 8n, rflags | 0x10000n]);
    const [other, narrow] = await prepared(build, "64-bit ring 0", SYSRET);
    narrow.gpr.rcx = rcx;
    narrow.gpr.r11 = 2n;
    expect(other.step(0).exception).toBeUndefined();
    expect(narrow.rip).toBe(rcx & 0xffffffffn);
  });
});

describe.each(BUILDS)("SYSENTER (%s)", (build) => {
  const worlds = WORLDS.filter((world) => world !== "real");
  const rows = worlds.flatMap((world) =>
    [0x08, 0x0b, 0xfff0, 0xffff].map((selector) => [world, selector] as const),
  );
  it.each(rows)("from %s, with IA32_SYSENTER_CS = %i", async (world, selector) => {
    const isLong = world.startsWith("64") || world.startsWith("compat");
    const [target, vcpu] = await prepared(build, world, SYSENTER, {
      sysenterCs: BigInt(selector) | 0xabcd_0000n,
    });
    vcpu.rflags |= 0x200cd5n;
    const before = vcpu.rflags;
    expect(target.step(0).exception).toBeUndefined();
    const width = isLong ? 64 : 32;
    const cs = selector & 0xfffc;
    expect(stateOf(vcpu)).toEqual({
      cpl: 0,
      cs: [cs, isLong ? CODE_64 : CODE_32],
      ss: [(cs + 8) & 0xffff, DATA_32],
      rip: BigInt.asUintN(width, ENTRY),
      rsp: BigInt.asUintN(width, 0xffff_9000_2345_6789n),
    });
    expect(vcpu.rflags).toBe(before & ~0x20200n); // IF VM
  });
});

describe.each(BUILDS)("SYSEXIT (%s)", (build) => {
  const FORMS: [world: WorldName, code: string, isWide: boolean][] = [
    ["16-bit ring 0", SYSEXIT, false],
    ["32-bit ring 0", SYSEXIT, false],
    ["compatibility ring 0", SYSEXIT, false],
    ["64-bit ring 0", SYSEXIT, false],
    ["64-bit ring 0", SYSEXITQ, true],
  ];
  const rows = FORMS.flatMap((form) =>
    [0x08, 0x0b, 0xffc0, 0xfff0, 0xffff].map((selector) => [...form, selector] as const),
  );
  it.each(rows)("from %s (%s, REX.W %s), IA32_SYSENTER_CS = %i", async (...row) => {
    const [world, code, isWide, selector] = row;
    const [target, vcpu] = await prepared(build, world, code, { sysenterCs: BigInt(selector) });
    vcpu.gpr.rcx = 0x1234_9abc_def0n;
    vcpu.gpr.rdx = 0x4321_0fed_cba9n;
    const { rflags } = vcpu;
    expect(target.step(0).exception).toBeUndefined();
    const width = isWide ? 64 : 32;
    const cs = (((selector & 0xffff) + (isWide ? 32 : 16)) & 0xffff) | 3;
    expect(stateOf(vcpu)).toEqual({
      cpl: 3,
      cs: [cs, (isWide ? CODE_64 : CODE_32) | DPL_3],
      ss: [(cs + 8) & 0xffff, DATA_32 | DPL_3],
      rip: BigInt.asUintN(width, 0x4321_0fed_cba9n),
      rsp: BigInt.asUintN(width, 0x1234_9abc_def0n),
    });
    expect(vcpu.rflags).toBe(rflags);
  });

  it.each([
    ["RDX", 1n << 47n, "rdx"],
    ["RCX", 1n << 47n, "rcx"],
    ["RCX", (1n << 63n) | 0x8000n, "rcx"],
  ] as const)(
    "refuses a %s that is not canonical (%i), only with REX.W",
    async (_, value, name) => {
      for (const [code, vector] of [
        [SYSEXITQ, GP],
        [SYSEXIT, undefined],
      ] as const) {
        const [target, vcpu] = await prepared(build, "64-bit ring 0", code);
        vcpu.gpr[name] = value;
        expect(target.step(0).exception?.vector).toBe(vector);
        expect(vcpu.cpl).toBe(vector === undefined ? 3 : 0);
      }
    },
  );
});

describe.each(BUILDS)("fast calls where they cannot be (%s)", (build) => {
  const is64 = (world: WorldName) => world.startsWith("64");
  const isRing0 = (world: WorldName) => world === "real" || world.endsWith("0");
  const isLong = (world: WorldName) => is64(world) || world.startsWith("compat");

  /** The manual's order: #UD by mode and EFER.SCE, then privilege; SYSENTER and SYSEXIT know no #UD. */
  function vectorOf(world: WorldName, code: string, { sce, isNull }: Case): number | undefined {
    if (code === SYSCALL) return is64(world) && sce ? undefined : UD;
    if (code === SYSRET) return !is64(world) || !sce ? UD : isRing0(world) ? undefined : GP;
    if (world === "real" || isNull) return GP;
    return code === SYSENTER || isRing0(world) ? undefined : GP;
  }
  interface Case {
    sce: boolean;
    isNull: boolean;
  }
  const cases: Case[] = [
    { sce: true, isNull: false },
    { sce: false, isNull: false },
    { sce: true, isNull: true },
  ];
  const rows = WORLDS.flatMap((world) =>
    cases.flatMap((each) =>
      [SYSCALL, SYSRET, SYSENTER, SYSEXIT].map((code) => [world, code, each] as const),
    ),
  );
  it.each(rows)("%s, %s, %o", async (world, code, each) => {
    // Of a null selector the RPL does not count, nor do bits 31:16 of the MSR.
    const sysenterCs = each.isNull ? 0xffff0003n : 8n;
    const [target, vcpu] = await prepared(build, world, code, { sce: each.sce, sysenterCs });
    vcpu.gpr.rcx = BigInt(CODE);
    vcpu.gpr.rdx = BigInt(CODE);
    vcpu.gpr.r11 = 2n;
    const { exception } = target.step(0);
    const expected = vectorOf(world, code, each);
    expect(exception?.vector).toBe(expected);
    if (expected !== GP || world === "real") return;
    const size = isLong(world) ? 8 : 4;
    expect(readU64(target, Number(vcpu.gpr.rsp)) & (size === 8 ? -1n : 0xffffffffn)).toBe(0n);
  });
});
