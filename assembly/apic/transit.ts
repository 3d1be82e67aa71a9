/**
 * A message from its sender to the fabric: numbered, perhaps tampered with, perhaps traced.
 *
 * Source: KVM `kvm_irq_delivery_to_apic`.
 */
import { PATH_WITHHELD } from "../abi";
import { ICR_VECTOR } from "../x86/apicdef";
import { acceptEdge } from "./accept";
import { traceMessage, traceResult } from "./explain";
import { choosePath, isUnicast, route, routeUnicast } from "./fabric";
import { ruleCount, tamper, takeHeld } from "./inject";
import { Lapic } from "./lapic";
import { hasMap } from "./map";
import { MAP_ONLY, message, ORDINARY } from "./message";
import { traceMask } from "./trace";

/**
 * Sends a message.
 *
 * @param sender - vcpuIndex of the sending LAPIC, or NO_SENDER
 * @param dest - 8 bits from an xAPIC-mode sender, else 32
 * @param low - vector, delivery mode, destination mode, level, trigger and shorthand as in ICR[31:0]
 * @param kind - ORDINARY, REDIRECTION_HINT or MAP_ONLY; the parts of a MAP_ONLY message share a number
 * @returns number of LAPICs that accepted; 0 when the map knows nobody or all refused; -1 when a scan matched none
 */
export function sendMessage(sender: i32, dest: u32, low: u32, kind: u32): i32 {
  if (kind !== MAP_ONLY) message.number++;
  write(sender, dest, low, kind);
  message.injected = 0;
  if (ruleCount() !== 0) return sendTampered();
  // Most messages are for one LAPIC by its ID: these need no more decisions.
  if (traceMask === 0 && isUnicast(message) && hasMap()) return routeUnicast(message);
  return hand();
}

/** @inline */
function write(sender: i32, dest: u32, low: u32, kind: u32): void {
  message.sender = sender;
  message.dest = dest;
  message.low = low;
  message.kind = kind;
}

/** Somebody traces messages or tampers with them. @inline */
export function isWatched(): bool {
  return (traceMask | ruleCount()) !== 0;
}

/**
 * What `sendMessage` comes to for an unwatched, Fixed, edge-triggered message of a LAPIC with a legal vector, when it is
 * clear who takes it.
 *
 * @param path - PATH_*; dest, low - as above
 * @inline
 */
export function sendPlain(sender: Lapic, dest: u32, low: u32, target: Lapic, path: u32): void {
  const number = ++message.number;
  write(<i32>sender.cpu.index, dest, low, ORDINARY);
  message.path = path;
  target.acceptedMessage = number;
  acceptEdge(target, low & ICR_VECTOR);
}

function sendTampered(): i32 {
  const times = tamper(message);
  if (times === 0) {
    message.path = PATH_WITHHELD;
    if (traceMask !== 0) traceMessage(message);
    return 0;
  }
  const result = hand();
  for (let copy: u32 = 1; copy < times; copy++) hand();
  return result;
}

/** Delivers the messages that fault injection held back until now. vm/ calls it when `fabricDeadline` has come. */
export function fabricExpired(time: u64): void {
  while (takeHeld(message, time)) hand();
}

function hand(): i32 {
  choosePath(message);
  if (traceMask !== 0) traceMessage(message);
  const result = route(message);
  if (traceMask !== 0) traceResult(message, result);
  return result;
}
