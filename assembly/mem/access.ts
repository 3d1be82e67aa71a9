/**
 * Linear memory accesses of the CPU: the TLB on the fast path, translation and devices behind it.
 *
 * On a fault `cpu.fault` is set, a read returns 0 and a write has no effect at all, also when it crosses pages.
 * Addresses are linear (segment base added, checks done: cpu/address.ts), wrapped to 32 bits outside long mode.
 */
import { CS } from "../abi";
import { raiseWithError } from "../fault";
import { ramBase } from "../layout";
import { Vcpu } from "../vcpu";
import { CR0_AM } from "../x86/cr";
import { AR_L } from "../x86/descriptor";
import { AC, PF_U } from "../x86/exception";
import { AC_FLAG } from "../x86/eflags";
import { beforeStore, pageHasCode } from "./code-map";
import { dataAccess } from "./hooks";
import {
  ACCESS_FETCH,
  ACCESS_PROBE,
  ACCESS_SMAP_AC,
  ACCESS_USER,
  ACCESS_WRITE,
  isCanonical,
  NO_GPA,
  nonCanonical,
  PAGING_4LEVEL,
  translate,
} from "./paging";
import { isPlainMemory, isPlainRam, physicalRead, physicalWrite } from "./physical";
import {
  fillDevice,
  fillTlb,
  findDevice,
  TAG_SLOW,
  TAG_SUPERVISOR_AC,
  TAG_USER,
  tlbDeviceRead,
  tlbDeviceWrite,
  tlbExecute,
  tlbSlot,
  tlbRead,
  tlbWrite,
} from "./tlb";

const PAGE: u64 = ~(<u64>0xfff);

/** What the TLB holds already: for code that tries a short way first. It never walks and never faults. */
export class TlbView {
  /** Host address of gva .. gva+bytes-1 if they can be read under `tag`; 0 when the TLB does not know. */
  @inline
  static read(cpu: Vcpu, gva: u64, bytes: u32, tag: u32): usize {
    return TlbView.find(cpu, tlbRead, gva, bytes, tag);
  }

  /** The same for writing: no decoded code is there. */
  @inline
  static write(cpu: Vcpu, gva: u64, bytes: u32, tag: u32): usize {
    return TlbView.find(cpu, tlbWrite, gva, bytes, tag);
  }

  @inline
  private static find(cpu: Vcpu, array: usize, gva: u64, bytes: u32, tag: u32): usize {
    const entry = array + tlbSlot(cpu, gva);
    if (load<u64>(entry) !== (((gva + (bytes - 1)) & PAGE) | tag)) return 0;
    return <usize>(<u32>gva + load<u32>(entry, 8));
  }
}

/** Reads with the privilege of the running code. */
export function read<T>(cpu: Vcpu, gva: u64): T {
  const entry = tlbRead + tlbSlot(cpu, gva);
  if (load<u64>(entry) === (((gva + (sizeof<T>() - 1)) & PAGE) | cpu.tlbTag)) {
    return load<T>(<usize>(<u32>gva + load<u32>(entry, 8)));
  }
  return readSlow<T>(cpu, gva, cpu.tlbTag);
}

/** Writes with the privilege of the running code. */
export function write<T>(cpu: Vcpu, gva: u64, value: T): void {
  const entry = tlbWrite + tlbSlot(cpu, gva);
  if (load<u64>(entry) === (((gva + (sizeof<T>() - 1)) & PAGE) | cpu.tlbTag)) {
    store<T>(<usize>(<u32>gva + load<u32>(entry, 8)), value);
    return;
  }
  writeSlow<T>(cpu, gva, value, cpu.tlbTag);
}

/** Reads what the same instruction will write: raises the fault of the write. */
export function readForWrite<T>(cpu: Vcpu, gva: u64): T {
  const entry = tlbWrite + tlbSlot(cpu, gva);
  if (load<u64>(entry) === (((gva + (sizeof<T>() - 1)) & PAGE) | cpu.tlbTag)) {
    return load<T>(<usize>(<u32>gva + load<u32>(entry, 8)));
  }
  return readForWriteSlow<T>(cpu, gva);
}

/** Supervisor read whatever the CPL: descriptor tables, TSS. */
export function readSystem<T>(cpu: Vcpu, gva: u64): T {
  const entry = tlbRead + tlbSlot(cpu, gva);
  if (load<u64>(entry) === (((gva + (sizeof<T>() - 1)) & PAGE) | cpu.asid)) {
    return load<T>(<usize>(<u32>gva + load<u32>(entry, 8)));
  }
  return readSlow<T>(cpu, gva, cpu.asid);
}

/** Supervisor write whatever the CPL: descriptor access bits, TSS. */
export function writeSystem<T>(cpu: Vcpu, gva: u64, value: T): void {
  writeSlow<T>(cpu, gva, value, cpu.asid);
}

/**
 * Checks that size bytes at gva can be written (both pages), raising the fault if not. Changes nothing else.
 *
 * @param alignment - power of two that #AC asks of the address; 1 for none
 */
