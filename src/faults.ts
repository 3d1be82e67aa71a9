/**
 * Fault injection: messages between APICs that are dropped, delayed, duplicated or misrouted on their way.
 *
 * A fault is written as an action, then what it applies to: `drop,mode=INIT,nth=2`, `delay=500us,dest=0x123`,
 * `duplicate,mode=NMI`, `misroute=0x23,every=10`, `drop,chance=0.1`. Shorter for the usual ones: `drop:3` is
 * `drop,nth=3`, and `delay:INIT@10us` is `delay=10us,mode=INIT`.
 */
import * as abi from "../assembly/abi.js";
import { X2vmError } from "./errors.js";

export interface Fault {
  readonly action: "drop" | "delay" | "duplicate" | "misroute";
  /** Nanoseconds that `delay` holds a message back. */
  readonly delayNs?: number;
  /** Extra copies that `duplicate` makes. Default 1. */
  readonly copies?: number;
  /** Destination that `misroute` puts in place of the right one. */
  readonly to?: number;
  /** Only messages of the CPU with this APIC ID, or of devices and hypercalls. */
  readonly sender?: number | "device";
  /** Only these delivery modes. */
  readonly modes?: readonly DeliveryModeName[];
  /** Only this vector. */
  readonly vector?: number;
  /** Only this destination, as it is written in the ICR. */
  readonly dest?: number;
  /** Only the n-th matching message, from 1. */
  readonly nth?: number;
  /** Every n-th matching message, after the `nth` or from the n-th on. */
  readonly every?: number;
  /** Probability, 0 < chance < 1; by a generator with the machine's seed. */
  readonly chance?: number;
}

/** Delivery modes by their numbers. */
export const DELIVERY_MODES = [
  "FIXED",
  "LOWEST",
  "SMI",
  "KICK",
  "NMI",
  "INIT",
  "SIPI",
  "EXTINT",
] as const;
export type DeliveryModeName = (typeof DELIVERY_MODES)[number];

const ACTIONS = {
  drop: abi.INJECT_DROP,
  delay: abi.INJECT_DELAY,
  duplicate: abi.INJECT_DUPLICATE,
  misroute: abi.INJECT_MISROUTE,
} as const;

/** Arguments of the core's `apicInject`. */
export type FaultArguments = [
  action: number,
  filters: number,
  sender: number,
  modes: number,
  vector: number,
  dest: number,
  first: number,
  every: number,
  chance: number,
  argumentLow: number,
  argumentHigh: number,
];

const NO_SENDER = -1;
const MAX_COPIES = 1000;
const MAX_32 = 0xffffffff;
/** 0xffffffff addresses all CPUs. */
const MAX_APIC_ID = 0xfffffffe;
const CHANCE_ONE = 2 ** 32;

/**
 * Reads a fault as people write it.
 *
 * @throws X2vmError BAD_OPTION naming the part that cannot be understood
 */
export function parseFault(text: string): Fault {
  const [head = "", ...filters] = inFull(text)
    .split(",")
    .map((part) => part.trim());
  const [action = "", argument] = pair(head);
  const fault: { -readonly [K in keyof Fault]: Fault[K] } = { action: actionOf(action) };
  readArgument(fault, argument);
  for (const filter of filters) {
    const [name, value] = pair(filter);
    if (value === undefined) throw bad(`"${filter}" is not of the form name=value`);
    readFilter(fault, name!, value);
  }
  return fault;
}

/** `action:which@argument` written out; anything else as it is. */
function inFull(text: string): string {
  const match = /^\s*(\w+):([^@,=]+)(?:@([^,]+))?(,.*)?$/.exec(text);
  if (match === null) return text;
  const [, action, which, argument, rest = ""] = match;
  const filter = /^\d+$/.test(which!) ? `nth=${which}` : `mode=${which}`;
  return `${action}${argument === undefined ? "" : `=${argument}`},${filter}${rest}`;
}

type Draft = { -readonly [K in keyof Fault]: Fault[K] };

function actionOf(text: string): Fault["action"] {
  if (Object.hasOwn(ACTIONS, text)) return text as Fault["action"];
  throw bad(`there is no action "${text}"; the actions are ${Object.keys(ACTIONS).join(", ")}`);
}

function readArgument(fault: Draft, text: string | undefined): void {
  switch (fault.action) {
    case "drop":
      if (text !== undefined) throw bad("drop takes no value");
      break;
    case "delay":
      fault.delayNs = duration(text);
      break;
    case "duplicate":
      fault.copies = text === undefined ? 1 : integer("duplicate", text, 1, MAX_COPIES);
      break;
    case "misroute":
      fault.to = integer("misroute", text ?? "", 0, MAX_32);
  }
}

