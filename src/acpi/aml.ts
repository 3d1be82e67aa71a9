/**
 * A small builder of AML: functions that give the bytes of a term, to be nested as the source of a table is.
 *
 * Source: ACPI Specification, "ACPI Machine Language (AML) Specification" and "Resource Data Types for ACPI".
 * Only the terms that the tables of this machine use are here.
 */

export type Bytes = readonly number[] | Uint8Array;

/** A term: plain bytes, or other terms in their order. */
export type Aml = Bytes | Sequence;

/** Nothing is copied into a term that holds others, however deep: `amlBytes` writes all bytes once. */
interface Sequence {
  readonly parts: readonly Aml[];
  /** In bytes: what lengths around it are made of. */
  readonly length: number;
}

/** Terms one behind the other. */
export function join(parts: readonly Aml[]): Aml {
  let length = 0;
  for (const part of parts) length += part.length;
  return { parts, length };
}

/** The bytes of a term. */
export function amlBytes(term: Aml): Uint8Array {
  const bytes = new Uint8Array(term.length);
  write(term, bytes, 0);
  return bytes;
}

/** @returns where the next term goes */
function write(term: Aml, into: Uint8Array, at: number): number {
  let next = at;
  if ("parts" in term) {
    for (const part of term.parts) next = write(part, into, next);
    return next;
  }
  if (term instanceof Uint8Array) into.set(term, at);
  else for (const each of term) into[next++] = each;
  return at + term.length;
}

/** Operands of a method. */
export const ARG0: Bytes = [0x68];
export const ARG1: Bytes = [0x69];
export const LOCAL0: Bytes = [0x60];

export function byte(value: number): Bytes {
  return [value & 0xff];
}

export function word(value: number): Bytes {
  return [value & 0xff, (value >> 8) & 0xff];
}

export function dword(value: number): Bytes {
  return [...word(value & 0xffff), ...word(value >>> 16)];
}

function ascii(text: string): Bytes {
  return Array.from(text, (each) => each.charCodeAt(0));
}

/** PkgLength: counts itself. @param length - bytes that follow it */
function packageLength(length: number): Bytes {
  if (length + 1 < 0x40) return [length + 1];
  for (let extra = 1; extra <= 3; extra++) {
    const total = length + 1 + extra;
    if (total >= 1 << (4 + 8 * extra)) continue;
    const bytes = [(extra << 6) | (total & 15)];
    for (let i = 0; i < extra; i++) bytes.push((total >> (4 + 8 * i)) & 0xff);
    return bytes;
  }
  throw new RangeError(`an AML package of ${length} bytes`);
}

function packaged(opcode: Bytes, ...parts: Aml[]): Aml {
  const body = join(parts);
  return join([opcode, packageLength(body.length), body]);
}

/** An integer in its shortest form, 0 .. 2^32-1. */
export function integer(value: number): Bytes {
  if (value === 0 || value === 1) return [value];
  if (value < 0x100) return [0x0a, value];
  if (value < 0x10000) return [0x0b, ...word(value)];
  return [0x0c, ...dword(value)];
}

export function text(value: string): Bytes {
  return [0x0d, ...ascii(value), 0];
}

/** A name of up to four characters, filled up with underscores. */
export function name(segment: string): Bytes {
  const filled = segment.padEnd(4, "_");
  const code = (i: number) => filled.charCodeAt(i);
  return [code(0), code(1), code(2), code(3)];
}

/** Name (segment, value) */
export function define(segment: string, value: Aml): Aml {
  return join([[0x08], name(segment), value]);
}

export function scope(segment: string, ...body: Aml[]): Aml {
  return packaged([0x10], name(segment), ...body);
}

export function device(segment: string, ...body: Aml[]): Aml {
  return packaged([0x5b, 0x82], name(segment), ...body);
}

/** A serialized method. @param args - 0..7 */
export function method(segment: string, args: number, ...body: Aml[]): Aml {
  return packaged([0x14], name(segment), [args | 0x08], ...body);
}

