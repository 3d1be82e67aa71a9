/**
 * FSCALE with underflow unmasked: far below the smallest number, as the one instruction that wraps the exponent in vain,
 * and by zero.
 */
import { expect, describe, it } from "vitest";
import { BUILDS, hex, type Build } from "../../support/machine.js";
import { worldOf } from "../../support/worlds.js";

/** Control word, ST(0), ST(1), the result: sign and exponent, significand. Recorded on an AMD EPYC. */
type Float = readonly [signExponent: number, significand: bigint];
const ROWS: [what: string, fcw: number, st0: Float, st1: Float, result: Float][] = [
  ["down", 0x76d, [0xf007, 0xc0n << 56n], [0xffd9, 0xc0000100c0000001n], [0x8000, 0n]],
  ["up", 0xb63, [0x7ffe, 0xffffffffffffffffn], [0xc029, 0x8000000000000003n], [0, 0n]],
];

/** ST(0) after FSCALE by ST(1), and the exceptions and C1 of the status word. */
async function scale(build: Build, fcw: number, st0: Float, st1: Float) {
  const target = await worldOf(build, "64-bit ring 3", hex("d9 fd"));
  const { fpu } = target.vcpus[0]!;
  fpu.fcw = fcw;
  fpu.fsw = 0;
  fpu.ftw = 3;
  fpu.setSt(0, { signExponent: st0[0], significand: st0[1] });
  fpu.setSt(1, { signExponent: st1[0], significand: st1[1] });
  target.step(0);
  return { result: fpu.st(0), status: fpu.fsw & 0x23f };
}

describe.each(BUILDS)("FSCALE (%s)", (build) => {
  it.each(ROWS)(
    "gives zero, rounding %s",
    async (_, fcw, st0, st1, [signExponent, significand]) => {
      const { result, status } = await scale(build, fcw, st0, st1);
      expect(result).toEqual({ signExponent, significand });
      expect(status).toBe(0x30); // UE and PE, not rounded up
    },
  );

  // Recorded on an Intel Xeon.
  it("leaves a denormal that it scales by zero as it is, without underflow", async () => {
    const { result, status } = await scale(build, 0xb4b, [0x8000, 1n], [0x8000, 0n]);
    expect(result).toEqual({ signExponent: 0x8000, significand: 1n });
    expect(status).toBe(2); // DE
  });
});
