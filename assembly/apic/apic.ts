/** Creation of the APIC: its tables. */
import { initIds } from "./ids";
import { initMap } from "./map";

/** Places the tables, before guest RAM. @param vcpuCapacity - number of vCPU slots @returns false without memory */
export function initApic(vcpuCapacity: u32): bool {
  return initIds(vcpuCapacity) && initMap(vcpuCapacity);
}
