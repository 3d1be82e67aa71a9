/**
 * Guest-physical memory: RAM, ROM, the local APIC page of the accessing vCPU, and the host's MMIO for the rest.
 *
 * Every access is bounded here or by a TLB entry that was filled from here, so that no guest address reaches another
 * byte of the linear memory.
 */
import { mmioRead, mmioWrite } from "../host";
import { LOW_ROM_END, lowRomStart, ramBase, ramBytes, romBytes } from "../layout";
import { Vcpu } from "../vcpu";
import { beforeStore } from "./code-map";
import { apicPageRead, apicPageWrite } from "./hooks";

/** True when gpa .. gpa+size-1 is guest RAM. */
function isRam(gpa: u64, size: u32): bool {
  return gpa + size <= <u64>ramBytes;
}

/** True in the ROM below 4 GiB. */
function isHighRom(gpa: u64): bool {
  return gpa - (((<u64>1) << 32) - romBytes) < <u64>romBytes;
}

/** True when gpa .. gpa+size-1 is guest RAM that can be written. @param size - at most a page */
export function isWritable(gpa: u64, size: u32): bool {
  return isRam(gpa, size) && !isRom(gpa) && !isRom(gpa + size - 1);
}

/** True for memory with host offset `ramBase + gpa`. */
export function isMemory(gpa: u64): bool {
  return gpa < <u64>ramBytes || isHighRom(gpa);
}

/** True when what is written to `gpa` is lost: the ROM, and where its end shows below 1 MiB. */
export function isRom(gpa: u64): bool {
  return (gpa < <u64>LOW_ROM_END && gpa >= <u64>lowRomStart) || isHighRom(gpa);
}

/** True when the page of `gpa` is RAM or ROM that a TLB entry may point at for this vCPU. */
export function isPlainMemory(cpu: Vcpu, gpa: u64): bool {
  return isMemory(gpa) && (gpa & ~(<u64>0xfff)) !== cpu.apicPage;
}

/** The same for a TLB entry to write through. */
export function isPlainRam(cpu: Vcpu, gpa: u64): bool {
  return isPlainMemory(cpu, gpa) && !isRom(gpa);
}

/** Reads physical memory. The access must not cross a page. */
export function physicalRead<T>(cpu: Vcpu, gpa: u64): T {
  if (isPlainMemory(cpu, gpa)) return load<T>(ramBase + <usize>gpa);
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
  if (isPlainMemory(cpu, gpa)) {
    if (isRom(gpa)) return;
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

/** Reads a paging-structure entry; outside RAM and ROM it reads all ones, which is a reserved-bit violation. */
export function readEntry<T>(gpa: u64): T {
  return isRam(gpa, <u32>sizeof<T>()) || isHighRom(gpa) ? load<T>(ramBase + <usize>gpa) : <T>-1;
}

/** Writes back the accessed and dirty bits of a paging-structure entry. */
export function writeEntry<T>(gpa: u64, entry: T): void {
  if (!isWritable(gpa, <u32>sizeof<T>())) return;
  beforeStore(<u32>gpa, <u32>sizeof<T>());
  store<T>(ramBase + <usize>gpa, entry);
}
