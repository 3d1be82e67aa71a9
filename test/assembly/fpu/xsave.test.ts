/**
 * The XSAVE feature set for x87 and SSE state: where it exists, what it refuses, what it saves and restores. The images
 * themselves are held to silicon (test/silicon/xsave.bin). Source: SDM 1 "Managing State Using the XSAVE Feature Set";
 * SDM 2 "XSAVE", "XSAVEOPT", "XSAVEC", "XRSTOR", "XGETBV", "XSETBV", "CPUID".
 */
import { describe, expect, it } from "vitest";
import { Machine, type Vcpu } from "../../../src/index.js";
import { BUILDS, hex, readU64, writeU64, type Build } from "../../support/machine.js";
import { DATA, PT, worldOf, WORLDS, type WorldName } from "../../support/worlds.js";

const [UD, NM, GP, PF] = [6, 7, 13, 14];
const OSXSAVE = 1n << 18n;
const AREA = DATA + 0x400;
const COMPACTED = 1n << 63n;

/** With the area at [RBX]. */
const XSAVE = "0f ae 23";
const XSAVEOPT = "0f ae 33";
const XSAVEC = "0f c7 23";
const XRSTOR = "0f ae 2b";
const ALL = [XSAVE, XSAVEOPT, XSAVEC, XRSTOR];
const XGETBV = "0f 01 d0";
const XSETBV = "0f 01 d1";

interface Setup {
  world?: WorldName;
  cr4?: bigint;
  xcr0?: bigint;
  cpu?: string;
}

async function prepared(
  build: Build,
  code: string,
  { world = "64-bit ring 3", cr4 = OSXSAVE, xcr0 = 3n, cpu = "x2vm" }: Setup = {},
): Promise<[Machine, Vcpu]> {
  const target = await worldOf(build, world, hex(code), { cpu });
  const vcpu = target.vcpus[0]!;
  vcpu.control.cr4 |= cr4;
  vcpu.control.xcr0 = xcr0;
  Object.assign(vcpu.gpr, { rax: 3n, rdx: 0n, rcx: 0n, rbx: BigInt(AREA) });
  target.writeMemory(AREA, new Uint8Array(576));
  return [target, vcpu];
}

/** Makes nothing of the state what it is initially. */
function fill(vcpu: Vcpu): void {
  const { fpu } = vcpu;
  fpu.fcw = 0x27f;
  fpu.fsw = 0x3000;
  fpu.ftw = 0xff;
  fpu.mxcsr = 0x1fa0;
  for (let n = 0; n < 8; n++) fpu.setSt(n, { significand: BigInt(n + 1) << 60n, signExponent: n });
  for (let n = 0; n < 16; n++) fpu.setXmm(n, BigInt(n + 1) * 0x0101_0101_0101_0101n);
}

/** XSTATE_BV and XCOMP_BV. */
const headerOf = (target: Machine) => [readU64(target, AREA + 512), readU64(target, AREA + 520)];