export function checkWrite(cpu: Vcpu, gva: u64, size: u32, alignment: u32): bool {
  if (refused(cpu, gva, size, alignment, cpu.tlbTag)) return false;
  const access = accessOf(cpu, cpu.tlbTag) | ACCESS_WRITE;
  if (translate(cpu, gva, access) === NO_GPA) return false;
  const last = wrap(cpu, gva + size - 1);
  return ((last ^ gva) & PAGE) === 0 || translate(cpu, last & PAGE, access) !== NO_GPA;
}

/** As `checkWrite`, with supervisor privilege. */
export function checkWriteSystem(cpu: Vcpu, gva: u64, size: u32): bool {
  if (translate(cpu, gva, ACCESS_WRITE) === NO_GPA) return false;
  const last = wrapSystem(cpu, gva + size - 1);
  return ((last ^ gva) & PAGE) === 0 || translate(cpu, last & PAGE, ACCESS_WRITE) !== NO_GPA;
}

/**
 * Translates an instruction address through the execute TLB.
 *
 * @returns guest-physical address in memory or elsewhere, or NO_GPA with a fault raised
 */
export function translateFetch(cpu: Vcpu, gva: u64): u64 {
  const tag = cpu.cpl === 3 ? cpu.asid | TAG_USER : cpu.asid;
  const entry = tlbExecute + tlbSlot(cpu, gva);
  if (load<u64>(entry) === ((gva & PAGE) | tag)) {
    return <u64>(<u32>gva + load<u32>(entry, 8) - <u32>ramBase);
  }
  const gpa = translate(cpu, gva, ACCESS_FETCH | (cpu.cpl === 3 ? ACCESS_USER : 0));
  if (gpa !== NO_GPA && isPlainMemory(cpu, gpa)) fillTlb(tlbExecute, gva, gpa, tag);
  return gpa;
}

/**
 * Host address of `gva`, valid to the end of its page: for reads in bulk with the privilege of the running code.
 *
 * @returns 0 when the page is no memory, may not be read, or each access must be seen; no fault stays raised
 */
export function hostRead(cpu: Vcpu, gva: u64): usize {
  const tag = cpu.tlbTag;
  const entry = tlbRead + tlbSlot(cpu, gva);
  if (load<u64>(entry) === ((gva & PAGE) | tag)) return <usize>(<u32>gva + load<u32>(entry, 8));
  return hostAddress(cpu, gva, accessOf(cpu, tag), tlbRead);
}

/**
 * Host address of `gva` for a bulk write of `length` bytes inside its page; decoded code there is dropped at once.
 *
 * @returns as `hostRead`
 */
export function hostWrite(cpu: Vcpu, gva: u64, length: u32): usize {
  const tag = cpu.tlbTag;
  const entry = tlbWrite + tlbSlot(cpu, gva);
  if (load<u64>(entry) === ((gva & PAGE) | tag)) return <usize>(<u32>gva + load<u32>(entry, 8));
  const host = hostAddress(cpu, gva, accessOf(cpu, tag) | ACCESS_WRITE, tlbWrite);
  if (host !== 0) beforeStore(<u32>(host - ramBase), length);
  return host;
}

function hostAddress(cpu: Vcpu, gva: u64, access: u32, array: usize): usize {
  if ((cpu.tlbTag & 3) === TAG_SLOW) return 0;
  const gpa = translate(cpu, gva, access);
  if (gpa === NO_GPA) {
    // The access itself will fault, at the address that it begins with.
    cpu.fault = 0;
    return 0;
  }
  if (array === tlbRead ? !isPlainMemory(cpu, gpa) : !isPlainRam(cpu, gpa)) return 0;
  if (array === tlbRead || !pageHasCode(<u32>gpa)) fillTlb(array, gva, gpa, cpu.tlbTag);
  return ramBase + <usize>gpa;
}

/** Translation without side effects, for the host and for reports. @returns gpa or NO_GPA */
export function probe(cpu: Vcpu, gva: u64): u64 {
  return translate(cpu, gva, ACCESS_PROBE);
}

/** ACCESS_* of a data read with the privilege of a TLB tag. */
export function accessOf(cpu: Vcpu, tag: u32): u32 {
  const kind = tag & 3;
  if (kind === TAG_USER) return ACCESS_USER;
  if (kind === TAG_SUPERVISOR_AC) return ACCESS_SMAP_AC;
  if (kind !== TAG_SLOW) return 0;
  return cpu.cpl === 3 ? PF_U : cpu.eflags & AC_FLAG ? ACCESS_SMAP_AC : 0;
}

/**
 * Address of a later part of an access: 32 bits outside long mode and, through a segment, in compatibility mode.
 *
 * Not modelled: the wrap in compatibility mode at CPL 0 to 2, whose accesses are not told from those to system tables.
 */
