/** Packed integers and lanes of SSE: translated and interpreted they give what the exact ways give. */
import { describe, expect, it } from "vitest";
import { BUILDS } from "../../support/machine.js";
import { CASE_BYTES, CASE_COUNT, chooser, loopOverCases, runExact, runShort } from "./cases.js";

// Offsets in a case: XMM0, XMM1; then what comes out of each operation.
const OUT = 32;
const PER_PROGRAM = 4;

const XMM0_XMM1 = 0xc1;
const XMM0_MEMORY = [0x47, 16]; // [edi + 16]

/** Opcodes with the prefix 66. */
const PACKED = [
  0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x74, 0x75,
  0x76, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xe1,
  0xe2, 0xe3, 0xe4, 0xe5, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee, 0xef, 0xf1, 0xf2, 0xf3, 0xf4,
  0xf5, 0xf6, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe,
];
const OPERATIONS: readonly (readonly number[])[] = [
  ...PACKED.flatMap((opcode, i) => {
    const register = [0x66, 0x0f, opcode, XMM0_XMM1];
    return i % 4 === 0 ? [register, [0x66, 0x0f, opcode, ...XMM0_MEMORY]] : [register];
  }),
  [0x0f, 0x12, XMM0_XMM1], // movhlps
  [0x0f, 0x16, XMM0_XMM1], // movlhps
  [0x0f, 0x12, ...XMM0_MEMORY], // movlps
  [0x66, 0x0f, 0x16, ...XMM0_MEMORY], // movhpd
  [0x0f, 0x14, XMM0_XMM1], // unpcklps
  [0x0f, 0x15, XMM0_XMM1], // unpckhps
  [0x66, 0x0f, 0x14, XMM0_XMM1], // unpcklpd
  [0x66, 0x0f, 0x15, XMM0_XMM1], // unpckhpd
  [0x66, 0x0f, 0x70, XMM0_XMM1, 0x9c], // pshufd
  [0xf2, 0x0f, 0x70, XMM0_XMM1, 0x63], // pshuflw
  [0xf3, 0x0f, 0x70, XMM0_XMM1, 0x36], // pshufhw
  [0x0f, 0xc6, XMM0_XMM1, 0xb1], // shufps
  [0x66, 0x0f, 0xc6, XMM0_XMM1, 1], // shufpd
  [0x66, 0x0f, 0xc6, XMM0_XMM1, 2],
  [0x66, 0x0f, 0x73, 0xd8, 5], // psrldq
  [0x66, 0x0f, 0x73, 0xf8, 5], // pslldq
  [0x66, 0x0f, 0x73, 0xf8, 17],
  [0x66, 0x0f, 0x71, 0xe0, 16], // psraw
  [0x66, 0x0f, 0x72, 0xf0, 31], // pslld
  [0x66, 0x0f, 0x73, 0xd0, 64], // psrlq
];
const PROGRAMS = Array.from({ length: Math.ceil(OPERATIONS.length / PER_PROGRAM) }, (_, i) => {
  const operations = OPERATIONS.slice(i * PER_PROGRAM, (i + 1) * PER_PROGRAM);
  const name = operations.map((bytes) => Buffer.from(bytes).toString("hex")).join(" ");
  return { name, operations };
});

function program(operations: readonly (readonly number[])[]): number[] {
  const second = [0x0f, 0x10, 0x4f, 16]; // movups xmm1, [edi + 16]
  const first = [0x0f, 0x10, 0x07]; // movups xmm0, [edi]
  const store = (i: number) => [0x0f, 0x11, 0x47, OUT + i * 16]; // movups [edi + OUT], xmm0
  const each = operations.flatMap((operation, i) => [...first, ...operation, ...store(i)]);
  return loopOverCases([...second, ...each]);
}

/** Bytes at the ends of their range, equal ones, and small counts of a shift. */
function operands(): Uint8Array {
  const bytes = new Uint8Array(CASE_COUNT * CASE_BYTES);
  const { random, one } = chooser(0x5e5e5e5en);
  for (let at = 0; at < bytes.length; at += CASE_BYTES) {
    for (let i = 0; i < OUT; i++) bytes[at + i] = one([0, 1, 0x7f, 0x80, 0xff, random(256)]);
    if (random(4) === 0) bytes.copyWithin(at + 16, at, at + random(16));
    if (random(2) === 0) bytes.fill(0, at + 17, at + 24);
    if (random(2) === 0) bytes[at + 16] = one([0, 1, 14, 15, 16, 17, 31, 32, 33, 63, 64, 65]);
  }
  return bytes;
}

describe.each(BUILDS)("packed integers and lanes on the %s build", (build) => {
  it.each(PROGRAMS)("$name", async ({ operations }) => {
    const guest = { code: program(operations), cases: operands() };
    const expected = await runExact(build, guest);
    expect(await runShort(build, guest, { translate: false })).toEqual(expected);
    expect(await runShort(build, guest, { translateAfter: 1 })).toEqual(expected);
  });
});
