/**
 * Messages without a sender: MSI, I/O APIC.
 *
 * Sources: SDM 3A "Message Signalled Interrupts"; KVM `kvm_set_msi_irq`, KVM_SIGNAL_MSI; the 15-bit destination extension
 * (KVM feature bit 15); "82093AA I/O Advanced Programmable Interrupt Controller", redirection table.
 * Not modelled: the remapped format. Whoever models an IOMMU resolves the handle and sends with a 32-bit destination.
 */
import * as def from "../x86/apicdef";
import { NO_SENDER, ORDINARY, REDIRECTION_HINT } from "./message";
import { policy } from "./policy";
import { sendMessage } from "./transit";

/** KVM_SIGNAL_MSI of an address whose high half breaks the format. */
export const MSI_EINVAL: i32 = -22;

const ADDRESS_HINT: u32 = 1 << 3;
const ADDRESS_LOGICAL: u32 = 1 << 2;
/** Address bit 4: remapped format. Bits 11:5 are destination bits 14:8 of the 15-bit extension. */
const ADDRESS_REMAPPED: u32 = 1 << 4;
/** Vector, delivery mode, trigger: the same places in MSI data and in the ICR. */
const DATA_FIELDS: u32 = 0x87ff;
const RTE_FIELDS: u32 = 0x8fff & ~def.ICR_DELIVERY_STATUS;

/**
 * KVM_SIGNAL_MSI: 8-bit destination in address bits 19:12; with USE_32BIT_IDS its upper 24 bits in addressHigh[31:8].
 *
 * Every MSI carries level 1, whatever data bit 14 says.
 *
 * @returns number of LAPICs that accepted; 0 or -1 when there was none (fabric.ts); MSI_EINVAL
 */
export function signalMsi(addressLow: u32, addressHigh: u32, data: u32): i32 {
  let dest = (addressLow >> 12) & 0xff;
  if (policy.ids32 !== 0) {
    if ((addressHigh & 0xff) !== 0) return MSI_EINVAL;
    dest |= addressHigh;
  }
  const logical = (addressLow & ADDRESS_LOGICAL) !== 0 ? def.ICR_LOGICAL : 0;
  const low = (data & DATA_FIELDS) | logical | def.ICR_ASSERT;
  const kind = (addressLow & ADDRESS_HINT) !== 0 ? REDIRECTION_HINT : ORDINARY;
  return sendMessage(NO_SENDER, dest, low, kind);
}

/** A device writes `data` to a guest address FEEx_xxxxH; with the 15-bit extension the VMM moves the upper bits. */
export function deviceMsi(address: u32, data: u32): i32 {
  const extended = policy.msiExtDest !== 0 && (address & ADDRESS_REMAPPED) === 0;
  const high = extended ? ((address >> 5) & 0x7f) << 8 : 0;
  return signalMsi(address, high, data);
}

/** An I/O APIC redirection entry fires. @param low - RTE[31:0], the mask bit is the caller's; @param high - RTE[63:32] */
export function signalRte(low: u32, high: u32): i32 {
  const extended = policy.msiExtDest !== 0 && policy.ids32 !== 0;
  const dest = (high >> 24) | (extended ? ((high >> 17) & 0x7f) << 8 : 0);
  return sendMessage(NO_SENDER, dest, (low & RTE_FIELDS) | def.ICR_ASSERT, ORDINARY);
}
