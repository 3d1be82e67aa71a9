/**
 * Who may use x87, MMX and SSE: what CR0.EM, MP, TS, NE and CR4.OSFXSR, OSXMMEXCPT make of each kind of instruction.
 * Source: SDM 3A "Control Registers" (the bits), "Device Not Available Exception"; SDM 2 "Exceptions Type".
 */
import { describe, expect, it } from "vitest";
import { BUILDS, hex, type Build } from "../../support/machine.js";
import { DATA, worldOf } from "../../support/worlds.js";

const MP = 2;
const EM = 4;
const TS = 8;
const NE = 0x20;
const OSFXSR = 0x200;
const OSXMMEXCPT = 0x400;

const NONE = 0;
const UD = 6;
const NM = 7;
const MF = 16;
const XM = 19;

type Kind = "x87" | "wait" | "mmx" | "sse" | "mmx and sse" | "free";

/** The rules, by the kind of instruction. */
function expected(kind: Kind, cr0: number, cr4: number, isPending: boolean): number {
  const waits = isPending && cr0 & NE ? MF : NONE;
  switch (kind) {
    case "x87":
      return cr0 & (EM | TS) ? NM : waits;
    case "wait":
      return (cr0 & (MP | TS)) === (MP | TS) ? NM : waits;
    case "mmx":
      return cr0 & EM ? UD : cr0 & TS ? NM : waits;
    case "sse":
      return cr0 & EM || !(cr4 & OSFXSR) ? UD : cr0 & TS ? NM : NONE;
    case "mmx and sse":
      return cr0 & EM || !(cr4 & OSFXSR) ? UD : cr0 & TS ? NM : waits;
    case "free":
      return NONE;
  }
}

const INSTRUCTIONS: [what: string, code: string, kind: Kind][] = [
  ["FLD1", "d9 e8", "x87"],
  ["FLD m32", "d9 03", "x87"],
  ["FADD", "d8 c1", "x87"],
  ["FXCH", "d9 c9", "x87"],
  ["FISTTP", "db 0b", "x87"],
  ["FWAIT", "9b", "wait"],
  ["PADDB mm", "0f fc c1", "mmx"],
  ["MOVD mm", "0f 6e c1", "mmx"],
  ["EMMS", "0f 77", "mmx"],
  ["PAVGB mm, of SSE", "0f e0 c1", "mmx"],
  ["PSHUFB mm, of SSSE3", "0f 38 00 c1", "mmx"],
  ["PALIGNR mm", "0f 3a 0f c1 01", "mmx"],
  ["MOVNTQ", "0f e7 03", "mmx"],
  ["ADDPS", "0f 58 c1", "sse"],
  ["MOVAPS", "0f 28 03", "sse"],
  ["MOVUPS store", "0f 11 03", "sse"],
  ["PADDB xmm", "66 0f fc c1", "sse"],
  ["MOVD xmm", "66 0f 6e c1", "sse"],
  ["PTEST", "66 0f 38 17 c1", "sse"],
  ["PCMPISTRI", "66 0f 3a 63 c1 00", "sse"],
  ["LDMXCSR", "0f ae 53 10", "sse"],
  ["STMXCSR", "0f ae 5b 10", "sse"],
  ["CVTSI2SD", "f2 0f 2a c1", "sse"],
  ["CVTPS2PI", "0f 2d c1", "mmx and sse"],
  ["MOVDQ2Q", "f2 0f d6 c1", "mmx and sse"],
  ["MOVQ2DQ", "f3 0f d6 c1", "mmx and sse"],
  ["SFENCE", "0f ae f8", "free"],
  ["MFENCE", "0f ae f0", "free"],
  ["MOVNTI", "0f c3 03", "free"],
  ["PREFETCHT0", "0f 18 0b", "free"],
  ["CRC32", "f2 0f 38 f0 c1", "free"],
  ["POPCNT", "f3 0f b8 c1", "free"],
  ["CLFLUSH", "0f ae 3b", "free"],
];

/** The vector that an instruction of 64-bit mode, ring 0, raises under these bits. */
async function raised(
  build: Build,
  code: string,
  bits: { cr0: number; cr4: number; isPending?: boolean; mxcsr?: number },
): Promise<number> {
  const target = await worldOf(build, "64-bit ring 0", hex(code));
  const vcpu = target.vcpus[0]!;
  vcpu.gpr.rbx = BigInt(DATA + 0x100);
  target.writeMemory(DATA + 0x110, hex("80 1f 00 00")); // for LDMXCSR
  vcpu.fpu.fcw = bits.isPending === true ? 0x37e : 0x37f;
  vcpu.fpu.fsw = bits.isPending === true ? 0x8081 : 0;
  vcpu.fpu.mxcsr = bits.mxcsr ?? 0x1f80;
  vcpu.control.cr4 = BigInt(0x20 | bits.cr4);
  vcpu.control.cr0 = BigInt(0x80000011 | bits.cr0);
  const vector = target.step(0).exception?.vector ?? NONE;
  target.dispose();
  return vector;
}

describe.each(BUILDS)("x87, MMX and SSE under the control bits (%s)", (build) => {
  it.each(INSTRUCTIONS)("%s", async (_, code, kind) => {
    for (let bits = 0; bits < 32; bits++) {
      const cr0 = (bits & 1 ? EM : 0) | (bits & 2 ? TS : 0) | (bits & 4 ? MP : 0) | NE;
      const cr4 = bits & 8 ? OSFXSR : 0;
      const isPending = (bits & 16) !== 0;
      const got = await raised(build, code, { cr0, cr4, isPending });
      const what = `CR0 ${cr0.toString(16)}, CR4 ${cr4.toString(16)}, pending ${isPending}: `;
      expect(what + got).toBe(what + expected(kind, cr0, cr4, isPending));
    }
  });

  const DIVPS = "0f 5e c0"; // 0 / 0
  it.each([
    ["#XM with OSXMMEXCPT", OSFXSR | OSXMMEXCPT, 0, XM],
    ["#UD without", OSFXSR, 0, UD],
    ["nothing when masked", OSFXSR, 0x1f80, NONE],
  ])("an SSE exception is %s", async (_, cr4, mxcsr, vector) => {
    expect(await raised(build, DIVPS, { cr0: NE, cr4, mxcsr })).toBe(vector);
  });
});
