/**
 * How the APIC reaches a vCPU: bits of its request word, and one hook for a vCPU that is not running.
 *
 * A running vCPU looks at its request word on the next instruction boundary. For any other, vm/ is told that there may
 * be something to do; whether it may run is for `wouldWake` (priority.ts) and `takeInitSipi` (init-sipi.ts) to say.
 */
import { RUNNABLE } from "../abi";
import { Vcpu } from "../vcpu";

function nobodyWaits(vcpuIndex: u32): void {}

let wake: (vcpuIndex: u32) => void = nobodyWaits;

/** Sets the hook that is called with the vcpuIndex of a waiting vCPU whose request word got a new bit. */
export function setWake(hook: (vcpuIndex: u32) => void): void {
  wake = hook;
}

/** Raises REQ_* bits. @inline */
export function request(cpu: Vcpu, bits: u32): void {
  cpu.request |= bits;
  if (cpu.runState !== RUNNABLE) wake(cpu.index);
}
