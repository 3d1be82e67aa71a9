/** The exports of the core, nothing else: the table of contents of its ABI. `src/core.ts` wraps it. */
import { initApic } from "./apic/apic";
import { placeRam, placeVcpus } from "./layout";

export * from "./apic/exports";

export function create(vcpuCapacity: u32, ramBytes: u32): u32 {
  return placeVcpus(vcpuCapacity) && initApic(vcpuCapacity) && placeRam(ramBytes) ? 1 : 0;
}
