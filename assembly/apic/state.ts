/**
 * The registers of a LAPIC as one block, to be saved and put back by the host.
 *
 * Source: KVM `kvm_apic_get_state`, `kvm_apic_set_state`, `kvm_apic_state_fixup`; KVM_GET_LAPIC in
 * Documentation/virt/kvm/api.rst. The block is the first KiB of the register page: register n is the 32-bit word at
 * n * 16. Its meaning depends on the mode, so that IA32_APIC_BASE has to be set before.
 * Deviates: bits that a register does not have are dropped (KVM stores them); a one-shot count that has run out does not
 * run out again.
 * Not in the block, as in KVM: IA32_APIC_BASE, IA32_TSC_DEADLINE and KVM's PV EOI, which are MSRs.
 */
import * as def from "../x86/apicdef";
import { Lapic } from "./lapic";
import { rebuild } from "./map";
import { policy } from "./policy";
import { updatePpr } from "./priority";
import { isReadable, readRegister, storeSvr, writableBits } from "./registers";
import { restoreTimer } from "./timer";
import { copyVectors, highestVector } from "./vectors";

const STATE_BYTES: usize = 1024;
const REGISTERS: u32 = 64;

function word(block: usize, register: u32): u32 {
  return load<u32>(block + ((<usize>register) << 4));
}

function setWord(block: usize, register: u32, value: u32): void {
  store<u32>(block + ((<usize>register) << 4), value);
}

/**
 * Writes the block.
 *
 * In x2APIC mode the ID is the whole x2APIC ID with USE_32BIT_IDS, else its low byte in bits 31:24; ICR high holds
 * ICR[63:32].
 *
 * @param block - 1,024 bytes
 */
export function saveLapic(lapic: Lapic, block: usize): void {
  memory.fill(block, 0, STATE_BYTES);
  for (let register: u32 = 0; register < REGISTERS; register++) {
    if (isReadable(lapic, register)) setWord(block, register, readRegister(lapic, register));
  }
  setWord(block, def.APIC_DFR, lapic.dfr);
  if (!lapic.isX2apic) return;
  if (policy.ids32 === 0) setWord(block, def.APIC_ID, lapic.cpu.apicId << 24);
  setWord(block, def.APIC_ICR_HIGH, lapic.icrHigh);
}

/**
 * Takes the registers from a block. The count of the timer goes on from TMCCT; a TSC deadline is to be written anew.
 *
 * @returns false, and nothing has changed, in x2APIC mode with USE_32BIT_IDS when the block holds another x2APIC ID
 */
export function restoreLapic(lapic: Lapic, block: usize, now: u64): bool {
  const id = word(block, def.APIC_ID);
  if (lapic.isX2apic) {
    if (policy.ids32 !== 0 && id !== lapic.cpu.apicId) return false;
    lapic.ldr = def.x2apicLogicalId(lapic.cpu.apicId);
    lapic.icrHigh = word(block, def.APIC_ICR_HIGH);
  } else {
    if (policy.xidWritable !== 0) lapic.xid = <u8>(id >> 24);
    // All 32 bits: after x2APIC mode the register holds what that mode left there.
    lapic.ldr = word(block, def.APIC_LDR);
    lapic.icr2 = word(block, def.APIC_ICR_HIGH) & 0xff000000;
  }
  lapic.dfr = word(block, def.APIC_DFR) | def.DFR_CLUSTER;
  lapic.tpr = <u8>word(block, def.APIC_TPR);
  lapic.esr = word(block, def.APIC_ESR) & 0xff;
  lapic.errors = 0;
  lapic.icrLow = word(block, def.APIC_ICR_LOW) & ~def.ICR_DELIVERY_STATUS;
  copyVectors(lapic.isr, block + ((<usize>def.APIC_ISR) << 4));
  copyVectors(lapic.tmr, block + ((<usize>def.APIC_TMR) << 4));
  copyVectors(lapic.irr, block + ((<usize>def.APIC_IRR) << 4));
  lapic.tmrUsed = highestVector(lapic.tmr) >= 0 ? 1 : 0;
  restoreLvt(lapic, block, def.APIC_LVT_CMCI);
  for (let n = def.APIC_LVT_TIMER; n <= def.APIC_LVT_ERROR; n++) restoreLvt(lapic, block, n);
  storeSvr(lapic, word(block, def.APIC_SVR) & writableBits(def.APIC_SVR));
  restoreTimer(
    lapic,
    word(block, def.APIC_TMICT),
    word(block, def.APIC_TMCCT),
    word(block, def.APIC_TDCR),
    now,
  );
  lapic.arbitration = 0;
  lapic.pvEoiPending = 0;
  rebuild(lapic);
  updatePpr(lapic);
  return true;
}

function restoreLvt(lapic: Lapic, block: usize, register: u32): void {
  const value = word(block, register) & writableBits(register);
  // Without a CMCI entry its word stays as after RESET.
  lapic.setLvt(register, writableBits(register) === 0 ? def.LVT_MASKED : value);
}
