/**
 * The short ways of SSE floating point, interpreted and translated, give what the exact ways give: results, flags of MXCSR
 * and of a comparison. Operands are zeros, denormals, ends of the range and NaNs among ordinary numbers.
 */
import { describe, expect, it } from "vitest";
import { BUILDS } from "../../support/machine.js";
import { CASE_BYTES, CASE_COUNT, chooser, loopOverCases, runExact, runShort } from "./cases.js";

// Offsets in a case: XMM0, XMM1, MXCSR; then what comes out.
const MXCSR = 32;
const OUT = 48;

const NAMES: Readonly<Record<number, string>> = {
  0x51: "sqrt",
  0x58: "add",
  0x59: "mul",
  0x5c: "sub",
  0x5e: "div",
};
const SUFFIXES = [
  ["ps", []],
  ["pd", [0x66]],
  ["ss", [0xf3]],
  ["sd", [0xf2]],
] as const;
const OPERATIONS: readonly (readonly [string, readonly number[]])[] = [
  ...Object.entries(NAMES).flatMap(([opcode, name]) =>
    SUFFIXES.map(
      ([suffix, prefix]) => [name + suffix, [...prefix, 0x0f, Number(opcode), 0xc1]] as const,
    ),
  ),
  ["comiss", [0x0f, 0x2f, 0xc1]],
  ["ucomisd", [0x66, 0x0f, 0x2e, 0xc1]],
  ["cvtss2sd", [0xf3, 0x0f, 0x5a, 0xc1]],
  ["cvtsd2ss", [0xf2, 0x0f, 0x5a, 0xc1]],
  ["addps with memory", [0x0f, 0x58, 0x47, 16]],
  ["mulpd with memory", [0x66, 0x0f, 0x59, 0x47, 16]],
];

function program(operation: readonly number[]): number[] {
  return loopOverCases(
    [
      [0x31, 0xd2], // xor edx, edx: the same flags in both modes
      [0x0f, 0xae, 0x57, MXCSR], // ldmxcsr [edi + MXCSR]
      [0x0f, 0x10, 0x07], // movups xmm0, [edi]
      [0x0f, 0x10, 0x4f, 16], // movups xmm1, [edi + 16]
      operation,
      [0x9f], // lahf
      [0x0f, 0x11, 0x47, OUT], // movups [edi + OUT], xmm0
      [0x0f, 0xae, 0x5f, OUT + 16], // stmxcsr [edi + OUT + 16]
      [0x88, 0x67, OUT + 20], // mov [edi + OUT + 20], ah
    ].flat(),
  );
}

/** Masked: with PE seen before, where the short ways are taken, and not; other rounding, FTZ, DAZ. */
const CONTROLS = [0x1fa0, 0x1fa0, 0x1fa0, 0x1fbf, 0x1f80, 0x3fa0, 0x9fa0, 0x1fe0];

function operands(isDouble: boolean): Uint8Array {
  const bytes = new Uint8Array(CASE_COUNT * CASE_BYTES);
  const view = new DataView(bytes.buffer);
  const { random, one } = chooser(0x20161206n);
  const width = isDouble ? 52 : 23;
  const most = isDouble ? 0x7ff : 0xff;
  const middle = most >> 1;
  const number = (): bigint => {
    const kind = random(10);
    const exponent =
      kind === 0
        ? 0
        : kind === 1
          ? one([1, 2, 3, most - 2, most - 1, most])
          : kind === 2
            ? one([middle >> 1, (middle >> 1) + 1, middle + (middle >> 1)])
            : middle + random(2 * width) - width;
    const ones = (1n << BigInt(width)) - 1n;
    const fraction = one([
      0n,
      0n,
      1n,
      ones,
      1n << BigInt(random(width)),
      ones - (1n << BigInt(random(width))),
    ]);
    return (
      (BigInt(random(2)) << BigInt(isDouble ? 63 : 31)) |
      (BigInt(exponent) << BigInt(width)) |
      fraction
    );
  };
  for (let i = 0; i < CASE_COUNT; i++) {
    const at = i * CASE_BYTES;
    for (let offset = 0; offset < MXCSR; offset += isDouble ? 8 : 4) {
      if (isDouble) view.setBigUint64(at + offset, number(), true);
      else view.setUint32(at + offset, Number(number()), true);
    }
    // Often all elements but one are harmless.
    if (random(2) === 0) {
      for (let offset = isDouble ? 8 : 4; offset < 16; offset += isDouble ? 8 : 4) {
        for (const start of [0, 16]) {
          if (isDouble) view.setFloat64(at + start + offset, 1 + offset + start, true);
          else view.setFloat32(at + start + offset, 1 + offset + start, true);
        }
      }
    }
    // A product that is tiny before it is rounded, and the least normal number then.
    if (random(8) === 0) {
      const half = BigInt(middle >> 1);
      const factors = [((half + 1n) << BigInt(width)) - 1n, (half + 1n) << BigInt(width)];
      factors.forEach((factor, n) => {
        if (isDouble) view.setBigUint64(at + n * 16, factor, true);
        else view.setUint32(at + n * 16, Number(factor), true);
      });
    }
    view.setUint32(at + MXCSR, one(CONTROLS), true);
  }
  return bytes;
}

describe.each(BUILDS)("short ways of SSE floating point on the %s build", (build) => {
  it.each(OPERATIONS)("%s is exact", async (name, operation) => {
    const isDouble = /pd|sd$/.test(name) && name !== "cvtss2sd";
    const guest = { code: program(operation), cases: operands(isDouble || name === "cvtsd2ss") };
    const expected = await runExact(build, guest);
    expect(await runShort(build, guest, { translate: false })).toEqual(expected);
    expect(await runShort(build, guest, { translateAfter: 1 })).toEqual(expected);
    expect(new Set(expected).size).toBeGreaterThan(CASE_COUNT / 2);
  });
});
