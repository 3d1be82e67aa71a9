/**
 * Why a message goes where it goes: for each vCPU, whether it is selected, by which rule, and what it will do.
 *
 * Written before the delivery, from the same functions that deliver. Nothing of this runs unless the trace mask asks.
 */
import * as abi from "../abi";
import { vcpuCount } from "../layout";
import { NMI_QUEUED_SHIFT, Vcpu } from "../vcpu";
import * as def from "../x86/apicdef";
import { isDeassert } from "./accept";
import { isOwned, scanOwner, scanWinner, slotWinner } from "./arbitration";
import { Lapic } from "./lapic";
import { logicalMode } from "./logical-map";
import { isLogical, logicalBits, picksOne, slotMember } from "./lookup";
import { isVisible, mapOwner } from "./map";
import { isMatch, matchReason } from "./match";
import { Message } from "./message";
import { policy } from "./policy";
import { now } from "./time";
import { emitMessage, emitTarget, messageRecord, targetRecord, traceMask } from "./trace";
import { testVector } from "./vectors";

const TARGETS: u32 = (1 << abi.TRACE_APIC_TARGET) | (1 << abi.TRACE_APIC_OTHER);
const NOBODY: i32 = -1;

/** Tells what was sent, then of every vCPU that was asked for. */
export function traceMessage(msg: Message): void {
  messageRecord.number = msg.number;
  messageRecord.sender = msg.sender;
  messageRecord.now = now();
  messageRecord.dest = msg.dest;
  messageRecord.low = msg.low;
  messageRecord.kind = msg.kind;
  messageRecord.path = msg.path;
  messageRecord.injected = msg.injected;
  messageRecord.result = 0;
  if ((traceMask & (1 << abi.TRACE_APIC_MESSAGE)) !== 0) emitMessage(abi.TRACE_APIC_MESSAGE);
  if ((traceMask & TARGETS) === 0 || msg.path === abi.PATH_WITHHELD) return;

  const chosen = chosenOne(msg);
  for (let i: u32 = 0; i < vcpuCount; i++) {
    if (Lapic.at(i).cpu.runState === abi.ABSENT && !Lapic.at(i).isPresent) continue;
    traceTarget(i, msg, chosen);
  }
}

/** Tells what the sender was told. */
export function traceResult(msg: Message, result: i32): void {
  if ((traceMask & (1 << abi.TRACE_APIC_RESULT)) === 0) return;
  messageRecord.result = result;
  messageRecord.low = msg.low;
  emitMessage(abi.TRACE_APIC_RESULT);
}

function traceTarget(vcpuIndex: u32, msg: Message, chosen: i32): void {
  const lapic = Lapic.at(vcpuIndex);
  const cpu = lapic.cpu;
  const reason = explain(vcpuIndex, msg, chosen);
  const kind = isMatch(reason) ? abi.TRACE_APIC_TARGET : abi.TRACE_APIC_OTHER;
  if ((traceMask & (1 << kind)) === 0) return;
  targetRecord.number = msg.number;
  targetRecord.vcpuIndex = vcpuIndex;
  targetRecord.apicId = cpu.apicId;
  targetRecord.ldr = lapic.ldr;
  targetRecord.dfr = lapic.dfr;
  targetRecord.reason = reason;
  targetRecord.outcome = isMatch(reason) ? outcome(lapic, msg.low) : abi.OUTCOME_NONE;
  targetRecord.runState = cpu.runState;
  targetRecord.xid = lapic.xid;
  targetRecord.mode = lapic.isPresent ? (lapic.isX2apic ? 2 : 1) : 0;
  targetRecord.softwareEnabled = lapic.isSoftwareEnabled ? 1 : 0;
  targetRecord.tpr = lapic.tpr;
  targetRecord.ppr = lapic.ppr;
  emitTarget(kind);
}

/** The one vCPU that a physical lookup, an arbitration or the owner rule leaves over; NOBODY otherwise. */
function chosenOne(msg: Message): i32 {
  if (msg.path === abi.PATH_MAP) {
    if (!isLogical(msg)) return mapOwner(msg.dest);
    return picksOne(msg) ? slotWinner(msg, logicalMode()) : NOBODY;
  }
  if (msg.path !== abi.PATH_SCAN) return NOBODY;
  if (picksOne(msg)) return scanWinner(msg);
  return isOwned(msg) ? scanOwner(msg) : NOBODY;
}

