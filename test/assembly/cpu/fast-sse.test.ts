/** Fast SSE handlers against the exact path, which MXCSR chooses, and the checks that must stay in front of them. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Machine } from "../../../src/index.js";
import {
  BUILDS,
  CODE,
  enterLongMode,
  hex,
  IDT,
  machine,
  PT,
  setGate64,
  writeU64,
  type Build,
} from "../../support/machine.js";

const LOOP = "eb fe";
const HANDLER = 0xf000;
const HANDLER_BYTES = 16;
const DATA = 0x20000;
const PAGE = 0x1000;
const CR4_PAE_OSFXSR_OSXMMEXCPT = 0x620n;
const CR0_EM = 4n;
const CR0_TS = 8n;
const UD = 6;
const NM = 7;
const GP = 13;
const PF = 14;

/** Rounds to nearest, all masked: PE clear, and PE set. */
const MXCSR_CLEAR = 0x1f80;
const MXCSR_SEEN = 0x1fa0;
/** #D unmasked: nothing of the host's arithmetic is used. */
const MXCSR_DENORMAL = 0x1ea0;
const PE = 0x20;

async function prepare(build: Build): Promise<Machine> {
  const target = await machine(build, { memoryBytes: 2 << 20 });
  for (let vector = 0; vector < 32; vector++) {
    setGate64(target, vector, HANDLER + vector * HANDLER_BYTES);
    target.writeMemory(HANDLER + vector * HANDLER_BYTES, hex(LOOP));
  }
  const vcpu = target.vcpus[0]!;
  enterLongMode(target, vcpu);
  vcpu.idtr = { base: BigInt(IDT), limit: 32 * 16 - 1 };
  vcpu.control.cr4 = CR4_PAE_OSFXSR_OSXMMEXCPT;
  return target;
}

/** Runs until it loops on the spot. @returns the vector of the exception, or undefined */
function runCode(target: Machine, code: string): number | undefined {
  const vcpu = target.vcpus[0]!;
  target.writeMemory(CODE, hex(`${code} ${LOOP}`));
  vcpu.rip = BigInt(CODE);
  target.run({ maxInstructions: 20 });
  const at = Number(vcpu.rip) - HANDLER;
  return at >= 0 && at < 32 * HANDLER_BYTES ? at / HANDLER_BYTES : undefined;
}

interface Outcome {
  vector: number | undefined;
  xmm: bigint;
  rax: bigint;
  flags: bigint;
  mxcsr: number;
}

function outcome(target: Machine, code: string, mxcsr: number, a: bigint, b: bigint): Outcome {
  const vcpu = target.vcpus[0]!;
  vcpu.fpu.mxcsr = mxcsr;
  vcpu.fpu.setXmm(0, a);
  vcpu.fpu.setXmm(1, b);
  vcpu.gpr.rax = b & 0xffffffffffffffffn;
  vcpu.gpr.rbx = BigInt(DATA);
  vcpu.rflags = 2n;
  writeU64(target, DATA, b & 0xffffffffffffffffn);
  writeU64(target, DATA + 8, b >> 64n);
  const vector = runCode(target, code);
  const { fpu, gpr, rflags } = vcpu;
  return { vector, xmm: fpu.xmm(0), rax: gpr.rax, flags: rflags, mxcsr: fpu.mxcsr };
}

// Opcode and mandatory prefix; each is tried with xmm1 and with memory.
const FORMS: readonly [name: string, code: string][] = [
  ...(["f2", "f3", "66", ""] as const).flatMap((prefix) =>
    (["58", "59", "5c", "5e"] as const).map((byte): [string, string] => [
      `${prefix} 0f ${byte}`,
      `${prefix} 0f ${byte}`,
    ]),
  ),
  ["sqrtsd", "f2 0f 51"],
  ["sqrtss", "f3 0f 51"],
  ["cvtss2sd", "f3 0f 5a"],
  ["cvtsd2ss", "f2 0f 5a"],
  ["cvttsd2si eax", "f2 0f 2c"],
  ["cvttsd2si rax", "f2 48 0f 2c"],
  ["cvtsi2sd eax", "f2 0f 2a"],
  ["cvtsi2sd rax", "f2 48 0f 2a"],
  ["ucomisd", "66 0f 2e"],
  ["comiss", "0f 2f"],
];

