/**
 * The message on its way: one at a time, in one place in memory.
 *
 * Source: SDM 3A "Interrupt Command Register (ICR)"; KVM `struct kvm_lapic_irq`.
 */
import { addArea } from "../state-areas";

/** `sender` of a message that no LAPIC sent: MSI, IOAPIC, hypercalls. */
export const NO_SENDER: i32 = -1;

// Message.kind
export const ORDINARY: u32 = 0;
/** MSI redirection hint: one of the LAPICs that match takes the message. */
export const REDIRECTION_HINT: u32 = 1;
/** PV_SEND_IPI: one physical ID, looked up in the map and nowhere else. */
export const MAP_ONLY: u32 = 2;

@unmanaged
export class Message {
  /** vcpuIndex, or NO_SENDER. */
  sender: i32;
  /** Destination: 8 bits from an xAPIC-mode sender, else up to 32. */
  dest: u32;
  /** Vector, delivery mode, destination mode, level, trigger and shorthand, in the places of ICR[31:0]. */
  low: u32;
  kind: u32;
  /** PATH_* of abi.ts: how the targets are found. */
  path: u32;
  /** Number of the message since creation, from 1. */
  number: u32;
  /** INJECT_* of abi.ts and the rule in bits 15:8, when fault injection changed the message; else 0. */
  injected: u32;
  private pad: u32;
}

/** The message being delivered, or the last one. */
export const message: Message = changetype<Message>(memory.data(32, 8));

/** For snapshots: the last message gives the next one its number. */
export function listMessage(): void {
  addArea(changetype<usize>(message), offsetof<Message>());
}

if (offsetof<Message>() !== 32) ERROR("Message: size of its memory");
