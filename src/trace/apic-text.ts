/** Trace events of the interrupt fabric as sentences. */
import * as abi from "../../assembly/abi.js";
import { hex } from "../errors.js";
import type { ApicEvent, ApicMessageEvent, ApicTargetEvent } from "./apic.js";

const DELIVERY_MODES = [
  "Fixed",
  "Lowest priority",
  "SMI",
  "kick",
  "NMI",
  "INIT",
  "STARTUP",
  "ExtINT",
] as const;

const PATHS: Readonly<Record<number, string>> = {
  [abi.PATH_SELF]: "to itself",
  [abi.PATH_MAP]: "by the map",
  [abi.PATH_SCAN]: "by a scan",
  [abi.PATH_WITHHELD]: "nowhere",
};

const INJECTIONS: Readonly<Record<number, string>> = {
  [abi.INJECT_DROP]: "dropped",
  [abi.INJECT_DELAY]: "delayed",
  [abi.INJECT_DUPLICATE]: "duplicated",
  [abi.INJECT_MISROUTE]: "misrouted",
};

const RUN_STATES = [
  "running",
  "not started",
  "waiting for STARTUP",
  "halted",
  "shut down",
  "absent",
] as const;

/** Reasons as the end of "selected: ..." or "not selected: ...". */
const REASONS: Readonly<Record<number, (target: ApicTargetEvent) => string>> = {
  [abi.MATCH_SELF]: () => "shorthand self",
  [abi.MATCH_ALL]: () => "a shorthand compares no ID",
  [abi.MATCH_BROADCAST]: (t) => `broadcast in ${t.mode} mode`,
  [abi.MATCH_QUIRK]: () => "0xff of a device is a broadcast in x2APIC mode, too (broadcast quirk)",
  [abi.MATCH_BROADCAST32]: () => "0xffffffff is a broadcast in xAPIC mode, too",
  [abi.MATCH_TRUNCATED_BROADCAST]: () => "in xAPIC mode the low byte counts, and it is 0xff",
  [abi.MATCH_X2ID]: (t) => `its x2APIC ID is ${hex(t.apicId)}`,
  [abi.MATCH_XID]: (t) => `its 8-bit ID is ${hex(t.xid)}`,
  [abi.MATCH_HACK]: (t) =>
    `in xAPIC mode, but a destination above 0xff is compared with ${hex(t.apicId)}`,
  [abi.MATCH_TRUNCATED]: (t) =>
    `in xAPIC mode the low byte counts, and it is its 8-bit ID ${hex(t.xid)}`,
  [abi.MATCH_X2APIC_CLUSTER]: (t) => `its logical ID ${hex(t.ldr, 8)} is in that cluster`,
  [abi.MATCH_FLAT]: (t) => `its flat logical ID ${hex(t.ldr >>> 24)} has one of the bits`,
  [abi.MATCH_CLUSTER]: (t) => `its cluster logical ID ${hex(t.ldr >>> 24)} has one of the bits`,
  [abi.MATCH_MAP_OWNER]: (t) => `the map has ${identity(t)} under this ID`,
  [abi.MATCH_MAP_LOGICAL]: (t) => `the map has ${identity(t)} under one of the bits`,
  [abi.MISS_HARDWARE_DISABLED]: () => "its LAPIC is off (APIC_BASE.EN = 0) or gone",
  [abi.MISS_NOT_SELF]: () => "it is not the sender",
  [abi.MISS_SENDER]: () => "it is the sender",
  [abi.MISS_X2ID]: (t) => `its x2APIC ID is ${hex(t.apicId)}`,
  [abi.MISS_XID]: (t) => `its 8-bit ID is ${hex(t.xid)}`,
  [abi.MISS_LONG]: () => "in xAPIC mode it ignores destinations above 0xff",
  [abi.MISS_LONG_X2ID]: (t) => `its x2APIC ID is ${hex(t.apicId)}`,
  [abi.MISS_CLUSTER]: (t) => `its logical ID ${hex(t.ldr, 8)} is in another cluster`,
  [abi.MISS_LOGICAL_BITS]: (t) => `its logical ID ${hex(t.ldr, 8)} has none of the bits`,
  [abi.MISS_DFR]: (t) => `its DFR ${hex(t.dfr, 8)} is neither flat nor cluster`,
  [abi.MISS_FORMAT]: (t) => `the destination came in the other format; its mode is ${t.mode}`,
  [abi.MISS_MAP_OTHER]: () => "the map gives this ID to another CPU",
  [abi.MISS_MAP_ABSENT]: () => "a scan would select it, but the map has no such entry",
  [abi.MISS_MAP_NOT_YET]: () => "it was created after the map was last rebuilt",
  [abi.MISS_ARBITRATION]: () => "another CPU won the arbitration",
  [abi.MISS_NO_CANDIDATE]: () => "software-disabled: it takes no part in the arbitration",
  [abi.MISS_OTHER_OWNER]: () => "another CPU owns this ID",
};

