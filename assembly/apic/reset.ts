/**
 * Power-up, RESET and INIT of a LAPIC, and what the mode in APIC_BASE means for it.
 *
 * Sources: SDM 3A "Local APIC State After Power-Up or Reset", "Local APIC State After an INIT Reset"; KVM
 * `kvm_lapic_reset`, `kvm_create_lapic`.
 */
import { REQ_INTERRUPT, REQ_TIMER } from "../abi";
import { ramBytes } from "../layout";
import { Vcpu } from "../vcpu";
import * as def from "../x86/apicdef";
import { Lapic, NO_DEADLINE, PRESENT, REMOVED, SOFTWARE_ENABLED, X2APIC_MODE } from "./lapic";
import { rebuild, rebuildUpTo } from "./map";
import { policy } from "./policy";
import { updatePpr } from "./priority";
import { clearVectors } from "./vectors";

const SVR_RESET: u32 = 0xff;
/** LINT0 of the bootstrap processor under KVM_X86_QUIRK_LINT0_REENABLED: ExtINT, open. */
const LINT0_EXTINT: u32 = 0x700;
const NO_PAGE: u64 = 0xffffffffffffffff;

/**
 * Power-up state of the LAPIC of a new vCPU. Until the next rebuild the map does not know it (KVM: the rebuild that
 * creation makes runs before the vCPU is visible); `lapicReset` is such a rebuild.
 *
 * @param cpu - a record with `apicId` and `index` set and the LAPIC zeroed
 */
export function lapicCreate(cpu: Vcpu, isBsp: bool): void {
  powerUp(Lapic.of(cpu), isBsp);
  rebuildUpTo(cpu.index);
}

/** RESET: xAPIC mode, default base, 8-bit ID from the x2APIC ID, everything else as after power-up. */
export function lapicReset(lapic: Lapic, isBsp: bool): void {
  powerUp(lapic, isBsp);
  rebuild(lapic);
}

function powerUp(lapic: Lapic, isBsp: bool): void {
  lapic.apicBase = def.APIC_BASE_DEFAULT | def.APIC_BASE_EN | (isBsp ? def.APIC_BASE_BSP : 0);
  lapic.xid = <u8>lapic.cpu.apicId;
  lapic.flags = PRESENT;
  lapic.kicked = 0;
  resetRegisters(lapic);
  updateApicPage(lapic);
}

/** INIT: mode, base, BSP bit and both IDs stay; the rest is reset. */
export function lapicInit(lapic: Lapic): void {
  resetRegisters(lapic);
  rebuild(lapic);
}

function resetRegisters(lapic: Lapic): void {
  clearVectors(lapic.irr);
  clearVectors(lapic.isr);
  clearVectors(lapic.tmr);
  lapic.tmrUsed = 0;
  lapic.tpr = 0;
  if (!lapic.isX2apic) lapic.ldr = 0;
  lapic.dfr = def.DFR_FLAT;
  lapic.svr = SVR_RESET;
  lapic.flags &= ~SOFTWARE_ENABLED;
  lapic.icrLow = 0;
  lapic.icrHigh = 0;
  lapic.icr2 = 0;
  lapic.tmict = 0;
  lapic.tdcr = 0;
  lapic.tscDeadline = 0;
  lapic.period = 0;
  lapic.esr = 0;
  lapic.errors = 0;
  lapic.setLvt(def.APIC_LVT_CMCI, def.LVT_MASKED);
  for (let n = def.APIC_LVT_TIMER; n <= def.APIC_LVT_ERROR; n++) lapic.setLvt(n, def.LVT_MASKED);
  const isBsp = (lapic.apicBase & def.APIC_BASE_BSP) !== 0;
  if (isBsp && policy.lint0Reenabled !== 0) lapic.setLvt(def.APIC_LVT_LINT0, LINT0_EXTINT);
  lapic.arbitration = 0;
  lapic.pvEoiMsr = 0;
  lapic.pvEoiPending = 0;
  lapic.deadline = NO_DEADLINE;
  lapic.cpu.request = (lapic.cpu.request & ~REQ_INTERRUPT) | REQ_TIMER;
  updatePpr(lapic);
}

/**
 * The CPU was unplugged. Under the knob `unpluggedIgnores` its LAPIC is gone with it; otherwise it stays as KVM's parked
 * vCPU does: it takes messages that nobody handles. `lapicReset` brings it back.
 */
export function lapicRemove(lapic: Lapic): void {
  lapic.deadline = NO_DEADLINE;
  lapic.cpu.request |= REQ_TIMER;
  if (policy.unpluggedIgnores === 0) return;
  lapic.flags = (lapic.flags & ~PRESENT) | REMOVED;
  rebuild(lapic);
}

/** Derives the mode flags from APIC_BASE. */
export function updateMode(lapic: Lapic): void {
  lapic.flags &= ~(PRESENT | X2APIC_MODE);
  const isRemoved = (lapic.flags & REMOVED) !== 0;
  if ((lapic.apicBase & def.APIC_BASE_EN) !== 0 && !isRemoved) lapic.flags |= PRESENT;
  if ((lapic.apicBase & def.APIC_BASE_EXTD) !== 0) lapic.flags |= X2APIC_MODE;
  updateApicPage(lapic);
}

/**
 * Where the vCPU finds the register page. In x2APIC mode or disabled, KVM keeps the page as a hole that reads all ones
 * (KVM_X86_QUIRK_LAPIC_MMIO_HOLE), but RAM there is RAM.
 */
function updateApicPage(lapic: Lapic): void {
  const page = lapic.apicBase & ~(<u64>0xfff);
  const isOpen = lapic.isPresent && !lapic.isX2apic;
  const isHole = policy.mmioHole !== 0 && page >= <u64>ramBytes;
  lapic.cpu.apicPage = isOpen || isHole ? page : NO_PAGE;
}
