/** Which machine a Linux kernel needs. */
import type { MachineOptions } from "./options.js";
import { DEFAULT_POLICY, parsePolicy } from "./policies.js";

const MEMORY_BYTES = 256 * 2 ** 20;

// KVM's features that a kernel is offered. Each other one adds a protocol and hides the ICR behind it.
const CLOCKSOURCE2 = 1 << 3;
const MSI_EXT_DEST_ID = 1 << 15;
const CLOCKSOURCE_STABLE = 1 << 24;
const KNOB = "msiExtDest";

/**
 * Machine options with what Linux needs filled in where they leave it open: 256 MiB of memory, kvm-clock, and 15-bit
 * destinations, without which a kernel refuses CPUs with APIC IDs above 254. A policy that names the knob `msiExtDest`
 * keeps its value, and the feature follows it.
 *
 * @param later - APIC IDs that will be plugged: the kernel has to find them in its ACPI tables when it boots
 * @throws X2vmError BAD_OPTION for a malformed policy
 */
export function linuxMachineOptions(
  options: MachineOptions,
  later: readonly number[] = [],
): MachineOptions {
  const written = options.policy ?? DEFAULT_POLICY;
  const policy = written.includes(`${KNOB}=`) ? written : `${written},${KNOB}=on`;
  const extended = parsePolicy(policy).knobs.get(KNOB) === 1 ? MSI_EXT_DEST_ID : 0;
  const present = options.apicIds ?? Array.from({ length: options.cpus ?? 1 }, (_, i) => i);
  const absent = [...new Set(later)].filter((apicId) => !present.includes(apicId));
  return {
    memoryBytes: MEMORY_BYTES,
    possibleApicIds: absent,
    kvmFeatures: CLOCKSOURCE2 | CLOCKSOURCE_STABLE | extended,
    ...options,
    policy,
  };
}
