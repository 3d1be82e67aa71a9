/**
 * Drives the fabric from inside, for benchmarks: what a million calls over the host boundary would hide.
 */
import { vcpuCount } from "../layout";
import { Lapic } from "./lapic";
import { writeX2apicMsr } from "./msr";
import { acknowledge } from "./priority";

const MSR_ICR: u32 = 0x830;
const MSR_EOI: u32 = 0x80b;
const TARGET_STRIDE: u32 = 7;

/**
 * Sends unicast IPIs between all vCPUs, which are in x2APIC mode with IDs 0..vcpuCount-1; each target acknowledges and
 * writes EOI before the next IPI.
 *
 * @param count - IPIs; @param vector - 16..255 @returns IPIs that were acknowledged
 */
export function apicDriveUnicast(count: u32, vector: u32): u32 {
  const cpus = vcpuCount;
  let done: u32 = 0;
  let sender: u32 = 0;
  let target: u32 = 0;
  for (let n: u32 = 0; n < count; n++) {
    // Strides that visit all pairs in the end, without a division in the loop.
    target += TARGET_STRIDE;
    while (target >= cpus) target -= cpus;
    if (++sender === cpus) sender = 0;
    writeX2apicMsr(Lapic.at(sender), MSR_ICR, ((<u64>target) << 32) | 0x4000 | vector);
    done += take(target, vector);
  }
  return done;
}

/** Sends one IPI to all but vCPU 0 and has every target acknowledge it and write EOI. @returns how many did */
export function apicDriveBroadcast(vector: u32): u32 {
  writeX2apicMsr(Lapic.at(0), MSR_ICR, 0xc4000 | vector);
  let done: u32 = 0;
  for (let i: u32 = 1; i < vcpuCount; i++) done += take(i, vector);
  return done;
}

function take(vcpuIndex: u32, vector: u32): u32 {
  const lapic = Lapic.at(vcpuIndex);
  if (acknowledge(lapic) !== <i32>vector) return 0;
  writeX2apicMsr(lapic, MSR_EOI, 0);
  return 1;
}
