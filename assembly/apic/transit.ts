/**
 * A message from its sender to the fabric: numbered, perhaps tampered with, perhaps traced.
 *
 * Source: KVM `kvm_irq_delivery_to_apic`.
 */
import { PATH_WITHHELD } from "../abi";
import { traceMessage, traceResult } from "./explain";
import { choosePath, isSelf, isUnicast, route, routeSelf, routeUnicast } from "./fabric";
import { hasRules, tamper, takeHeld } from "./inject";
import { hasMap } from "./map";
import { MAP_ONLY, message } from "./message";
import { traceMask } from "./trace";

/**
 * Sends a message.
 *
 * @param sender - vcpuIndex of the sending LAPIC, or NO_SENDER
 * @param dest - 8 bits from an xAPIC-mode sender, else 32
 * @param low - vector, delivery mode, destination mode, level, trigger and shorthand as in ICR[31:0]
 * @param kind - ORDINARY, REDIRECTION_HINT or MAP_ONLY; the parts of a MAP_ONLY message share a number
 * @param now - ns of the virtual clock
 * @returns number of LAPICs that accepted; 0 when the map knows nobody or all refused; -1 when a scan matched none
 */
export function sendMessage(sender: i32, dest: u32, low: u32, kind: u32, now: u64): i32 {
  if (kind !== MAP_ONLY) message.number++;
  message.sender = sender;
  message.dest = dest;
  message.low = low;
  message.kind = kind;
  message.injected = 0;
  if (hasRules()) return sendTampered(now);
  // Most messages are for one LAPIC by its ID: these need no more decisions.
  if (traceMask === 0) {
    if (isUnicast(message) && hasMap()) return routeUnicast(message);
    if (isSelf(message)) return routeSelf(message);
  }
  return hand(now);
}

function sendTampered(now: u64): i32 {
  const times = tamper(message, now);
  if (times === 0) {
    message.path = PATH_WITHHELD;
    if (traceMask !== 0) traceMessage(message, now);
    return 0;
  }
  const result = hand(now);
  for (let copy: u32 = 1; copy < times; copy++) hand(now);
  return result;
}

/** Delivers the messages that fault injection held back until now. vm/ calls it when `fabricDeadline` has come. */
export function fabricExpired(now: u64): void {
  while (takeHeld(message, now)) hand(now);
}

function hand(now: u64): i32 {
  choosePath(message);
  if (traceMask !== 0) traceMessage(message, now);
  const result = route(message);
  if (traceMask !== 0) traceResult(message, result);
  return result;
}
