/**
 * Fault injection: rules that drop, delay, duplicate or misroute messages on their way.
 *
 * A rule counts the messages that its filters match and acts on the n-th, on every n-th, or by chance; chance comes from a
 * seeded generator, so that a run can be repeated. The first rule that acts on a message is the only one.
 */
import * as abi from "../abi";
import { vcpuCount } from "../layout";
import { addArea } from "../state-areas";
import * as def from "../x86/apicdef";
import { Lapic, NO_DEADLINE } from "./lapic";
import { MAP_ONLY, Message, NO_SENDER } from "./message";
import { forgetTargets } from "./plain-targets";
import { now } from "./time";

const RULES_MAX: u32 = 16;
/** Messages that can be on hold at once; further ones are not delayed. */
const HELD_MAX: u32 = 256;
/** Copies that a rule may make of a message. */
const COPIES_MAX: u64 = 1000;

@unmanaged
class Rule {
  /** INJECT_*. */
  action: u32;
  /** FILTER_*: which of the next four count. */
  filters: u32;
  sender: i32;
  /** Bit n: delivery mode n. */
  modes: u32;
  vector: u32;
  dest: u32;
  /** Acts on this one of the matching messages, from 1; 0: on all. */
  first: u32;
  /** And on every n-th after it; 0: on no other. */
  every: u32;
  /** Acts in chance of 2^32 cases; 0: always. */
  chance: u32;
  /** Matching messages so far. */
  seen: u32;
  /** ns of delay, number of extra copies, or the wrong destination. */
  argument: u64;

  @inline
  static at(n: u32): Rule {
    return changetype<Rule>(rules + <usize>n * offsetof<Rule>());
  }

  matches(msg: Message): bool {
    const filters = this.filters;
    if ((filters & abi.FILTER_SENDER) !== 0 && this.sender !== msg.sender) return false;
    if ((filters & abi.FILTER_DEST) !== 0 && this.dest !== msg.dest) return false;
    if ((filters & abi.FILTER_VECTOR) !== 0 && this.vector !== (msg.low & def.ICR_VECTOR))
      return false;
    const mode = (msg.low >> def.ICR_DELIVERY_MODE_SHIFT) & 7;
    return (filters & abi.FILTER_MODES) === 0 || ((this.modes >> mode) & 1) !== 0;
  }

  /** Called once for each matching message. */
  acts(): bool {
    const n = ++this.seen;
    const first = this.first;
    const isTurn =
      first === 0 ||
      n === first ||
      (this.every !== 0 && n > first && (n - first) % this.every === 0);
    return isTurn && (this.chance === 0 || draw() < this.chance);
  }
}

/** A message on hold. */
@unmanaged
class Held {
  due: u64;
  sender: i32;
  dest: u32;
  low: u32;
  kind: u32;
  number: u32;
  injected: u32;

  @inline
  static at(n: u32): Held {
    return changetype<Held>(held + <usize>n * offsetof<Held>());
  }
}

@unmanaged
class InjectState {
  random: u64;
  rules: u32;
  held: u32;
}

const state: InjectState = changetype<InjectState>(memory.data(16, 8));
const rules: usize = memory.data(768, 8);
const held: usize = memory.data(8192, 8);

if (offsetof<InjectState>() !== 16) ERROR("InjectState: size of its memory");
if (offsetof<Rule>() * RULES_MAX !== 768) ERROR("Rule: size of the table");
if (offsetof<Held>() * HELD_MAX !== 8192) ERROR("Held: size of the table");

/** @inline */
export function ruleCount(): u32 {
  return state.rules;
}

/** Starts the generator behind `chance`. */
export function seedInjection(seed: u64): void {
  // xorshift needs a state that is not 0.
  state.random = seed !== 0 ? seed : 0x9e3779b97f4a7c15;
}

/** xorshift64*, upper half. */
function draw(): u32 {
  if (state.random === 0) seedInjection(0);
  let x = state.random;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  state.random = x;
  return <u32>((x * 0x2545f4914f6cdd1d) >> 32);
}