export function ioRegion(segment: string, port: number, length: number): Bytes {
  return [0x5b, 0x80, ...name(segment), 0x01, ...integer(port), ...wide(length)];
}

/** An integer that the compiler writes as a byte even where there is a shorter form. */
function wide(value: number): Bytes {
  return value < 0x100 ? [0x0a, value] : integer(value);
}

export const ACCESS_BYTE = 0x01;
export const ACCESS_DWORD = 0x03;
export const UPDATE_PRESERVE = 0x00;
export const UPDATE_ZEROS = 0x40;

/** Fields of a region. @param units - names with their bits; a name "" skips so many */
export function fields(
  region: string,
  flags: number,
  ...units: readonly (readonly [name: string, bits: number])[]
): Aml {
  const body = units.map(([unit, bits]) => [
    ...(unit === "" ? [0] : name(unit)),
    ...(bits < 0x40 ? [bits] : [(bits & 15) | 0x40, bits >> 4]),
  ]);
  return packaged([0x5b, 0x81], name(region), [flags], ...body);
}

export function mutex(segment: string): Bytes {
  return [0x5b, 0x01, ...name(segment), 0];
}

/** Acquire (segment, 0xFFFF): waits for ever. */
export function acquire(segment: string): Bytes {
  return [0x5b, 0x23, ...name(segment), 0xff, 0xff];
}

export function release(segment: string): Bytes {
  return [0x5b, 0x27, ...name(segment)];
}

/** Store: target = value */
export function store(value: Aml, target: Aml): Aml {
  return join([[0x70], value, target]);
}

export function when(condition: Aml, ...body: Aml[]): Aml {
  return packaged([0xa0], condition, ...body);
}

/** Goes after `when`: what is done where its condition does not hold. */
export function otherwise(...body: Aml[]): Aml {
  return packaged([0xa1], ...body);
}

export function repeatWhile(condition: Aml, ...body: Aml[]): Aml {
  return packaged([0xa2], condition, ...body);
}

/** Leaves `repeatWhile`. */
export const BREAK: Bytes = [0xa5];

/** LLess: left < right */
export function isLess(left: Aml, right: Aml): Aml {
  return join([[0x95], left, right]);
}

/** A call of a method with as many arguments as it takes. */
export function call(segment: string, ...args: Aml[]): Aml {
  return join([name(segment), ...args]);
}

export function notify(object: string, code: Aml): Aml {
  return join([[0x86], name(object), code]);
}

export function giveBack(value: Aml): Aml {
  return join([[0xa4], value]);
}

export function buffer(bytes: Aml): Aml {
  return packaged([0x11], wide(bytes.length), bytes);
}

export function packageOf(...elements: Aml[]): Aml {
  return packaged([0x12], [elements.length], ...elements);
}

/** EISAID: three letters of five bits, four hexadecimal digits, in big-endian order. */
export function eisaId(id: string): Bytes {
  const letter = (i: number) => id.charCodeAt(i) - 0x40;
  const vendor = (letter(0) << 10) | (letter(1) << 5) | letter(2);
  const product = Number.parseInt(id.slice(3), 16);
  return [0x0c, vendor >> 8, vendor & 0xff, product >> 8, product & 0xff];
}

/** A resource template: descriptors and the end tag. */
export function resources(...descriptors: Aml[]): Aml {
  return buffer(join([...descriptors, [0x79, 0x00]]));
}

/** Ports at a fixed place, decoded with 16 bits. */
export function ports(first: number, length: number): Bytes {
  return [0x47, 0x01, ...word(first), ...word(first), 0, length];
}

/** An interrupt that one device consumes: edge-triggered, active high, exclusive. */
export function edgeInterrupt(gsi: number): Bytes {
  return [0x89, 0x06, 0x00, 0x03, 0x01, ...dword(gsi)];
}