const OUTCOMES: Readonly<Record<number, string>> = {
  [abi.OUTCOME_ACCEPTED]: "accepts it",
  [abi.OUTCOME_MERGED]: "accepts it; the same vector waits in IRR already",
  [abi.OUTCOME_BELOW_PPR]: "accepts it; it waits in IRR below the processor priority",
  [abi.OUTCOME_SOFTWARE_DISABLED]: "refuses it: software-disabled (SVR bit 8 = 0)",
  [abi.OUTCOME_DEASSERT]: "refuses it: level de-assert",
  [abi.OUTCOME_ILLEGAL_VECTOR]: "refuses it: illegal vector",
  [abi.OUTCOME_NMI_QUEUED]: "accepts it; an NMI waits already",
  [abi.OUTCOME_ERASES_SIPI]: "accepts it; it erases a pending STARTUP",
  [abi.OUTCOME_SIPI_LATE]: "accepts it and will discard it: it does not wait for STARTUP",
  [abi.OUTCOME_SIPI_REPLACES]: "accepts it; its vector replaces that of a pending STARTUP",
  [abi.OUTCOME_SIPI_SECOND]: "accepts it; the pending STARTUP before it counts",
  [abi.OUTCOME_KICK]: "leaves HLT, without an interrupt",
  [abi.OUTCOME_EXTINT]: "refuses it: ExtINT comes from pins only",
  [abi.OUTCOME_SMI]: "refuses it: SMM is not modelled",
};

/** The sentence of an event. @param apicIdOf - x2APIC ID of a vcpuIndex, to name the sender */
export function describeApicEvent(
  event: ApicEvent,
  apicIdOf: (vcpuIndex: number) => number,
): string {
  switch (event.kind) {
    case "message":
      return describeSending(event, apicIdOf);
    case "result":
      return `#${event.number} ${describeResult(event.result)}`;
    default:
      return `#${event.number} ${describeTarget(event)}`;
  }
}

function describeSending(event: ApicMessageEvent, apicIdOf: (vcpuIndex: number) => number): string {
  const from = event.sender < 0 ? "device" : hex(apicIdOf(event.sender));
  const parts = [`#${event.number} ${from}: ${describeMessage(event)} to ${where(event)}`];
  if (event.injected !== 0) {
    parts.push(`${INJECTIONS[event.injected]} by rule ${event.rule}`);
  }
  if (event.path !== abi.PATH_WITHHELD) parts.push(PATHS[event.path] ?? "");
  return parts.join(", ");
}

/** What a message is: "INIT", "STARTUP 0x08", "Fixed 0x40". */
export function describeMessage(event: ApicMessageEvent): string {
  const name = DELIVERY_MODES[event.deliveryMode]!;
  const level = event.levelTriggered && !event.assert ? " de-assert" : "";
  const hint = event.hint ? " (redirection hint)" : "";
  const hasVector = event.deliveryMode <= 1 || event.deliveryMode === 6;
  return `${name}${hasVector ? ` ${hex(event.vector, 2)}` : ""}${level}${hint}`;
}

function where(event: ApicMessageEvent): string {
  switch (event.shorthand) {
    case 1:
      return "self";
    case 2:
      return "all";
    case 3:
      return "all but self";
    default:
      return `${event.logical ? "logical" : "physical"} ${hex(event.dest)}`;
  }
}

function describeResult(result: number): string {
  if (result < 0) return "no LAPIC matched";
  if (result === 0) return "accepted by none";
  return result === 1 ? "accepted by one" : `accepted by ${result}`;
}

function describeTarget(target: ApicTargetEvent): string {
  const because = describeReason(target);
  if (target.kind === "other") return `${hex(target.apicId)} not selected: ${because}`;
  const state = RUN_STATES[target.runState] ?? "unknown";
  return `${hex(target.apicId)} (${state}) ${describeOutcome(target)}: ${because}`;
}

/** Why a CPU was selected, or was not. */
export function describeReason(target: ApicTargetEvent): string {
  return REASONS[target.reason]?.(target) ?? `reason ${target.reason}`;
}

/** What a selected CPU does with the message. */
export function describeOutcome(target: ApicTargetEvent): string {
  return OUTCOMES[target.outcome] ?? `outcome ${target.outcome}`;
}

function identity(target: ApicTargetEvent): string {
  return target.mode === "x2APIC"
    ? "it"
    : `it (${target.mode} mode, x2APIC ID ${hex(target.apicId)}, 8-bit ID ${hex(target.xid)})`;
}