// Doubles (and pairs of singles) about every border: zeros, denormals, least normals, ones, integers, largest, not numbers.
const EXPONENTS = [0, 1, 2, 0x3cd, 0x3fe, 0x3ff, 0x400, 0x41e, 0x433, 0x43e, 0x7fd, 0x7fe, 0x7ff];
const double = fc
  .tuple(
    fc.boolean(),
    fc.oneof(fc.constantFrom(...EXPONENTS), fc.integer({ min: 0x380, max: 0x47f })),
    fc.oneof(fc.constantFrom(0n, 1n, 0xfffffffffffffn), fc.bigInt(0n, 0xfffffffffffffn)),
  )
  .map(([sign, exp, low]) => (sign ? 1n << 63n : 0n) | (BigInt(exp) << 52n) | low);
const single = fc
  .tuple(
    fc.boolean(),
    fc.oneof(fc.constantFrom(0, 1, 2, 0x7e, 0x7f, 0x80, 0xfd, 0xfe, 0xff), fc.nat(255)),
    fc.oneof(fc.constantFrom(0, 1, 0x7fffff), fc.nat(0x7fffff)),
  )
  .map(([sign, exp, low]) => BigInt(((sign ? 256 : 0) + exp) * 0x800000 + low));
const register = fc.oneof(
  fc.tuple(double, double).map(([low, high]) => low | (high << 64n)),
  fc
    .array(single, { minLength: 4, maxLength: 4 })
    .map((lanes) => lanes.reduce((all, lane) => (all << 32n) | lane, 0n)),
);

const PER_FORM = 60;

describe.each(BUILDS)("fast SSE arithmetic, %s core", (build) => {
  it.each(FORMS)("%s gives what the exact path gives", async (_, code) => {
    const target = await prepare(build);
    fc.assert(
      fc.property(register, register, fc.constantFrom("c1", "03"), (a, b, modrm) => {
        const general = code.endsWith("2a") && modrm === "c1" ? "c0" : modrm;
        const bytes = `${code} ${general}`;
        const fast = outcome(target, bytes, MXCSR_SEEN, a, b);
        const clear = outcome(target, bytes, MXCSR_CLEAR, a, b);
        expect({ ...clear, mxcsr: clear.mxcsr | PE }).toEqual(fast);
        const soft = outcome(target, bytes, MXCSR_DENORMAL, a, b);
        if (soft.vector === undefined) expect({ ...soft, mxcsr: soft.mxcsr | 0x100 }).toEqual(fast);
      }),
      { numRuns: PER_FORM, seed: 1 },
    );
  });

  // Recorded on a CPU: 2^-1022 is what (1 - 2^-53) * 2^-1022 rounds to, but with more exponents it would stay below.
  it.each([
    [0x1f80, 0x10000000000000n, 0x1fb0],
    [0x1fa0, 0x10000000000000n, 0x1fb0],
    [0x9f80, 0n, 0x9fb0],
    [0x9fa0, 0n, 0x9fb0],
  ])("a product that rounds up to the least normal number is tiny (MXCSR %x)", async (...row) => {
    const [mxcsr, product, after] = row;
    const target = await prepare(build);
    const got = outcome(target, "f2 0f 59 c1", mxcsr, 0x3fefffffffffffffn, 0x10000000000000n);
    expect([got.xmm, got.mxcsr]).toEqual([product, after]);
  });

  it("so is one of singles", async () => {
    const target = await prepare(build);
    const got = outcome(target, "f3 0f 59 c1", 0x1fa0, 0x3f7fffffn, 0x800000n);
    expect([got.xmm, got.mxcsr]).toEqual([0x800000n, 0x1fb0]);
  });
});