/** @returns MATCH_* or MISS_* */
function explain(vcpuIndex: u32, msg: Message, chosen: i32): u32 {
  const lapic = Lapic.at(vcpuIndex);
  const scanned = matchReason(lapic, msg);
  const isChosen = <i32>vcpuIndex === chosen;
  if (msg.path === abi.PATH_SCAN) {
    if (!isMatch(scanned) || isChosen) return scanned;
    if (picksOne(msg))
      return lapic.isSoftwareEnabled ? abi.MISS_ARBITRATION : abi.MISS_NO_CANDIDATE;
    return isOwned(msg) ? abi.MISS_OTHER_OWNER : scanned;
  }
  if (msg.path === abi.PATH_SELF) return scanned;
  if (!isLogical(msg)) {
    if (isChosen) return abi.MATCH_MAP_OWNER;
    return missOnMap(vcpuIndex, scanned, chosen);
  }
  if (!isMember(vcpuIndex, msg)) return missOnMap(vcpuIndex, scanned, NOBODY);
  return picksOne(msg) && !isChosen ? abi.MISS_ARBITRATION : abi.MATCH_MAP_LOGICAL;
}

function isMember(vcpuIndex: u32, msg: Message): bool {
  const mode = logicalMode();
  for (let rest = logicalBits(msg.dest, mode); rest !== 0; rest &= rest - 1) {
    if (slotMember(msg.dest, mode, <u32>ctz(rest)) === <i32>vcpuIndex) return true;
  }
  return false;
}

/** Where a scan would not select the LAPIC either, its reason is the better one. */
function missOnMap(vcpuIndex: u32, scanned: u32, owner: i32): u32 {
  if (!isMatch(scanned)) return scanned;
  if (!isVisible(vcpuIndex)) return abi.MISS_MAP_NOT_YET;
  return owner >= 0 ? abi.MISS_MAP_OTHER : abi.MISS_MAP_ABSENT;
}

/** What `accept` is going to do. */
function outcome(lapic: Lapic, low: u32): u32 {
  const cpu = lapic.cpu;
  switch ((low >> def.ICR_DELIVERY_MODE_SHIFT) & 7) {
    case def.FIXED:
    case def.LOWEST_PRIORITY:
      return fixedOutcome(lapic, low);
    case def.NMI:
      return cpu.nmi >> NMI_QUEUED_SHIFT !== 0 ? abi.OUTCOME_NMI_QUEUED : abi.OUTCOME_ACCEPTED;
    case def.INIT:
      if (isDeassert(low)) return abi.OUTCOME_DEASSERT;
      return (cpu.request & abi.REQ_SIPI) !== 0 ? abi.OUTCOME_ERASES_SIPI : abi.OUTCOME_ACCEPTED;
    case def.STARTUP:
      return startupOutcome(cpu);
    case def.REMOTE_READ:
      return abi.OUTCOME_KICK;
    case def.EXTINT:
      return abi.OUTCOME_EXTINT;
    default:
      return abi.OUTCOME_SMI;
  }
}

function fixedOutcome(lapic: Lapic, low: u32): u32 {
  const vector = low & def.ICR_VECTOR;
  if (isDeassert(low)) return abi.OUTCOME_DEASSERT;
  if (!lapic.isSoftwareEnabled) return abi.OUTCOME_SOFTWARE_DISABLED;
  if (policy.errors !== 0 && vector < def.FIRST_LEGAL_VECTOR) return abi.OUTCOME_ILLEGAL_VECTOR;
  if (testVector(lapic.irr, vector)) return abi.OUTCOME_MERGED;
  return (vector & 0xf0) > (<u32>lapic.ppr & 0xf0) ? abi.OUTCOME_ACCEPTED : abi.OUTCOME_BELOW_PPR;
}

function startupOutcome(cpu: Vcpu): u32 {
  if ((cpu.request & abi.REQ_SIPI) !== 0) {
    return policy.firstSipi !== 0 ? abi.OUTCOME_SIPI_SECOND : abi.OUTCOME_SIPI_REPLACES;
  }
  const waits = cpu.runState === abi.WAIT_FOR_SIPI || (cpu.request & abi.REQ_INIT) !== 0;
  return waits ? abi.OUTCOME_ACCEPTED : abi.OUTCOME_SIPI_LATE;
}
