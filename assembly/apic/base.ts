/**
 * IA32_APIC_BASE: enable, mode and address of the LAPIC.
 *
 * Sources: SDM 3A "Local APIC Status and Location", "x2APIC State Transitions"; KVM `kvm_apic_set_base`,
 * `__kvm_apic_set_base`.
 * Deviates: after disabling, registers come back as they were (as in KVM), except for the 8-bit ID.
 */
import * as def from "../x86/apicdef";
import { Lapic } from "./lapic";
import { rebuild } from "./map";
import { policy } from "./policy";
import { updateMode } from "./reset";
import { updatePpr } from "./priority";

const MODE: u64 = def.APIC_BASE_EN | def.APIC_BASE_EXTD;

/**
 * Writes IA32_APIC_BASE. The register page may move: the caller drops the vCPU's translations.
 *
 * Writing the present value is allowed even where it would be refused otherwise.
 *
 * @param hostInitiated - the host may go from x2APIC to xAPIC mode and from disabled to x2APIC mode directly
 * @returns false for #GP: a reserved bit, EXTD without EN, or a transition that software may not make
 */
export function writeApicBase(lapic: Lapic, value: u64, hostInitiated: bool): bool {
  const old = lapic.apicBase;
  if (value === old) return true;
  const mode = value & MODE;
  if ((value & reservedBits()) !== 0 || mode === def.APIC_BASE_EXTD) return false;
  if (!hostInitiated) {
    if ((old & MODE) === MODE && mode === def.APIC_BASE_EN) return false;
    if ((old & MODE) === 0 && mode === MODE) return false;
  }
  lapic.apicBase = value;
  updateMode(lapic);
  const changed = old ^ value;
  // Entering xAPIC mode, from either side, brings the 8-bit ID of power-up back.
  if ((changed & MODE) !== 0 && mode === def.APIC_BASE_EN) lapic.xid = <u8>lapic.cpu.apicId;
  if ((changed & def.APIC_BASE_EXTD) !== 0 && mode === MODE)
    lapic.ldr = def.x2apicLogicalId(lapic.cpu.apicId);
  if ((changed & MODE) !== 0) rebuild(lapic);
  updatePpr(lapic);
  return true;
}

function reservedBits(): u64 {
  const beyond = u64.MAX_VALUE << policy.maxPhyAddr;
  return beyond | def.APIC_BASE_RESERVED | (policy.x2apic !== 0 ? 0 : def.APIC_BASE_EXTD);
}

/** CPUID.01H:EDX[9], which mirrors APIC_BASE.EN. */
export function isApicEnabled(lapic: Lapic): bool {
  return (lapic.apicBase & def.APIC_BASE_EN) !== 0;
}
