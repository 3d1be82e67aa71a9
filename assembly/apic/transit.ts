/**
 * A message from its sender to the fabric: numbered, perhaps tampered with, perhaps traced.
 *
 * Source: KVM `kvm_irq_delivery_to_apic`.
 */
import { PATH_WITHHELD } from "../abi";
import { traceMessage, traceResult, tracesMessages } from "./explain";
import { choosePath, route } from "./fabric";
import { hasRules, tamper, takeHeld } from "./inject";
import { message, ORDINARY, REDIRECTION_HINT } from "./message";
import { traceMask } from "./trace";

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
  message.number++;
  return carry(sender, dest, low, hint ? REDIRECTION_HINT : ORDINARY, now);
}

/** The same for one target of a message that was counted already. @param kind - of message.ts */
export function carry(sender: i32, dest: u32, low: u32, kind: u32, now: u64): i32 {
  message.sender = sender;
  message.dest = dest;
  message.low = low;
  message.kind = kind;
  message.injected = 0;
  if (hasRules() || traceMask !== 0) return carryWatched(now);
  choosePath(message);
  return route(message);
}

function carryWatched(now: u64): i32 {
  const times = hasRules() ? tamper(message, now) : 1;
  if (times === 0) {
    message.path = PATH_WITHHELD;
    if (tracesMessages()) traceMessage(message, now);
    return 0;
  }
  const result = hand(now);
  for (let copy: u32 = 1; copy < times; copy++) hand(now);
  return result;
}

function hand(now: u64): i32 {
  choosePath(message);
  if (tracesMessages()) traceMessage(message, now);
  const result = route(message);
  if (tracesMessages()) traceResult(message, result);
  return result;
}

/** Delivers the messages that fault injection held back until now. vm/ calls it when `fabricDeadline` has come. */
export function fabricExpired(now: u64): void {
  while (takeHeld(message, now)) hand(now);
}
