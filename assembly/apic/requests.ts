/**
 * How the APIC reaches a vCPU: bits of its request word, and one hook for a vCPU that is not running.
 *
 * A running vCPU looks at its request word on the next instruction boundary. For any other, vm/ is told that there may
 * be something to do; whether it may run is for `wouldWake` (priority.ts) and `takeInitSipi` (init-sipi.ts) to say.
 */
import { RUNNABLE } from "../abi";
import { Vcpu } from "../vcpu";

function nobodyWaits(vcpuIndex: u32): void {}
function noIoapic(vector: u32): void {}

let wake: (vcpuIndex: u32) => void = nobodyWaits;
let eoiBroadcast: (vector: u32) => void = noIoapic;

/** Sets the hook that is called with the vcpuIndex of a waiting vCPU whose request word got a new bit. */
export function setWake(hook: (vcpuIndex: u32) => void): void {
  wake = hook;
}

/** Sets the hook that takes EOIs of level-triggered vectors to the IOAPICs. */
export function setEoiBroadcast(hook: (vector: u32) => void): void {
  eoiBroadcast = hook;
}

/** Tells the IOAPICs that a level-triggered vector was finished. */
export function broadcastEoi(vector: u32): void {
  eoiBroadcast(vector);
}

/** Raises REQ_* bits. */
export function request(cpu: Vcpu, bits: u32): void {
  cpu.request |= bits;
  if (cpu.runState !== RUNNABLE) wake(cpu.index);
}
