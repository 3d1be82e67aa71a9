/** Arguments of the command line: what people write, as numbers. Every refusal names the argument and shows the form. */
import { X2vmError } from "../errors.js";

/** A hotplug that is to happen during a run. */
export interface PlannedHotplug {
  readonly apicId: number;
  /** Virtual time, nanoseconds. */
  readonly ns: number;
}

const SIZE_UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };
const COUNT_UNITS: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, g: 1e9 };
const TIME_UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9 };

function usage(message: string): never {
  throw new X2vmError("USAGE", message);
}

/** A whole number, decimal or 0x hexadecimal. */
export function parseNumber(text: string, what: string): number {
  const number = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(number))
    usage(`${what}: "${text}" is not a whole number such as 4 or 0x123.`);
  return number;
}

/** Bytes: 4096, 0x1000, 64M, 2G. */
export function parseSize(text: string, what: string): number {
  return withUnit(text, SIZE_UNITS, `${what}: "${text}" is not a size such as 4096, 64M or 2G.`);
}

/** Instructions: 5000000, 200M, 2G (powers of ten). */
export function parseCount(text: string, what: string): number {
  return withUnit(text, COUNT_UNITS, `${what}: "${text}" is not a count such as 5000000 or 200M.`);
}

/** Virtual time with its unit: 500ns, 20us, 2ms, 1.5s. @returns nanoseconds */
export function parseTime(text: string, what: string): number {
  const match = /^(\d+(?:\.\d+)?)(ns|us|ms|s)$/i.exec(text);
  const unit = match === null ? undefined : TIME_UNITS[match[2]!.toLowerCase()];
  if (match === null || unit === undefined) {
    usage(`${what}: "${text}" is not a time such as 500us, 2ms or 1.5s.`);
  }
  return Math.round(Number(match[1]) * unit);
}

/** APIC IDs with commas: 0,0x23,0x123. */
export function parseApicIds(text: string, what: string): number[] {
  return text.split(",").map((part) => parseNumber(part.trim(), what));
}

/** An APIC ID and a virtual time: 0x123@2ms. */
export function parseHotplug(text: string, what: string): PlannedHotplug {
  const parts = text.split("@");
  if (parts.length !== 2)
    usage(`${what}: "${text}" is not an APIC ID and a time such as 0x123@2ms.`);
  return { apicId: parseNumber(parts[0]!, what), ns: parseTime(parts[1]!, what) };
}

function withUnit(text: string, units: Readonly<Record<string, number>>, refusal: string): number {
  const match = /^(0x[0-9a-f]+|\d+(?:\.\d+)?)([kmg]?)$/i.exec(text);
  const number = match === null ? Number.NaN : Number(match[1]) * units[match[2]!.toLowerCase()]!;
  if (!Number.isSafeInteger(number)) usage(refusal);
  return number;
}