export function wrap(cpu: Vcpu, gva: u64): u64 {
  if (cpu.paging !== PAGING_4LEVEL) return gva & 0xffffffff;
  return cpu.cpl === 3 && !(cpu.segment(CS).ar & AR_L) ? gva & 0xffffffff : gva;
}

/** The same for tables whose addresses have 64 bits in all of long mode. */
function wrapSystem(cpu: Vcpu, gva: u64): u64 {
  return cpu.paging === PAGING_4LEVEL ? gva : gva & 0xffffffff;
}

/**
 * What stops an access before its translation: an address that is not canonical, of its first byte or its last, then
 * #AC, which CPL 3 with CR0.AM and RFLAGS.AC takes; its tag is TAG_SLOW.
 *
 * @param alignment - power of two, bytes; @param tag - privilege, as in `Vcpu.tlbTag` @returns true with the fault raised
 */
export function refused(cpu: Vcpu, gva: u64, size: u32, alignment: u32, tag: u32): bool {
  if (cpu.paging === PAGING_4LEVEL && !(isCanonical(gva) && isCanonical(gva + size - 1))) {
    nonCanonical(cpu, 0);
    return true;
  }
  if ((tag & 3) !== TAG_SLOW || cpu.cpl !== 3 || !(gva & (alignment - 1))) return false;
  if (!(cpu.cr0 & CR0_AM) || !(cpu.eflags & AC_FLAG)) return false;
  raiseWithError(cpu, AC, 0);
  return true;
}

/** `read` behind the TLB. @param tag - privilege, as in `Vcpu.tlbTag` */
export function readSlow<T>(cpu: Vcpu, gva: u64, tag: u32): T {
  const size = <u32>sizeof<T>();
  if (refused(cpu, gva, size, size, tag)) return <T>0;
  const access = accessOf(cpu, tag);
  const device = findDevice(tlbDeviceRead, gva, tag);
  const gpa = device !== NO_GPA ? device : translate(cpu, gva, access);
  if (gpa === NO_GPA) return <T>0;
  const room: u32 = 0x1000 - (<u32>gva & 0xfff);
  if (room >= size) {
    if ((tag & 3) === TAG_SLOW) dataAccess(cpu, gva, size, false);
    else if (isPlainMemory(cpu, gpa)) fillTlb(tlbRead, gva, gpa, tag);
    else fillDevice(tlbDeviceRead, gva, gpa, tag);
    return physicalRead<T>(cpu, gpa);
  }
  const next = tag === cpu.asid ? wrapSystem(cpu, gva + room) : wrap(cpu, gva + room);
  const gpa2 = translate(cpu, next, access);
  if (gpa2 === NO_GPA) return <T>0;
  if ((tag & 3) === TAG_SLOW) dataAccess(cpu, gva, size, false);
  let value: u64 = 0;
  for (let i: u32 = 0; i < size; i++) {
    const byte = physicalRead<u8>(cpu, i < room ? gpa + i : gpa2 + (i - room));
    value |= (<u64>byte) << (i << 3);
  }
  return <T>value;
}

/** `readForWrite` behind the TLB. @param tag - privilege, as in `Vcpu.tlbTag` */
export function readForWriteSlow<T>(cpu: Vcpu, gva: u64): T {
  if (!checkWrite(cpu, gva, <u32>sizeof<T>(), <u32>sizeof<T>())) return <T>0;
  return readSlow<T>(cpu, gva, cpu.tlbTag);
}

/** `write` behind the TLB. @param tag - privilege, as in `Vcpu.tlbTag` */
export function writeSlow<T>(cpu: Vcpu, gva: u64, value: T, tag: u32): void {
  const size = <u32>sizeof<T>();
  if (refused(cpu, gva, size, size, tag)) return;
  const access = accessOf(cpu, tag) | ACCESS_WRITE;
  const device = findDevice(tlbDeviceWrite, gva, tag);
  const gpa = device !== NO_GPA ? device : translate(cpu, gva, access);
  if (gpa === NO_GPA) return;
  const room: u32 = 0x1000 - (<u32>gva & 0xfff);
  if (room >= size) {
    if ((tag & 3) === TAG_SLOW) dataAccess(cpu, gva, size, true);
    else if (isPlainRam(cpu, gpa)) {
      fillTlb(tlbRead, gva, gpa, tag);
      if (!pageHasCode(<u32>gpa)) fillTlb(tlbWrite, gva, gpa, tag);
    } else fillDevice(tlbDeviceWrite, gva, gpa, tag);
    physicalWrite<T>(cpu, gpa, value);
    return;
  }
  const next = tag === cpu.asid ? wrapSystem(cpu, gva + room) : wrap(cpu, gva + room);
  const gpa2 = translate(cpu, next, access);
  if (gpa2 === NO_GPA) return;
  if ((tag & 3) === TAG_SLOW) dataAccess(cpu, gva, size, true);
  for (let i: u32 = 0; i < size; i++) {
    physicalWrite<u8>(cpu, i < room ? gpa + i : gpa2 + (i - room), <u8>(<u64>value >> (i << 3)));
  }
}
