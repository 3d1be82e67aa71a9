/**
 * The words of the delivery model: local APICs, policies and messages as plain records.
 *
 * Sources: SDM 3A "Interrupt Command Register (ICR)"; KVM `struct kvm_lapic_irq`, `__apic_accept_irq`.
 */

export type Mode = "off" | "x" | "x2";

/** What the destination decision may look at in one local APIC. */
export interface Lapic {
  /** x2APIC ID, 32 bits, immutable. */
  readonly x2id: number;
  mode: Mode;
  /** The 8-bit ID held in APIC_ID[31:24]; of no meaning in x2APIC mode. */
  xid: number;
  /** SVR[8]. */
  sw: boolean;
  /** Full 32-bit register; in x2APIC mode the model derives it from x2id. */
  ldr: number;
  dfr: number;
  /** False from creation to the first rebuild of the map: scans see the LAPIC, the map does not. */
  mapped: boolean;
  /** Task priority, for lowest priority by TPR. */
  tpr: number;
  /** Arbitration counter, for lowest priority by counters. */
  arbitration: number;
}

/** The knobs of a policy. */
export interface Policy {
  readonly name: string;
  /** Which IDs the map enters a LAPIC under: both of them, the one of its mode; or there is no map. */
  readonly map: "both" | "mode" | "none";
  /** Who owns an ID that several claim: all (the map is given up), KVM's order, or the last created. */
  readonly low: "all" | "owner" | "last";
  /** Rules of the map's bound and of its logical part: KVM since 6.3, or v4.9. */
  readonly mapForm: "6" | "4.9";
  /** xAPIC-mode target, destination above 0xff. */
  readonly high: "hack" | "drop" | "trunc";
  /** Does 0xffffffff reach xAPIC-mode targets? */
  readonly bc32: boolean;
  /** Does 0xff of an x2APIC-mode sender reach xAPIC-mode targets as a broadcast (on the scan)? */
  readonly bc8x2: boolean;
  /** KVM's broadcast quirk: sender-less 0xff reaches x2APIC-mode targets too. */
  readonly quirk: boolean;
  /** Targets accept messages in their own format only (v4.9 scan). */
  readonly senderFormat: boolean;
  /** With high = trunc: is a long destination whose low byte is 0xff a broadcast? */
  readonly truncBroadcast: boolean;
  /** Sender-less destinations hold 32 bits; otherwise they are cut to 8. */
  readonly msi32: boolean;
  readonly lowest: "hash" | "counter" | "tpr";
  /** A LAPIC refuses Fixed vectors below 16. Default false, as KVM. */
  readonly errors?: boolean;
}

export interface Message {
  /** Position of the sender, or null for MSI and IOAPIC messages. */
  from: number | null;
  dest: number;
  logical: boolean;
  /** 0 none, 1 self, 2 all, 3 all but self. */
  shorthand: number;
  /** ICR[10:8]. */
  mode: number;
  vector: number;
  levelTriggered: boolean;
  assert: boolean;
  /** MSI redirection hint: one of the matching LAPICs takes the message. */
  hint: boolean;
}

/** What became of a message. */
export interface Delivery {
  /** Positions of the LAPICs that the destination selected, in the order of delivery. */
  selected: number[];
  /** Positions of those that accepted the message in the delivery mode asked for. */
  accepted: number[];
  /** Positions of those that took the message in the mode in which it arrived. */
  arrived: number[];
  /** KVM's count: LAPICs that accepted anything, 0 = the map knew nobody, -1 = nobody was found by a scan. */
  ret: number;
  path: "self" | "map" | "scan";
  /** Mode in which the message arrived: Fixed where a broadcast with lowest priority was rewritten. */
  mode: number;
}

export const FIXED = 0;
export const LOWEST = 1;
export const SMI = 2;
export const KICK = 3;
export const NMI = 4;
export const INIT = 5;
export const STARTUP = 6;
export const EXTINT = 7;

/** Logical ID of an x2APIC, SDM 3A "Deriving Logical x2APIC ID from the Local x2APIC ID". */
export function x2apicLdr(x2id: number): number {
  return ((((x2id >>> 4) & 0xffff) << 16) | (1 << (x2id & 15))) >>> 0;
}

/** KVM `__apic_accept_irq`: does this LAPIC take a message that selected it? */
export function accepts(lapic: Lapic, message: Message, { errors = false }: Policy): boolean {
  switch (message.mode) {
    case FIXED:
    case LOWEST:
      if (errors && message.vector < 16) return false;
      return lapic.sw && lapic.mode !== "off" && !(message.levelTriggered && !message.assert);
    case INIT:
      return !(message.levelTriggered && !message.assert);
    case EXTINT:
    case SMI: // Not modelled: SMM
      return false;
    default:
      return true;
  }
}

/** One LAPIC of several takes the message: lowest priority, and every MSI with a redirection hint. */
export function picksOne(msg: Message): boolean {
  return msg.mode === LOWEST || msg.hint;
}

/** The winner among candidates that are all able to take the message. Null when there is none. */
export function pickLowest(
  lapics: readonly Lapic[],
  candidates: readonly number[],
  vector: number,
  policy: Policy,
): number | null {
  if (candidates.length === 0) return null;
  if (policy.lowest === "hash") return candidates[vector % candidates.length]!;
  const key = policy.lowest === "tpr" ? "tpr" : "arbitration";
  return candidates.reduce((best, next) => (lapics[next]![key] < lapics[best]![key] ? next : best));
}
