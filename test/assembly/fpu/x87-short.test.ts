/**
 * The short ways of x87 instructions give what the exact ways give.
 *
 * The same bytes run in flat 32-bit code, which takes the short ways, and in real mode, which never does: [edi] and [bx]
 * have one encoding. Operands are made so that results are often exact, halfway between two numbers, or zero.
 */
import { describe, expect, it } from "vitest";
import { Machine } from "../../../src/index.js";
import { bootSector, HLT } from "../../src/guest-code.js";
import { BUILDS, machine as machineOf } from "../../support/machine.js";

const CASES = 0x8000;
const CASE_BYTES = 64;
const CASE_COUNT = 400;
const LOAD_ADDRESS = 0x100000;
const HEADER_BYTES = 32;

/** Two bytes each: with ST(1) the first operand and ST(0) the second. */
const OPERATIONS = [
  ["fadd st0, st1", 0xd8, 0xc1],
  ["fmul st0, st1", 0xd8, 0xc9],
  ["fcom st1", 0xd8, 0xd1],
  ["fsub st0, st1", 0xd8, 0xe1],
  ["fsubr st0, st1", 0xd8, 0xe9],
  ["fdiv st0, st1", 0xd8, 0xf1],
  ["fdivr st0, st1", 0xd8, 0xf9],
  ["fadd st1, st0", 0xdc, 0xc1],
  ["fsub st1, st0", 0xdc, 0xe9],
  ["faddp", 0xde, 0xc1],
  ["fmulp", 0xde, 0xc9],
  ["fsubp", 0xde, 0xe9],
  ["fsubrp", 0xde, 0xe1],
  ["fdivp", 0xde, 0xf9],
  ["fdivrp", 0xde, 0xf1],
  ["fxch", 0xd9, 0xc9],
  ["fchs", 0xd9, 0xe0],
  ["fabs", 0xd9, 0xe1],
  ["fld st1", 0xd9, 0xc1],
  ["fst st3", 0xdd, 0xd3],
  ["fucomp st1", 0xdd, 0xe9],
  ["fld1", 0xd9, 0xe8],
  ["fldz", 0xd9, 0xee],
  ["fadd m64", 0xdc, 0x07],
  ["fsubr m64", 0xdc, 0x2f],
  ["fmul m64", 0xdc, 0x0f],
  ["fdiv m64", 0xdc, 0x37],
  ["fadd m32", 0xd8, 0x07],
  ["fcomp m64", 0xdc, 0x1f],
  ["fild m16", 0xdf, 0x07],
  ["fild m32", 0xdb, 0x07],
  ["fild m64", 0xdf, 0x2f],
] as const;

/** For each case: loads both, does it, and stores status and result as 80, 64 and 32 bits. */
function program(operation: readonly [string, number, number]): number[] {
  const body = [
    [0xdb, 0xe3], // fninit
    [0xdd, 0x07], // fld qword [edi]
    [0xdd, 0x47, 8], // fld qword [edi + 8]
    [operation[1], operation[2]],
    [0xdd, 0x7f, 16], // fnstsw [edi + 16]
    [0xdb, 0x7f, 18], // fstp tword [edi + 18]
    [0xdb, 0x6f, 18], // fld tword [edi + 18]
    [0xdd, 0x5f, 32], // fstp qword [edi + 32]
    [0xdd, 0x7f, 40], // fnstsw [edi + 40]
    [0xdb, 0xe3], // fninit
    [0xdb, 0x6f, 18], // fld tword [edi + 18]
    [0xd9, 0x5f, 44], // fstp dword [edi + 44]
    [0xdd, 0x7f, 48], // fnstsw [edi + 48]
    [0x83, 0xc7, CASE_BYTES], // add di, 64
    [0x83, 0xc3, CASE_BYTES], // add bx, 64
  ].flat();
  return [...body, 0xe2, 256 - body.length - 2, HLT]; // loop
}

/** Numbers with few bits set, at both ends of the significand, and exponents near each other. */
function operands(): Uint8Array {
  const bytes = new Uint8Array(CASE_COUNT * CASE_BYTES);
  const view = new DataView(bytes.buffer);
  let state = 0x9e3779b9n;
  const random = (most: number) => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n);
    return Number((state >> 33n) % BigInt(most));
  };
  const double = (): bigint => {
    if (random(16) === 0) return random(2) === 0 ? 0n : 1n << 63n;
    const bits =
      random(3) === 0 ? BigInt(random(2 ** 31)) << BigInt(random(22)) : 1n << BigInt(random(52));
    const exponent = BigInt(1023 + random(140) - 70);
    const ends = random(2) === 0 ? 1n : 0n;
    return (BigInt(random(2)) << 63n) | (exponent << 52n) | ((bits | ends) & ((1n << 52n) - 1n));
  };
  for (let i = 0; i < CASE_COUNT; i++) {
    view.setBigUint64(i * CASE_BYTES, double(), true);
    view.setBigUint64(i * CASE_BYTES + 8, double(), true);
  }
  return bytes;
}

function flatImage(code: readonly number[]): Uint8Array {
  const image = new Uint8Array(HEADER_BYTES + code.length);
  const view = new DataView(image.buffer);
  const end = LOAD_ADDRESS + image.length;
  const entry = LOAD_ADDRESS + HEADER_BYTES;
  const words = [
    0x1badb002,
    1 << 16,
    -(0x1badb002 + (1 << 16)),
    LOAD_ADDRESS,
    LOAD_ADDRESS,
    end,
    end,
    entry,
  ];
  words.forEach((word, i) => view.setUint32(i * 4, word, true));
  image.set(code, HEADER_BYTES);
  return image;
}

function results(machine: Machine): string[] {
  machine.writeMemory(CASES, operands());
  const { gpr } = machine.vcpus[0]!;
  gpr.rdi = BigInt(CASES);
  gpr.rbx = BigInt(CASES);
  gpr.rcx = BigInt(CASE_COUNT);
  expect(machine.run({ maxInstructions: 1_000_000 }).reason).toBe("idle");
  const bytes = machine.readMemory(CASES, CASE_COUNT * CASE_BYTES);
  machine.dispose();
  return Array.from({ length: CASE_COUNT }, (_, i) =>
    Buffer.from(bytes.subarray(i * CASE_BYTES, (i + 1) * CASE_BYTES)).toString("hex"),
  );
}

describe.each(BUILDS)("short ways of the x87 on the %s build", (build) => {
  it.each(OPERATIONS)("%s is exact", async (...operation) => {
    const code = program(operation);
    const flat = await machineOf(build, { memoryBytes: 2 << 20 });
    flat.load(flatImage(code));
    const real = await machineOf(build, { memoryBytes: 2 << 20 });
    real.load(bootSector(...code));
    const expected = results(real);
    expect(results(flat)).toEqual(expected);
    expect(new Set(expected).size).toBeGreaterThan(CASE_COUNT / 2);
  });
});