function readFilter(fault: Draft, name: string, text: string): void {
  switch (name) {
    case "sender":
      fault.sender = text === "device" ? "device" : integer(name, text, 0, MAX_APIC_ID);
      break;
    case "mode":
      fault.modes = text.split("+").map(modeOf);
      break;
    case "vector":
      fault.vector = integer(name, text, 0, 0xff);
      break;
    case "dest":
      fault.dest = integer(name, text, 0, MAX_32);
      break;
    case "nth":
      fault.nth = integer(name, text, 1, MAX_32);
      break;
    case "every":
      fault.every = integer(name, text, 1, MAX_32);
      break;
    case "chance":
      fault.chance = chanceOf(text);
      break;
    default:
      throw bad(
        `there is no filter "${name}"; the filters are sender, mode, vector, dest, nth, every, chance`,
      );
  }
}

function modeOf(text: string): DeliveryModeName {
  const name = text.toUpperCase() as DeliveryModeName;
  if (DELIVERY_MODES.includes(name)) return name;
  throw bad(`there is no delivery mode "${text}"; the modes are ${DELIVERY_MODES.join(", ")}`);
}

function chanceOf(text: string): number {
  const value = Number(text);
  if (value > 0 && value < 1) return value;
  throw bad(`chance is a number between 0 and 1, not ${text}`);
}

const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9 };

function duration(text = ""): number {
  const match = /^(\d+(?:\.\d+)?)(ns|us|ms|s)$/.exec(text);
  if (match === null) throw bad(`delay is a time such as 500us or 2ms, not "${text}"`);
  return Math.round(Number(match[1]) * UNITS[match[2]!]!);
}

function integer(name: string, text: string, least: number, largest: number): number {
  const value = text === "" ? NaN : Number(text);
  if (Number.isInteger(value) && value >= least && value <= largest) return value;
  throw bad(`${name} is a whole number from ${least} to ${largest}, not "${text}"`);
}

function pair(text: string): [string, string | undefined] {
  const at = text.indexOf("=");
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function bad(problem: string): X2vmError {
  return new X2vmError("BAD_OPTION", `Fault: ${problem}.`);
}

/** What `parseFault` refuses, for faults that a program puts together. @throws X2vmError BAD_OPTION */
function check(fault: Fault): void {
  const { action, sender, modes, vector, dest, nth, every, chance } = fault;
  actionOf(String(action));
  if (action === "delay") within("delayNs", fault.delayNs ?? NaN, 0, Number.MAX_SAFE_INTEGER);
  if (action === "duplicate") within("copies", fault.copies ?? 1, 1, MAX_COPIES);
  if (action === "misroute") within("to", fault.to ?? NaN, 0, MAX_32);
  if (sender !== undefined && sender !== "device") within("sender", sender, 0, MAX_APIC_ID);
  for (const mode of modes ?? []) modeOf(String(mode));
  within("vector", vector ?? 0, 0, 0xff);
  within("dest", dest ?? 0, 0, MAX_32);
  within("nth", nth ?? 1, 1, MAX_32);
  within("every", every ?? 1, 1, MAX_32);
  if (chance !== undefined) chanceOf(String(chance));
}

function within(name: string, value: number, least: number, largest: number): number {
  if (Number.isInteger(value) && value >= least && value <= largest) return value;
  throw bad(`${name} is a whole number from ${least} to ${largest}, not ${String(value)}`);
}

/**
 * The fault as the core wants it.
 *
 * @param vcpuIndexOf - of an APIC ID; throws for one that no CPU has @throws X2vmError BAD_OPTION
 */
export function faultArguments(
  fault: Fault,
  vcpuIndexOf: (apicId: number) => number,
): FaultArguments {
  check(fault);
  const { sender, modes, vector, dest, nth, every, chance } = fault;
  let filters = 0;
  if (sender !== undefined) filters |= abi.FILTER_SENDER;
  if (modes !== undefined) filters |= abi.FILTER_MODES;
  if (vector !== undefined) filters |= abi.FILTER_VECTOR;
  if (dest !== undefined) filters |= abi.FILTER_DEST;
  const argument =
    { drop: 0, delay: fault.delayNs, duplicate: fault.copies ?? 1, misroute: fault.to }[
      fault.action
    ] ?? 0;
  return [
    ACTIONS[fault.action],
    filters,
    sender === undefined ? 0 : sender === "device" ? NO_SENDER : vcpuIndexOf(sender),
    (modes ?? []).reduce((mask, mode) => mask | (1 << DELIVERY_MODES.indexOf(mode)), 0),
    vector ?? 0,
    dest ?? 0,
    nth ?? every ?? 0,
    every ?? 0,
    chance === undefined ? 0 : Math.max(1, Math.round(chance * CHANCE_ONE)),
    argument % 2 ** 32,
    Math.floor(argument / 2 ** 32),
  ];
}
