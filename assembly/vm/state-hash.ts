/**
 * A hash of the vCPUs and the clock: equal machine states give equal hashes.
 *
 * Left out is what only the worker knows: TLB tags and the form in which the lazy flags are kept.
 */
import { VCPU_BYTES } from "../abi";
import { rflags } from "../cpu/flags";
import { vcpuCount } from "../layout";
import { Vcpu } from "../vcpu";
import { clockNs } from "./clock";
import { totalRetired } from "./run";
import { vcpu } from "./vcpus";

const MULTIPLIER: u64 = 0x9e3779b97f4a7c15;

let low: u64 = 0;
let high: u64 = 0;

function mix(value: u64): void {
  low = (low ^ value) * MULTIPLIER;
  low ^= low >> 29;
  high = rotl(high, 23) + low;
}

/** Computes the hash. @param result - receives 16 bytes */
export function hashState(result: usize): void {
  low = 0x243f6a8885a308d3;
  high = 0x13198a2e03707344;
  mix(clockNs());
  mix(totalRetired);
  for (let n: u32 = 0; n < vcpuCount; n++) hashVcpu(vcpu(n));
  store<u64>(result, low);
  store<u64>(result, high, 8);
}

function hashVcpu(cpu: Vcpu): void {
  const record = changetype<usize>(cpu);
  mix(rflags(cpu));
  mix(cpu.gdtrLimit);
  mix(cpu.idtrLimit);
  for (let offset: usize = 0; offset < <usize>VCPU_BYTES; offset += 8) {
    if (isWorkerState(offset)) continue;
    mix(load<u64>(record + offset));
  }
}

function isWorkerState(offset: usize): bool {
  if (offset >= offsetof<Vcpu>("flagResult") && offset < offsetof<Vcpu>("request")) return true;
  if (offset === offsetof<Vcpu>("asid")) return true; // asid and asidEpoch
  if (offset === offsetof<Vcpu>("gdtrLimit")) return true; // gdtrLimit and tlbSalt
  if (offset === offsetof<Vcpu>("idtrLimit")) return true; // idtrLimit and space
  return offset === offsetof<Vcpu>("tlbTag"); // tlbTag and paging
}
