/**
 * Guest-physical memory: RAM, the local APIC page of the accessing vCPU, and the host's MMIO for the rest.
 *
 * Every access is bounded here or by a TLB entry that was filled from here, so that no guest address reaches another
 * byte of the linear memory.
 */
import { mmioRead, mmioWrite } from "../host";
import { ramBase, ramBytes } from "../layout";
import { Vcpu } from "../vcpu";
import { beforeStore } from "./code-map";
import { apicPageRead, apicPageWrite } from "./hooks";

/** True when gpa .. gpa+size-1 is guest RAM. */
export function isRam(gpa: u64, size: u32): bool {
  return gpa + size <= <u64>ramBytes;
}

/** True when the page of `gpa` is RAM that a TLB entry may point at for this vCPU. */
export function isPlainRam(cpu: Vcpu, gpa: u64): bool {
  return gpa < <u64>ramBytes && (gpa & ~(<u64>0xfff)) !== cpu.apicPage;
}

/** Reads physical memory. The access must not cross a page. */
export function physicalRead<T>(cpu: Vcpu, gpa: u64): T {
  if (isPlainRam(cpu, gpa)) return load<T>(ramBase + <usize>gpa);
  if (sizeof<T>() === 8) {
    if (isApicPage(cpu, gpa)) {
      const half = <u64>apicPageRead(cpu, <u32>gpa & 0xfff, 8);
      return <T>(half | (half << 32));
    }
    const low = <u64>deviceRead(cpu, gpa, 4);
    return <T>(low | ((<u64>deviceRead(cpu, gpa + 4, 4)) << 32));
  }
  return <T>deviceRead(cpu, gpa, <u32>sizeof<T>());
}

/** Writes physical memory. The access must not cross a page. */
export function physicalWrite<T>(cpu: Vcpu, gpa: u64, value: T): void {
  if (isPlainRam(cpu, gpa)) {
    beforeStore(<u32>gpa, <u32>sizeof<T>());
    store<T>(ramBase + <usize>gpa, value);
    return;
  }
  if (sizeof<T>() === 8) {
    if (isApicPage(cpu, gpa)) {
      apicPageWrite(cpu, <u32>gpa & 0xfff, 8, <u32>value);
      return;
    }
    deviceWrite(cpu, gpa, 4, <u32>value);
    deviceWrite(cpu, gpa + 4, 4, <u32>(<u64>value >> 32));
    return;
  }
  deviceWrite(cpu, gpa, <u32>sizeof<T>(), <u32>value);
}

/** Its registers have 32 bits: it sees an access of eight bytes as one, devices see two. */
function isApicPage(cpu: Vcpu, gpa: u64): bool {
  return (gpa & ~(<u64>0xfff)) === cpu.apicPage;
}

function deviceRead(cpu: Vcpu, gpa: u64, size: u32): u32 {
  if (isApicPage(cpu, gpa)) return apicPageRead(cpu, <u32>gpa & 0xfff, size);
  return mmioRead(<u32>gpa, <u32>(gpa >> 32), size);
}

function deviceWrite(cpu: Vcpu, gpa: u64, size: u32, value: u32): void {
  if (isApicPage(cpu, gpa)) apicPageWrite(cpu, <u32>gpa & 0xfff, size, value);
  else mmioWrite(<u32>gpa, <u32>(gpa >> 32), size, value);
}

/** Reads a paging-structure entry; outside RAM it reads all ones, which is a reserved-bit violation. */
export function readEntry<T>(gpa: u64): T {
  return isRam(gpa, <u32>sizeof<T>()) ? load<T>(ramBase + <usize>gpa) : <T>-1;
}

/** Writes back the accessed and dirty bits of a paging-structure entry. */
export function writeEntry<T>(gpa: u64, entry: T): void {
  if (!isRam(gpa, <u32>sizeof<T>())) return;
  beforeStore(<u32>gpa, <u32>sizeof<T>());
  store<T>(ramBase + <usize>gpa, entry);
}
