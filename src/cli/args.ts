/** Arguments of the command line: what people write, as numbers. Every refusal names the argument and shows the form. */
import { X2vmError } from "../errors.js";

/** When something is to happen: at a virtual time, or when a line of the console matches. */
export type Moment = { readonly ns: number } | { readonly line: RegExp };

/** A CPU that is to be added or given back during a run. */
export interface PlannedHotplug {
  readonly apicId: number;
  readonly moment: Moment;
}

/** Keys that are to be typed during a run. */
export interface PlannedInput {
  readonly text: string;
  readonly moment: Moment;
}

/** A snapshot that is to be written during a run. */
export interface PlannedSave {
  readonly path: string;
  readonly moment: Moment;
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

/** An APIC ID and a moment: 0x123@2ms, 0x123@/login:/. */
export function parseHotplug(text: string, what: string): PlannedHotplug {
  const match = /^([^@]*)@(.+)$/s.exec(text);
  if (match === null) {
    usage(`${what}: "${text}" is not an APIC ID and a moment such as 0x123@2ms or 0x123@/login:/.`);
  }
  return { apicId: parseNumber(match[1]!, what), moment: parseMoment(match[2]!, what) };
}

/** Keys and a moment: "date\\n@/^guest# /". In the keys, \\n, \\r, \\t, \\e and \\x03 are control characters. */
export function parseInput(text: string, what: string): PlannedInput {
  const match = /^(.*?)@(\/.*\/i?|[^@/]+)$/s.exec(text);
  if (match === null) {
    usage(
      `${what}: "${text}" is not a text and a moment such as "date\\n@2s" or "root\\n@/login:/".`,
    );
  }
  return { text: unescaped(match[1]!), moment: parseMoment(match[2]!, what) };
}

/** A file and a moment: boot.snap@2s, boot.snap@/login:/. */
export function parseSave(text: string, what: string): PlannedSave {
  const match = /^(.+?)@(\/.*\/i?|[^@/]+)$/s.exec(text);
  if (match === null) {
    usage(
      `${what}: "${text}" is not a file and a moment such as boot.snap@2s or boot.snap@/login:/.`,
    );
  }
  return { path: match[1]!, moment: parseMoment(match[2]!, what) };
}

function parseMoment(text: string, what: string): Moment {
  const pattern = /^\/(.*)\/(i?)$/s.exec(text);
  if (pattern === null) return { ns: parseTime(text, what) };
  try {
    return { line: new RegExp(pattern[1]!, pattern[2]) };
  } catch {
    usage(`${what}: ${text} is not a regular expression.`);
  }
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", e: "\x1b" };

function unescaped(text: string): string {
  return text.replace(/\\(x[0-9a-f]{2}|.)/gi, (_, code: string) =>
    code.length === 3 ? String.fromCharCode(Number(`0${code}`)) : (ESCAPES[code] ?? code),
  );
}

function withUnit(text: string, units: Readonly<Record<string, number>>, refusal: string): number {
  const match = /^(0x[0-9a-f]+|\d+(?:\.\d+)?)([kmg]?)$/i.exec(text);
  const number = match === null ? Number.NaN : Number(match[1]) * units[match[2]!.toLowerCase()]!;
  if (!Number.isSafeInteger(number)) usage(refusal);
  return number;
}
