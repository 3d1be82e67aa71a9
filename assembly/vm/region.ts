/**
 * What translated code (src/translate) calls to reach its LAPIC: by MSR, and by the register page, where an address leads
 * there instead of to memory. The few accesses that interrupts are made of are done in place.
 */
import { writeIcr, writeIcrHigh, writeIcrLow } from "../apic/icr";
import { Lapic, PRESENT, X2APIC_MODE } from "../apic/lapic";
import { isEoiWrite, isIcrWrite } from "../apic/msr";
import { eoi } from "../apic/priority";
import { leaveBlock } from "../cpu/control";
import { readMemory, storeMemory } from "../cpu/region-memory";
import { locateHere } from "../cpu/progress";
import { leadsTo, tlbDeviceRead, tlbDeviceWrite } from "../mem/tlb";
import { REGION_GOES_ON, REGION_LEAVES, REGION_REFUSED } from "../op-abi";
import { Vcpu } from "../vcpu";
import { APIC_EOI, APIC_ICR_HIGH, APIC_ICR_LOW } from "../x86/apicdef";
import { pageRead, pageWrite, writeX2apic } from "./platform";

/**
 * Where `regionRead` leaves what it read from a register. Not in the first page of memory: a region may compute with
 * where the page of its operand would begin.
 */
const registerRead: usize = memory.data(0x1008, 8) + 0x1000;

/** Whether a region goes on after a write to the LAPIC. @inline */
function judgeRequest(cpu: Vcpu): u32 {
  if (cpu.request === 0) return REGION_GOES_ON;
  leaveBlock();
  return REGION_LEAVES;
}

/**
 * WRMSR to a register of the LAPIC in x2APIC mode.
 *
 * @param left - instructions that may retire, this one among them @returns REGION_*
 */
export function regionWriteMsr(cpu: Vcpu, msr: u32, value: u64, left: u32): u32 {
  locateHere(left);
  const lapic = Lapic.of(cpu);
  if ((cpu.cpl | lapic.pvEoiPending | (~lapic.flags & X2APIC_MODE)) === 0) {
    if (isEoiWrite(msr, value)) {
      eoi(lapic);
      return judgeRequest(cpu);
    }
    if (isIcrWrite(msr, value)) {
      writeIcr(lapic, value);
      return judgeRequest(cpu);
    }
  }
  if (cpu.cpl !== 0 || !writeX2apic(cpu, msr, value)) return REGION_REFUSED;
  return judgeRequest(cpu);
}

/** An access to a whole register of the LAPIC's page. @param devices - tlbDeviceRead or tlbDeviceWrite @inline */
function isRegister(devices: usize, cpu: Vcpu, gva: u64, size: u32): bool {
  return ((size ^ 4) | (<u32>gva & 0xf)) === 0 && leadsTo(devices, gva, cpu.tlbTag, cpu.apicPage);
}

/** The page is open, and no EOI has to be fetched first. @inline */
function isOpen(lapic: Lapic): bool {
  return (((lapic.flags & (PRESENT | X2APIC_MODE)) ^ PRESENT) | lapic.pvEoiPending) === 0;
}

/**
 * Host address for a read behind the TLB, or 0: leave the region. To read a register twice is no harm.
 *
 * @param left - as above
 */
export function regionRead(cpu: Vcpu, gva: u64, size: u32, left: u32): usize {
  if (!isRegister(tlbDeviceRead, cpu, gva, size)) return readMemory(cpu, gva, size);
  const lapic = Lapic.of(cpu);
  const offset = <u32>gva & 0xfff;
  if (offset === APIC_ICR_LOW << 4 && isOpen(lapic)) {
    store<u32>(registerRead, lapic.icrLow);
  } else {
    locateHere(left);
    store<u32>(registerRead, pageRead(cpu, offset, 4));
  }
  return registerRead;
}

/** A store behind the TLB. @param left - as above @returns REGION_* */
export function regionStore(cpu: Vcpu, gva: u64, size: u32, value: u64, left: u32): u32 {
  if (!isRegister(tlbDeviceWrite, cpu, gva, size)) return storeMemory(cpu, gva, size, value);
  const lapic = Lapic.of(cpu);
  const offset = <u32>gva & 0xfff;
  locateHere(left);
  if (isOpen(lapic)) {
    if (offset === APIC_ICR_HIGH << 4) {
      writeIcrHigh(lapic, <u32>value);
      return REGION_GOES_ON;
    }
    if (offset === APIC_ICR_LOW << 4) {
      writeIcrLow(lapic, <u32>value);
      return judgeRequest(cpu);
    }
    if (offset === APIC_EOI << 4) {
      eoi(lapic);
      return judgeRequest(cpu);
    }
  }
  pageWrite(cpu, offset, 4, <u32>value);
  return judgeRequest(cpu);
}