describe.each(BUILDS)("the XSAVE feature set (%s)", (build) => {
  it("is offered by CPUID, and OSXSAVE follows CR4", async () => {
    for (const [cr4, bit] of [
      [0n, 0n],
      [OSXSAVE, 1n],
    ] as const) {
      const [target, vcpu] = await prepared(build, "0f a2", { cr4 });
      vcpu.gpr.rax = 1n;
      target.step(0);
      expect([(vcpu.gpr.rcx >> 26n) & 1n, (vcpu.gpr.rcx >> 27n) & 1n]).toEqual([1n, bit]);
    }
  });

  const LEAVES: [cpu: string, subleaf: bigint, result: bigint[]][] = [
    ["x2vm", 0n, [3n, 576n, 576n, 0n]],
    ["x2vm", 1n, [7n, 576n, 0n, 0n]],
    ["x2vm", 2n, [0n, 0n, 0n, 0n]],
    ["x2vm,-xsavec", 1n, [5n, 0n, 0n, 0n]],
    ["x2vm,-xsaveopt,-xgetbv1", 1n, [2n, 576n, 0n, 0n]],
    ["x2vm,-xsave", 0n, [0n, 0n, 0n, 0n]],
    ["kvm64", 0n, [0n, 0n, 0n, 0n]],
  ];
  it.each(LEAVES)("leaf 0DH of %s, subleaf %i", async (cpu, subleaf, result) => {
    const [target, { gpr }] = await prepared(build, "0f a2", { cpu, cr4: 0n });
    gpr.rax = 0xdn;
    gpr.rcx = subleaf;
    target.step(0);
    expect([gpr.rax, gpr.rbx, gpr.rcx, gpr.rdx]).toEqual(result);
  });

  it.each(WORLDS)("works in %s, with eight XMM registers outside 64-bit mode", async (world) => {
    const isShort = world === "real" || world === "v86" || world.startsWith("16");
    const code = (bytes: string) => (isShort ? `67 ${bytes}` : bytes);
    const [target, vcpu] = await prepared(build, `${code(XSAVE)} ${code(XRSTOR)}`, { world });
    if (isShort) vcpu.gpr.rbx = 0x400n;
    fill(vcpu);
    const xmm8 = vcpu.fpu.xmm(8);
    expect(target.step(0).exception).toBeUndefined();
    const saved = target.readMemory(AREA, 576);
    const is64 = world.startsWith("64");
    expect([saved[160]!, saved[272]!, saved[288]!]).toEqual([1, 8, is64 ? 9 : 0]);
    expect(headerOf(target)).toEqual([3n, 0n]);
    for (let n = 0; n < 16; n++) vcpu.fpu.setXmm(n, 0n);
    Object.assign(vcpu.fpu, { fcw: 0x37f, fsw: 0, ftw: 0, mxcsr: 0x1f80 });
    expect(target.step(0).exception).toBeUndefined();
    expect(vcpu.fpu.xmm(7)).toBe(0x0808_0808_0808_0808n);
    expect(vcpu.fpu.xmm(8)).toBe(is64 ? xmm8 : 0n);
    expect([vcpu.fpu.fcw, vcpu.fpu.fsw, vcpu.fpu.ftw, vcpu.fpu.mxcsr]).toEqual([
      0x27f, 0x3000, 0xff, 0x1fa0,
    ]);
  });

  type Refusal = [
    what: string,
    codes: string[],
    setup: Setup,
    prepare: (vcpu: Vcpu) => void,
    vector: number | undefined,
  ];
  const nothing = () => {};
  const REFUSALS: Refusal[] = [
    ["CR4.OSXSAVE is 0", [...ALL, XGETBV, XSETBV], { cr4: 0n }, nothing, UD],
    [
      "CR4.OSXSAVE is 0, before privilege and TS",
      [XSETBV, XSAVE],
      { cr4: 0n },
      ({ control }) => (control.cr0 |= 8n),
      UD,
    ],
    ["CR0.TS is 1", ALL, {}, ({ control }) => (control.cr0 |= 8n), NM],
    [
      "CR0.TS is 1, before alignment",
      ALL,
      {},
      ({ control, gpr }) => ((control.cr0 |= 8n), (gpr.rbx += 1n)),
      NM,
    ],
    ["the area is not aligned to 64 bytes", ALL, {}, ({ gpr }) => (gpr.rbx += 16n), GP],
    ["the address is not canonical", ALL, {}, ({ gpr }) => (gpr.rbx = 1n << 47n), GP],
    ["the area is not there", ALL, {}, ({ gpr }) => (gpr.rbx = 0x400000n), PF],
    ["66 stands before it", ALL.map((code) => `66 ${code}`), {}, nothing, UD],
    ["F3 stands before it", ALL.map((code) => `f3 ${code}`), {}, nothing, UD],
    ["F2 stands before it", ALL.map((code) => `f2 ${code}`), {}, nothing, UD],
    ["LOCK stands before it", ALL.map((code) => `f0 ${code}`), {}, nothing, UD],
    ["XSAVE has a register", ["0f ae e3", "0f c7 e3"], {}, nothing, UD],
    [
      "it is one for supervisor state",
      ["0f c7 2b", "0f c7 1b"],
      { world: "64-bit ring 0" },
      nothing,
      UD,
    ],
  ];
  it.each(REFUSALS)("raises when %s", async (_, codes, setup, prepare, vector) => {
    for (const code of codes) {
      const [target, vcpu] = await prepared(build, code, setup);
      prepare(vcpu);
      expect([code, target.step(0).exception?.vector]).toEqual([code, vector]);
    }
  });

  it("does not ask for CR0.EM, CR4.OSFXSR or pending exceptions", async () => {
    for (const code of ALL) {
      const [target, vcpu] = await prepared(build, code);
      vcpu.control.cr0 |= 4n;
      vcpu.control.cr4 &= ~0x200n;
      fill(vcpu);
      vcpu.fpu.fcw = 0x340;
      vcpu.fpu.fsw = 0x8081;
      expect([code, target.step(0).exception]).toEqual([code, undefined]);
    }
  });

  it("XGETBV gives XCR0, and with ECX = 1 what of it is in use", async () => {
    const [target, { gpr, fpu }] = await prepared(build, `${XGETBV} ${XGETBV} ${XGETBV} ${XGETBV}`);
    const get = (ecx: bigint) => {
      gpr.rcx = ecx | (1n << 32n);
      gpr.rax = -1n;
      gpr.rdx = -1n;
      expect(target.step(0).exception).toBeUndefined();
      return [gpr.rax, gpr.rdx];
    };
    Object.assign(fpu, { fcw: 0x37f, ftw: 0, mxcsr: 0x1fbf });
    expect([get(0n), get(1n)]).toEqual([
      [3n, 0n],
      [0n, 0n],
    ]);
    fpu.ftw = 1;
    expect(get(1n)).toEqual([1n, 0n]);
    fpu.setXmm(15, 1n << 127n);
    expect(get(1n)).toEqual([3n, 0n]);
  });

  it("XGETBV knows no other register", async () => {
    for (const [cpu, ecx, vector] of [
      ["x2vm", 1n, undefined],
      ["x2vm,-xgetbv1", 1n, GP],
      ["x2vm", 2n, GP],
      ["x2vm", 0xffffffffn, GP],
    ] as const) {
      const [target, { gpr }] = await prepared(build, XGETBV, { cpu });
      gpr.rcx = ecx;
      expect([cpu, ecx, target.step(0).exception?.vector]).toEqual([cpu, ecx, vector]);
    }
  });

  it.each([
    ["x87 and SSE", "64-bit ring 0", 0n, 3n, 0n, undefined],
    ["x87 alone", "64-bit ring 0", 0n, 1n, 0n, undefined],
    ["SSE without x87", "64-bit ring 0", 0n, 2n, 0n, GP],
    ["nothing", "64-bit ring 0", 0n, 0n, 0n, GP],
    ["AVX", "64-bit ring 0", 0n, 7n, 0n, GP],
    ["a high bit", "64-bit ring 0", 0n, 3n, 1n, GP],
    ["another register", "64-bit ring 0", 1n, 3n, 0n, GP],
    ["ring 3", "64-bit ring 3", 0n, 3n, 0n, GP],
    ["virtual-8086 mode", "v86", 0n, 3n, 0n, GP],
    ["real-address mode", "real", 0n, 3n, 0n, undefined],
  ] as const)("XSETBV: %s, %s", async (_, world, rcx, rax, rdx, vector) => {
    const [target, vcpu] = await prepared(build, XSETBV, { world, xcr0: 1n });
    Object.assign(vcpu.gpr, { rcx, rax, rdx });
    expect(target.step(0).exception?.vector).toBe(vector);
    expect(vcpu.control.xcr0).toBe(vector === undefined ? rax : 1n);
  });

  type Saved = [
    what: string,
    code: string,
    xcr0: bigint,
    mask: bigint,
    use: "all" | "none" | "mxcsr",
    bv: bigint,
    x87: boolean,
    mxcsr: boolean,
    xmm: boolean,
  ];
  /** XSTATE_BV, which was 3 before where that is kept, and the parts that were written. */
  const SAVES: Saved[] = [
    ["XSAVE of all", XSAVE, 3n, 3n, "all", 3n, true, true, true],
    ["XSAVE of x87", XSAVE, 3n, 1n, "all", 3n, true, false, false],
    ["XSAVE of SSE", XSAVE, 3n, 2n, "all", 3n, false, true, true],
    ["XSAVE of nothing", XSAVE, 3n, 0n, "all", 3n, false, false, false],
    ["XSAVE of what XCR0 has not", XSAVE, 1n, 3n, "all", 3n, true, false, false],
    ["XSAVE of components that there are not", XSAVE, 3n, -1n, "all", 3n, true, true, true],
    ["XSAVE of initial state", XSAVE, 3n, 3n, "none", 0n, true, true, true],
    ["XSAVE of initial x87 state", XSAVE, 3n, 1n, "none", 2n, true, false, false],
    ["XSAVEOPT of all", XSAVEOPT, 3n, 3n, "all", 3n, true, true, true],
    ["XSAVEOPT of initial state", XSAVEOPT, 3n, 3n, "none", 0n, false, true, false],
    ["XSAVEOPT of initial x87 state", XSAVEOPT, 3n, 1n, "none", 2n, false, false, false],
    ["XSAVEOPT with a MXCSR", XSAVEOPT, 3n, 3n, "mxcsr", 0n, false, true, false],
    ["XSAVEC of all", XSAVEC, 3n, 3n, "all", 3n, true, true, true],
    ["XSAVEC of SSE", XSAVEC, 3n, 2n, "all", 2n, false, true, true],
    ["XSAVEC of initial state", XSAVEC, 3n, 3n, "none", 0n, false, false, false],
    ["XSAVEC with a MXCSR", XSAVEC, 3n, 3n, "mxcsr", 2n, false, true, true],
  ];
  it.each(SAVES)("%s", async (_, code, xcr0, mask, use, bv, x87, mxcsr, xmm) => {
    const [target, vcpu] = await prepared(build, code, { xcr0 });
    if (use === "all") fill(vcpu);
    else Object.assign(vcpu.fpu, { fcw: 0x37f, ftw: 0, mxcsr: use === "mxcsr" ? 0x1f81 : 0x1f80 });
    target.writeMemory(AREA, new Uint8Array(576).fill(0xaa));
    writeU64(target, AREA + 512, 3n);
    Object.assign(vcpu.gpr, { rax: mask, rdx: mask >> 32n });
    expect(target.step(0).exception).toBeUndefined();
    const isUntouched = (at: number) => target.readMemory(AREA + at, 1)[0] === 0xaa;
    expect([0, 24, 160, 416, 528, 575].map(isUntouched)).toEqual([
      !x87,
      !mxcsr,
      !xmm,
      true,
      true,
      true,
    ]);
    expect([32, 159].map(isUntouched)).toEqual([!x87, !x87]);
    const compaction = code === XSAVEC ? COMPACTED | (mask & xcr0) : 0xaaaa_aaaa_aaaa_aaaan;
    expect(headerOf(target)).toEqual([bv, compaction]);
  });

  type Restored = [
    what: string,
    bv: bigint,
    comp: bigint,
    third: bigint,
    mask: bigint,
    result: string,
  ];
  /** Per component: "image", "initial", "kept"; x87, XMM, MXCSR. */
  const RESTORES: Restored[] = [
    ["all", 3n, 0n, 0n, 3n, "image image image"],
    ["x87 alone", 3n, 0n, 0n, 1n, "image kept kept"],
    ["SSE alone", 3n, 0n, 0n, 2n, "kept image image"],
    ["nothing", 3n, 0n, 0n, 0n, "kept kept kept"],
    ["initial state: MXCSR is loaded", 0n, 0n, 0n, 3n, "initial initial image"],
    ["initial SSE state", 1n, 0n, 0n, 3n, "image initial image"],
    ["initial x87 state alone", 2n, 0n, 0n, 1n, "initial kept kept"],
    ["compacted", 3n, COMPACTED | 3n, 0n, 3n, "image image image"],
    ["compacted, initial state: MXCSR too", 0n, COMPACTED | 3n, 0n, 3n, "initial initial initial"],
    ["compacted, SSE left out", 1n, COMPACTED | 1n, 0n, 3n, "image initial initial"],
    ["compacted, nothing asked for", 3n, COMPACTED | 3n, 0n, 0n, "kept kept kept"],
    ["a component that XCR0 has not", 7n, 0n, 0n, 3n, "#GP"],
    ["the same, not asked for", 4n, 0n, 0n, 0n, "#GP"],
    ["XCOMP_BV without bit 63", 3n, 3n, 0n, 3n, "#GP"],
    ["bytes 23:16 of the header", 3n, 0n, 1n, 3n, "#GP"],
    ["compacted, XCR0 has it not", 3n, COMPACTED | 7n, 0n, 3n, "#GP"],
    ["compacted, XCOMP_BV has it not", 3n, COMPACTED | 1n, 0n, 3n, "#GP"],
    ["compacted, bytes 23:16 of the header", 3n, COMPACTED | 3n, 1n, 3n, "#GP"],
  ];
  it.each(RESTORES)("XRSTOR: %s", async (_, bv, comp, third, mask, result) => {
    const [target, vcpu] = await prepared(build, `${XSAVE} ${XRSTOR}`);
    const { fpu } = vcpu;
    fill(vcpu);
    target.step(0);
    const image = [fpu.fcw, fpu.xmm(0), fpu.mxcsr];
    const kept = [0x7f, 0x77n, 0x1f90];
    Object.assign(fpu, { fcw: 0x7f, mxcsr: 0x1f90 });
    fpu.setXmm(0, 0x77n);
    writeU64(target, AREA + 512, bv);
    writeU64(target, AREA + 520, comp);
    writeU64(target, AREA + 528, third);
    vcpu.gpr.rax = mask;
    const { exception } = target.step(0);
    const initial = [0x37f, 0n, 0x1f80];
    const found = [fpu.fcw, fpu.xmm(0), fpu.mxcsr];
    if (result === "#GP") {
      expect([exception?.vector, ...found]).toEqual([GP, ...kept]);
      return;
    }
    expect(exception).toBeUndefined();
    const source: Record<string, unknown[]> = { image, initial, kept };
    expect(found).toEqual(result.split(" ").map((from, i) => source[from]![i]));
  });

  it("XRSTOR to the initial x87 state clears all of it", async () => {
    const [target, vcpu] = await prepared(build, XRSTOR);
    fill(vcpu);
    vcpu.fpu.last = { fop: 1, fip: 2n, fdp: 3n, fcs: 4, fds: 5 };
    expect(target.step(0).exception).toBeUndefined();
    const { fpu } = vcpu;
    expect([fpu.fcw, fpu.fsw, fpu.ftw]).toEqual([0x37f, 0, 0]);
    expect(fpu.last).toEqual({ fop: 0, fip: 0n, fdp: 0n, fcs: 0, fds: 0 });
    for (let n = 0; n < 8; n++) expect(fpu.st(n)).toEqual({ significand: 0n, signExponent: 0 });
  });

  it("XRSTOR refuses a MXCSR that it loads, and no other", async () => {
    for (const [bv, comp, mask, vector] of [
      [3n, 0n, 3n, GP],
      [0n, 0n, 2n, GP],
      [3n, 0n, 1n, undefined],
      [3n, COMPACTED | 3n, 3n, GP],
      [1n, COMPACTED | 3n, 3n, undefined],
    ] as const) {
      const [target, vcpu] = await prepared(build, XRSTOR);
      fill(vcpu);
      writeU64(target, AREA + 24, 0x10000n);
      writeU64(target, AREA + 512, bv);
      writeU64(target, AREA + 520, comp);
      vcpu.gpr.rax = mask;
      expect([bv, comp, target.step(0).exception?.vector]).toEqual([bv, comp, vector]);
      if (vector === GP) expect(vcpu.fpu.xmm(0)).toBe(0x0101_0101_0101_0101n);
    }
  });

  it("XRSTOR knows no compacted format on a CPU without XSAVEC", async () => {
    const [target] = await prepared(build, XRSTOR, { cpu: "x2vm,-xsavec" });
    writeU64(target, AREA + 520, COMPACTED | 3n);
    expect(target.step(0).exception?.vector).toBe(GP);
  });

  it("XSAVE64 saves pointers of 64 bits, XSAVE offset and selector", async () => {
    for (const [code, fip] of [
      [XSAVE, 0x0023_89ab_cdefn],
      [`48 ${XSAVE}`, 0x1234_89ab_cdefn],
    ] as const) {
      const [target, vcpu] = await prepared(build, code);
      vcpu.fpu.last = { fop: 0x7ff, fip: 0x1234_89ab_cdefn, fdp: 0x77n, fcs: 0x23, fds: 0x2b };
      target.step(0);
      expect(readU64(target, AREA + 8)).toBe(fip);
    }
  });

  it.each([XSAVE, XSAVEOPT, XSAVEC, XRSTOR])(
    "%s over a page that is not there changes nothing",
    async (code) => {
      const [target, vcpu] = await prepared(build, code);
      fill(vcpu);
      const at = DATA + 0x3000 - 512; // the header lies in the next page
      vcpu.gpr.rbx = BigInt(at);
      target.writeMemory(at, new Uint8Array(576).fill(0xaa));
      writeU64(target, PT + ((at + 512) >> 12) * 8, 0n);
      expect(target.step(0).exception?.vector).toBe(PF);
      expect([...target.readMemory(at, 512)].every((byte) => byte === 0xaa)).toBe(true);
      expect([vcpu.fpu.fcw, vcpu.fpu.xmm(3)]).toEqual([0x27f, 0x0404_0404_0404_0404n]);
    },
  );

  it("RESET makes XCR0 1, INIT keeps it, and a snapshot has it", async () => {
    const target = await Machine.create({ build, memoryBytes: 1 << 20, apicIds: [0, 1] });
    const [boot, other] = [target.vcpus[0]!, target.vcpus[1]!];
    expect([boot.control.xcr0, other.control.xcr0]).toEqual([1n, 1n]);
    other.control.xcr0 = 3n;
    boot.writeMsr(0x1b, boot.readMsr(0x1b)! | 0xc00n);
    boot.writeMsr(0x80f, 0x1ffn);
    boot.writeMsr(0x830, (1n << 32n) | 0x4500n);
    expect(other.runState).toBe("uninitialized");
    target.run({ maxInstructions: 10 });
    expect([other.runState, other.control.xcr0]).toEqual(["wait-for-sipi", 3n]);
    const restored = await Machine.restore(target.snapshot());
    expect(restored.vcpus[1]!.control.xcr0).toBe(3n);
  });
});
