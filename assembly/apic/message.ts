/**
 * The message on its way: one at a time, in one place in memory.
 *
 * Source: SDM 3A "Interrupt Command Register (ICR)"; KVM `struct kvm_lapic_irq`.
 */

/** `sender` of a message that no LAPIC sent: MSI, IOAPIC, paravirtual kick. */
export const NO_SENDER: i32 = -1;

@unmanaged
export class Message {
  /** vcpuIndex, or NO_SENDER. */
  sender: i32;
  /** Destination: 8 bits from an xAPIC-mode sender, else up to 32. */
  dest: u32;
  /** Vector, delivery mode, destination mode, level, trigger and shorthand, in the places of ICR[31:0]. */
  low: u32;
  /** MSI redirection hint: one of the LAPICs that match takes the message. */
  hint: u32;
  /** PATH_* of abi.ts: how the targets were found. */
  path: u32;
  /** Number of the message since creation, from 1. */
  number: u32;
}

/** The message being delivered, or the last one. */
export const message: Message = changetype<Message>(memory.data(24, 8));

if (offsetof<Message>() !== 24) ERROR("Message: size of its memory");
