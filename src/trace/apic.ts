/** Trace events of the interrupt fabric: decoded from the core's records (assembly/apic/trace.ts). */
import * as abi from "../../assembly/abi.js";

/** A message was sent (`message`), or delivered (`result`). */
export interface ApicMessageEvent {
  readonly kind: "message" | "result";
  readonly number: number;
  /** vcpuIndex, or -1: a device or a hypercall. */
  readonly sender: number;
  /** Virtual time, ns. */
  readonly now: bigint;
  readonly dest: number;
  readonly logical: boolean;
  /** 0 none, 1 self, 2 all, 3 all but self. */
  readonly shorthand: number;
  readonly deliveryMode: number;
  readonly vector: number;
  readonly levelTriggered: boolean;
  readonly assert: boolean;
  /** MSI redirection hint. */
  readonly hint: boolean;
  /** PATH_* of the core. */
  readonly path: number;
  /** INJECT_* of the core when fault injection changed the message, else 0; and the number of the rule. */
  readonly injected: number;
  readonly rule: number;
  /** Number of LAPICs that accepted, 0 or -1 for none; of meaning in a `result`. */
  readonly result: number;
}

/** One vCPU and a message: selected (`target`) or not (`other`). */
export interface ApicTargetEvent {
  readonly kind: "target" | "other";
  /** Of the message. */
  readonly number: number;
  readonly vcpuIndex: number;
  readonly apicId: number;
  readonly mode: "off" | "xAPIC" | "x2APIC";
  /** 8-bit ID. */
  readonly xid: number;
  readonly ldr: number;
  readonly dfr: number;
  readonly softwareEnabled: boolean;
  readonly tpr: number;
  readonly ppr: number;
  /** RUNNABLE .. ABSENT of the core, before the message. */
  readonly runState: number;
  /** MATCH_* or MISS_* of the core. */
  readonly reason: number;
  /** OUTCOME_* of the core. */
  readonly outcome: number;
}

export type ApicEvent = ApicMessageEvent | ApicTargetEvent;

/** Bits of the trace mask: one for each kind. */
export const TRACE_MESSAGES = (1 << abi.TRACE_APIC_MESSAGE) | (1 << abi.TRACE_APIC_RESULT);
export const TRACE_TARGETS = 1 << abi.TRACE_APIC_TARGET;
export const TRACE_OTHERS = 1 << abi.TRACE_APIC_OTHER;

const REFUSALS: ReadonlySet<number> = new Set([
  abi.OUTCOME_SOFTWARE_DISABLED,
  abi.OUTCOME_DEASSERT,
  abi.OUTCOME_ILLEGAL_VECTOR,
  abi.OUTCOME_EXTINT,
  abi.OUTCOME_SMI,
]);

/** True when a selected CPU does not take the message. @param outcome - OUTCOME_* of the core */
export function isRefusal(outcome: number): boolean {
  return REFUSALS.has(outcome);
}

const MODES = ["off", "xAPIC", "x2APIC"] as const;

/** True when an event of this kind is for `decodeApicEvent`. */
export function isApicEvent(kind: number): boolean {
  return kind >= abi.TRACE_APIC_MESSAGE && kind <= abi.TRACE_APIC_RESULT;
}

/** Decodes an event. @param view - linear memory; @param record - address of the event in it */
export function decodeApicEvent(kind: number, view: DataView, record: number): ApicEvent {
  return kind === abi.TRACE_APIC_MESSAGE || kind === abi.TRACE_APIC_RESULT
    ? decodeMessage(kind, view, record)
    : decodeTarget(kind, view, record);
}

function decodeMessage(kind: number, view: DataView, record: number): ApicMessageEvent {
  const u32 = (offset: number): number => view.getUint32(record + offset, true);
  const low = u32(abi.TRACE_MESSAGE_LOW);
  const injected = u32(abi.TRACE_MESSAGE_INJECTED);
  return {
    kind: kind === abi.TRACE_APIC_MESSAGE ? "message" : "result",
    number: u32(abi.TRACE_MESSAGE_NUMBER),
    sender: view.getInt32(record + abi.TRACE_MESSAGE_SENDER, true),
    now: view.getBigUint64(record + abi.TRACE_MESSAGE_NOW, true),
    dest: u32(abi.TRACE_MESSAGE_DEST),
    logical: (low & 0x800) !== 0,
    shorthand: (low >>> 18) & 3,
    deliveryMode: (low >>> 8) & 7,
    vector: low & 0xff,
    levelTriggered: (low & 0x8000) !== 0,
    assert: (low & 0x4000) !== 0,
    hint: u32(abi.TRACE_MESSAGE_KIND) === 1,
    path: u32(abi.TRACE_MESSAGE_PATH),
    injected: injected & 0xff,
    rule: injected >>> 8,
    result: view.getInt32(record + abi.TRACE_MESSAGE_RESULT, true),
  };
}

function decodeTarget(kind: number, view: DataView, record: number): ApicTargetEvent {
  const u32 = (offset: number): number => view.getUint32(record + offset, true);
  const u8 = (offset: number): number => view.getUint8(record + offset);
  return {
    kind: kind === abi.TRACE_APIC_TARGET ? "target" : "other",
    number: u32(abi.TRACE_TARGET_NUMBER),
    vcpuIndex: u32(abi.TRACE_TARGET_INDEX),
    apicId: u32(abi.TRACE_TARGET_APIC_ID),
    mode: MODES[u8(abi.TRACE_TARGET_MODE)] ?? "off",
    xid: u8(abi.TRACE_TARGET_XID),
    ldr: u32(abi.TRACE_TARGET_LDR),
    dfr: u32(abi.TRACE_TARGET_DFR),
    softwareEnabled: u8(abi.TRACE_TARGET_SOFTWARE_ENABLED) !== 0,
    tpr: u8(abi.TRACE_TARGET_TPR),
    ppr: u8(abi.TRACE_TARGET_PPR),
    runState: u32(abi.TRACE_TARGET_RUN_STATE),
    reason: u32(abi.TRACE_TARGET_REASON),
    outcome: u32(abi.TRACE_TARGET_OUTCOME),
  };
}
