/**
 * What the CPU asks of the machine around it. `cpu` imports neither apic/ nor vm/: vm/ fills these in at creation.
 */
import { Vcpu } from "../vcpu";

function noRead(cpu: Vcpu, index: u32): bool {
  return false;
}
function noWrite(cpu: Vcpu, index: u32, value: u64): bool {
  return false;
}
function noValue(cpu: Vcpu): u64 {
  return 0;
}
function noTake(cpu: Vcpu): bool {
  return false;
}
function noSet(cpu: Vcpu, value: u64): void {}
function noWake(cpu: Vcpu): void {}

/** RDMSR of the APIC's MSRs (1BH, 6E0H, 800H-8FFH, KVM's PV EOI). @returns false for #GP; the value is in `msrValue` */
export let apicMsrRead: (cpu: Vcpu, msr: u32) => bool = noRead;
/** WRMSR of the same. @returns false for #GP */
export let apicMsrWrite: (cpu: Vcpu, msr: u32, value: u64) => bool = noWrite;
/** CR8: TPR[7:4]. */
export let cr8Read: (cpu: Vcpu) => u64 = noValue;
export let cr8Write: (cpu: Vcpu, value: u64) => void = noSet;
/** Virtual time in ns, exact to the present instruction. */
export let now: (cpu: Vcpu) => u64 = noValue;
/** VMCALL/VMMCALL: RAX = number, RBX RCX RDX RSI = arguments; result in RAX. */
export let hypercall: (cpu: Vcpu) => u64 = noValue;

/**
 * At an instruction boundary inside `execute`: takes what the request word asks for, if that is no more than an interrupt
 * of the LAPIC. @returns true when `cpu` can run its next instruction; false: the run loop has to look
 */
export let takeInterrupt: (cpu: Vcpu) => bool = noTake;

/** Makes another vCPU, HALTED by MWAIT, runnable: its monitored line was stored to. */
export let wake: (cpu: Vcpu) => void = noWake;

export function setWake(hook: (cpu: Vcpu) => void): void {
  wake = hook;
}

/** Value of the last successful `apicMsrRead`. */
export let msrValue: u64 = 0;

export function setMsrValue(value: u64): void {
  msrValue = value;
}

export function setPlatform(
  msrRead: (cpu: Vcpu, msr: u32) => bool,
  msrWrite: (cpu: Vcpu, msr: u32, value: u64) => bool,
  tprRead: (cpu: Vcpu) => u64,
  tprWrite: (cpu: Vcpu, value: u64) => void,
  clock: (cpu: Vcpu) => u64,
  call: (cpu: Vcpu) => u64,
  take: (cpu: Vcpu) => bool,
): void {
  apicMsrRead = msrRead;
  apicMsrWrite = msrWrite;
  cr8Read = tprRead;
  cr8Write = tprWrite;
  now = clock;
  hypercall = call;
  takeInterrupt = take;
}
