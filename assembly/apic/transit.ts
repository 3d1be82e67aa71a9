/**
 * A message from its sender to the fabric.
 *
 * Source: KVM `kvm_irq_delivery_to_apic`.
 */
import { route } from "./fabric";
import { message } from "./message";

/**
 * Sends a message.
 *
 * @param sender - vcpuIndex of the sending LAPIC, or NO_SENDER
 * @param dest - 8 bits from an xAPIC-mode sender, else 32
 * @param low - vector, delivery mode, destination mode, level, trigger and shorthand as in ICR[31:0]
 * @param hint - MSI redirection hint
 * @param now - ns of the virtual clock
 * @returns number of LAPICs that accepted; 0 when the map knows nobody or all refused; -1 when a scan matched none
 */
export function sendMessage(sender: i32, dest: u32, low: u32, hint: bool, now: u64): i32 {
  message.sender = sender;
  message.dest = dest;
  message.low = low;
  message.hint = <u32>hint;
  message.number++;
  return route(message);
}