/** Adds a rule; its parameters are those of `Rule`. @returns its number, or -1 when the table is full */
export function addRule(
  action: u32,
  filters: u32,
  sender: i32,
  modes: u32,
  vector: u32,
  dest: u32,
  first: u32,
  every: u32,
  chance: u32,
  argument: u64,
): i32 {
  if (
    state.rules === RULES_MAX ||
    action < <u32>abi.INJECT_DROP ||
    action > <u32>abi.INJECT_MISROUTE
  )
    return -1;
  const rule = Rule.at(state.rules);
  rule.action = action;
  rule.filters = filters;
  rule.sender = sender;
  rule.modes = modes;
  rule.vector = vector;
  rule.dest = dest;
  rule.first = first;
  rule.every = every;
  rule.chance = chance;
  rule.argument = argument;
  rule.seen = 0;
  state.rules++;
  forgetTargets();
  return <i32>state.rules - 1;
}

/** Removes all rules. Messages on hold stay so until their time. */
export function clearRules(): void {
  state.rules = 0;
}

/** Forgets the messages on hold. */
export function clearHeld(): void {
  state.held = 0;
}

/**
 * Applies the rules to a message.
 *
 * @returns how often it is to be delivered now; 0 when it is dropped or on hold
 */
export function tamper(msg: Message): u32 {
  for (let n: u32 = 0; n < state.rules; n++) {
    const rule = Rule.at(n);
    if (rule.matches(msg) && rule.acts()) return apply(rule, n, msg);
  }
  return 1;
}

function apply(rule: Rule, n: u32, msg: Message): u32 {
  if (rule.action === abi.INJECT_DELAY && state.held === HELD_MAX) return 1;
  msg.injected = rule.action | (n << 8);
  switch (rule.action) {
    case abi.INJECT_DELAY:
      hold(msg, now() + rule.argument);
      return 0;
    case abi.INJECT_DUPLICATE:
      return 1 + <u32>rule.argument;
    case abi.INJECT_MISROUTE:
      msg.dest = <u32>rule.argument;
      msg.low &= ~(3 << def.ICR_SHORTHAND_SHIFT);
      return 1;
    default:
      return 0;
  }
}

function hold(msg: Message, due: u64): void {
  const entry = Held.at(state.held++);
  entry.due = due;
  entry.sender = msg.sender;
  entry.dest = msg.dest;
  entry.low = msg.low;
  entry.kind = msg.kind;
  entry.number = msg.number;
  entry.injected = msg.injected;
  // As with a timer: the sender's slice may have to end earlier.
  if (msg.sender !== NO_SENDER) Lapic.at(msg.sender).cpu.request |= abi.REQ_TIMER;
}

/** How many messages are on hold. @inline */
export function heldMessages(): u32 {
  return state.held;
}

/** Time of the next delivery from hold, ns; all ones when none waits. */
export function fabricDeadline(): u64 {
  let due = NO_DEADLINE;
  for (let n: u32 = 0; n < state.held; n++) due = min(due, Held.at(n).due);
  return due;
}

/** Takes the first message that is due at `time`; among equals the one sent first. @returns false when none is */
export function takeHeld(msg: Message, time: u64): bool {
  const due = fabricDeadline();
  if (due > time || state.held === 0) return false;
  let n: u32 = 0;
  while (Held.at(n).due !== due) n++;
  const entry = Held.at(n);
  msg.sender = entry.sender;
  msg.dest = entry.dest;
  msg.low = entry.low;
  msg.kind = entry.kind;
  msg.number = entry.number;
  msg.injected = entry.injected;
  state.held--;
  memory.copy(
    held + <usize>n * offsetof<Held>(),
    held + <usize>(n + 1) * offsetof<Held>(),
    <usize>(state.held - n) * offsetof<Held>(),
  );
  return true;
}

/** For snapshots. */
export function listInjection(): void {
  addArea(changetype<usize>(state), offsetof<InjectState>());
  addArea(rules, offsetof<Rule>() * RULES_MAX);
  addArea(held, offsetof<Held>() * HELD_MAX);
}

/** @returns false when what was put back could not have come about */
export function restoreInjection(): bool {
  if (state.rules > RULES_MAX || state.held > HELD_MAX) return false;
  forgetTargets();
  for (let n: u32 = 0; n < state.rules; n++) {
    const rule = Rule.at(n);
    if (rule.action < <u32>abi.INJECT_DROP || rule.action > <u32>abi.INJECT_MISROUTE) return false;
    if (rule.action === abi.INJECT_DUPLICATE && rule.argument > COPIES_MAX) return false;
  }
  for (let n: u32 = 0; n < state.held; n++) {
    const entry = Held.at(n);
    const isSender = entry.sender >= 0 && <u32>entry.sender < vcpuCount;
    if ((!isSender && entry.sender !== NO_SENDER) || entry.kind > MAP_ONLY) return false;
  }
  return true;
}