describe.each(BUILDS)("fast SSE moves, %s core", (build) => {
  const MOVAPS = "0f 28 c1";

  it("fault by the control registers, also where the code ran before", async () => {
    const target = await prepare(build);
    const { control } = target.vcpus[0]!;
    const { cr0, cr4 } = control;
    expect(runCode(target, MOVAPS)).toBeUndefined();
    control.cr0 = cr0 | CR0_TS;
    expect(runCode(target, MOVAPS)).toBe(NM);
    control.cr0 = cr0 | CR0_EM | CR0_TS;
    expect(runCode(target, MOVAPS)).toBe(UD);
    control.cr0 = cr0;
    control.cr4 = 0x20n;
    expect(runCode(target, MOVAPS)).toBe(UD);
    control.cr4 = cr4;
    expect(runCode(target, MOVAPS)).toBeUndefined();
  });

  it("see MOV to CR0 and CLTS at once", async () => {
    const target = await prepare(build);
    const setTs = "0f 20 c0 0c 08 0f 22 c0";
    expect(runCode(target, `${MOVAPS} ${setTs} ${MOVAPS}`)).toBe(NM);
    expect(runCode(target, `${setTs} 0f 06 ${MOVAPS}`)).toBeUndefined();
  });

  it.each([
    ["movaps load", "0f 28 03"],
    ["movaps store", "0f 29 03"],
    ["movdqa load", "66 0f 6f 03"],
    ["paddd", "66 0f fe 03"],
    ["pminub", "66 0f da 03"],
    ["addps", "0f 58 03"],
  ])("%s of a misaligned operand is #GP, before the page is looked at", async (_, code) => {
    const target = await prepare(build);
    const vcpu = target.vcpus[0]!;
    writeU64(target, PT + ((DATA + PAGE) / PAGE) * 8, 0n);
    for (const address of [DATA + 8, DATA + PAGE - 8, DATA + PAGE + 8]) {
      vcpu.gpr.rbx = BigInt(address);
      expect(runCode(target, code)).toBe(GP);
    }
    vcpu.gpr.rbx = BigInt(DATA + PAGE);
    expect(runCode(target, code)).toBe(PF);
    vcpu.gpr.rbx = BigInt(DATA);
    expect(runCode(target, code)).toBeUndefined();
  });

  it.each([
    ["movups", "0f 11 03", 16],
    ["movdqu", "f3 0f 7f 03", 16],
    ["movsd", "f2 0f 11 03", 8],
    ["movq", "66 0f d6 03", 8],
    ["movss", "f3 0f 11 03", 4],
    ["movd", "66 0f 7e 03", 4],
  ])("%s stores over a page end, or nothing at all", async (_, code, bytes) => {
    const target = await prepare(build);
    const vcpu = target.vcpus[0]!;
    const value = 0x100f0e0d0c0b0a090807060504030201n;
    vcpu.fpu.setXmm(0, value);
    const end = DATA + PAGE;
    vcpu.gpr.rbx = BigInt(end - 3);
    expect(runCode(target, code)).toBeUndefined();
    expect([...target.readMemory(end - 3, bytes + 1)]).toEqual([
      ...Array.from({ length: bytes }, (_unused, i) => i + 1),
      0,
    ]);
    target.writeMemory(end - 3, new Uint8Array(3));
    const entry = PT + (end / PAGE) * 8;
    writeU64(target, entry, 0n);
    const { cr3 } = vcpu.control;
    vcpu.control.cr3 = cr3; // flushes
    expect(runCode(target, code)).toBe(PF);
    expect(vcpu.control.cr2).toBe(BigInt(end));
    expect([...target.readMemory(end - 3, 3)]).toEqual([0, 0, 0]);
  });
});
