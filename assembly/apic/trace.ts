/**
 * Trace records of the fabric: what the host sees of a message. Offsets are in abi.ts (TRACE_*), text in src/trace.
 */
import * as abi from "../abi";
import { traceEvent } from "../host";
import { forgetTargets } from "./plain-targets";

@unmanaged
export class MessageRecord {
  number: u32;
  sender: i32;
  now: u64;
  dest: u32;
  low: u32;
  kind: u32;
  path: u32;
  injected: u32;
  /** In the record of the result: what the sender is told. */
  result: i32;
}

@unmanaged
export class TargetRecord {
  number: u32;
  vcpuIndex: u32;
  apicId: u32;
  ldr: u32;
  dfr: u32;
  /** MATCH_* or MISS_*. */
  reason: u32;
  /** OUTCOME_*. */
  outcome: u32;
  runState: u32;
  xid: u8;
  /** 0 off, 1 xAPIC, 2 x2APIC. */
  mode: u8;
  softwareEnabled: u8;
  tpr: u8;
  ppr: u8;
  private pad0: u8;
  private pad1: u16;
}

export const messageRecord: MessageRecord = changetype<MessageRecord>(memory.data(40, 8));
export const targetRecord: TargetRecord = changetype<TargetRecord>(memory.data(40, 8));

/** Bit n asks for events of kind n (TRACE_* of abi.ts). */
export let traceMask: u32 = 0;

export function setTraceMask(mask: u32): void {
  traceMask = mask;
  forgetTargets();
}

export function emitMessage(kind: u32): void {
  traceEvent(kind, changetype<usize>(messageRecord));
}

export function emitTarget(kind: u32): void {
  traceEvent(kind, changetype<usize>(targetRecord));
}

if (offsetof<MessageRecord>("dest") !== abi.TRACE_MESSAGE_DEST) ERROR("MessageRecord.dest");
if (offsetof<MessageRecord>("injected") !== abi.TRACE_MESSAGE_INJECTED)
  ERROR("MessageRecord.injected");
if (offsetof<MessageRecord>("result") !== abi.TRACE_MESSAGE_RESULT) ERROR("MessageRecord.result");
if (offsetof<MessageRecord>() !== 40) ERROR("MessageRecord: size of its memory");
if (offsetof<TargetRecord>("reason") !== abi.TRACE_TARGET_REASON) ERROR("TargetRecord.reason");
if (offsetof<TargetRecord>("xid") !== abi.TRACE_TARGET_XID) ERROR("TargetRecord.xid");
if (offsetof<TargetRecord>("ppr") !== abi.TRACE_TARGET_PPR) ERROR("TargetRecord.ppr");
if (offsetof<TargetRecord>() !== 40) ERROR("TargetRecord: size of its memory");
