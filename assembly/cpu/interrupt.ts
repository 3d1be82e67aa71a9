/**
 * Delivery of interrupts and exceptions, and what happens when delivery itself faults.
 *
 * Runs outside blocks: `cpu.rip` is the RIP to save. The gates are in gate.ts (IDT) and ivt.ts (real-address mode).
 * Source: SDM 3A "Interrupt and Exception Handling"; double faults: "Conditions for Generating a Double Fault".
 */
import { SHUTDOWN } from "../abi";
import { FAULT_HAS_ERROR, FAULT_LENGTH_SHIFT, FAULT_SOFTWARE } from "../fault";
import { NMI_BLOCKED, SHADOW_HITS_SHIFT, Vcpu } from "../vcpu";
import { DB, DE, DF, ERROR_EXT, GP, NP, PF, SS_FAULT, TS } from "../x86/exception";
import { RF } from "../x86/eflags";
import { raiseDebug } from "./debug-status";
import { setEventExt } from "./descriptor-table";
import { DR7_GD } from "./dr";
import { enterFast, enterKnown } from "./fast-event";
import { enterFlat } from "./flat-event";
import { rflags } from "./flags";
import { deliverThroughIdt } from "./gate";
import { deliverThroughIvt } from "./ivt";
import { is64, isReal, MODE_64 } from "./mode";

/** In the place of a vector: an event whose own nested fault is simply delivered instead of it. */
const BENIGN: u32 = 0x100;

const CONTRIBUTORY: u32 = (1 << DE) | (1 << TS) | (1 << NP) | (1 << SS_FAULT) | (1 << GP);

/** The exception that was delivered last: vector, bit 8 when it has an error code; -1 when there was none. */
export let lastException: i32 = -1;
/** Its error code. */
export let lastError: u32 = 0;

export function clearLastException(): void {
  lastException = -1;
}

function isContributory(vector: u32): bool {
  return vector < 32 && ((CONTRIBUTORY >> vector) & 1) !== 0;
}

/** True when a fault with `vector` during delivery of `previous` makes a double fault (or, on #DF, a triple fault). */
function isDouble(previous: u32, vector: u32): bool {
  if (previous === PF || previous === DF) return isContributory(vector) || vector === PF;
  return isContributory(previous) && isContributory(vector);
}

/**
 * Delivers the exception recorded in `cpu.fault`, and those that its delivery causes.
 *
 * A third fault leaves the vCPU in SHUTDOWN with `shutdownCause` set and CS:RIP at the instruction that failed.
 */
export function deliverFault(cpu: Vcpu): void {
  resolve(cpu, BENIGN);
}

/** Delivers an external interrupt or NMI. @param vector - 0..255; 2 for an NMI, which blocks further ones until IRET */
export function deliverInterrupt(cpu: Vcpu, vector: u32, isNmi: bool): void {
  if (isNmi) cpu.nmi |= NMI_BLOCKED;
  deliverVector(cpu, vector);
}

/** Delivers a maskable interrupt: mostly its handler has run before. @inline */
export function deliverVector(cpu: Vcpu, vector: u32): void {
  const image = rflags(cpu);
  const rip = cpu.rip;
  if (cpu.mode & MODE_64 && enterKnown(cpu, vector, false, 0, ERROR_EXT, image, rip)) return;
  deliverAnew(cpu, vector, image);
}

function deliverAnew(cpu: Vcpu, vector: u32, image: u32): void {
  deliver(cpu, vector, false, 0, ERROR_EXT, image, cpu.rip);
  resolve(cpu, BENIGN);
}

function resolve(cpu: Vcpu, first: u32): void {
  let previous = first;
  while (cpu.fault !== 0) {
    const fault = cpu.fault;
    const isSoftware = (fault & FAULT_SOFTWARE) !== 0;
    let vector = fault & 0xff;
    let hasError = (fault & FAULT_HAS_ERROR) !== 0;
    let error = cpu.faultError;
    cpu.fault = 0;
    if (!isSoftware && vector === PF) cpu.cr2 = cpu.faultAddress;
    if (isDouble(previous, vector)) {
      if (previous === DF) {
        cpu.runState = SHUTDOWN;
        cpu.shutdownCause = DF | (vector << 8);
        return;
      }
      vector = DF;
      hasError = true;
      error = 0;
    }
    previous = isSoftware ? BENIGN : vector;
    lastException = <i32>(vector | (hasError ? 0x100 : 0));
    lastError = error;
    const saved = cpu.rip;
    let image = rflags(cpu);
    if (!isSoftware) {
      // SDM 3B "Instruction-Breakpoint Exception Condition": faults push RF = 1, debug exceptions do not.
      if (vector === DB) cpu.dr7 &= ~DR7_GD;
      else image |= RF;
    }
    // INT n and its kin: a fault during delivery is a fault of the instruction itself.
    cpu.rip = (saved - (fault >> FAULT_LENGTH_SHIFT)) & (is64(cpu) ? -1 : 0xffffffff);
    const heldBack = isSoftware ? cpu.shadow >> SHADOW_HITS_SHIFT : 0;
    deliver(cpu, vector, hasError, error, isSoftware ? 0 : ERROR_EXT, image, saved);
    if (heldBack !== 0) raiseDebug(cpu, heldBack, true);
  }
}

/**
 * Delivers one event. On a fault in delivery nothing has changed (but for a task switch that went through).
 *
 * @param ext - ERROR_EXT for events from outside the program, 0 for INT n, INT3, INTO (which the gate's DPL may refuse)
 * @param image - RFLAGS to save; @param savedRip - RIP to save
 */
function deliver(
  cpu: Vcpu,
  vector: u32,
  hasError: bool,
  error: u32,
  ext: u32,
  image: u32,
  savedRip: u64,
): void {
  if (cpu.mode & MODE_64) {
    if (enterKnown(cpu, vector, hasError, error, ext, image, savedRip)) return;
    if (enterFast(cpu, vector, hasError, error, ext, image, savedRip)) return;
  } else if (enterFlat(cpu, vector, hasError, error, ext, image, savedRip)) return;
  setEventExt(ext);
  if (isReal(cpu)) deliverThroughIvt(cpu, vector, image, savedRip);
  else deliverThroughIdt(cpu, vector, hasError, error, image, savedRip);
  setEventExt(0);
  if (cpu.fault === 0) cpu.shadow = 0;
}
