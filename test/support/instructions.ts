/**
 * Random instruction streams: bytes that decode to something now and then, made of prefixes, opcodes of all four maps,
 * ModRM and SIB corners and small displacements, between bytes of no meaning at all.
 */
import fc from "fast-check";

const byte = fc.integer({ min: 0, max: 255 });

const PREFIXES = [0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65] as const;
/** Also INC and DEC outside 64-bit mode. */
const rex = fc.integer({ min: 0x40, max: 0x4f });
const prefix = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...PREFIXES) }, rex);

const opcode = fc.oneof(
  { weight: 6, arbitrary: byte.map((b) => [b]) },
  // What programs are made of.
  {
    weight: 3,
    arbitrary: fc
      .constantFrom(
        0x01,
        0x03,
        0x29,
        0x31,
        0x50,
        0x58,
        0x83,
        0x89,
        0x8b,
        0x8d,
        0xa5,
        0xab,
        0xc1,
        0xf7,
        0xff,
      )
      .map((b) => [b]),
  },
  { weight: 5, arbitrary: byte.map((b) => [0x0f, b]) },
  { weight: 1, arbitrary: byte.map((b) => [0x0f, 0x38, b]) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 0x7f }).map((b) => [0x0f, 0x3a, b]) },
);

/** ModRM with the forms that have a SIB byte, no base, or 32 bits of displacement more often than chance has them. */
const modrm = fc.oneof(
  { weight: 3, arbitrary: byte },
  {
    weight: 1,
    arbitrary: fc.constantFrom(0x04, 0x05, 0x44, 0x45, 0x84, 0x85, 0x06, 0x46, 0xc0, 0xe0),
  },
);
const tail = fc.array(
  fc.oneof(
    { weight: 1, arbitrary: byte },
    { weight: 2, arbitrary: fc.constantFrom(0, 1, 4, 0x10) },
  ),
  {
    maxLength: 6,
  },
);

const instruction = fc
  .tuple(fc.array(prefix, { maxLength: 3 }), opcode, modrm, tail)
  .map((parts) => [...parts[0], ...parts[1], parts[2], ...parts[3]]);

/** A program of plausible instructions. */
export const plausibleProgram = fc
  .array(instruction, { minLength: 4, maxLength: 24 })
  .map((code) => Uint8Array.from(code.flat()));

/** Bytes without any intent. */
export const randomBytes = fc.uint8Array({ minLength: 16, maxLength: 200 });
