/** What a gate of the IDT says to the short ways (fast-event.ts, flat-event.ts), from its first eight bytes. */
import { Vcpu } from "../vcpu";
import { FLAG_FIXED, IF, NT, RF, TF, VM } from "../x86/eflags";

/** P, S and type but for its lowest bit, which tells interrupt gates (0) from trap gates (1). */
export const GATE_BITS: u32 = 0x9e;
export const EVENT_GATE: u32 = 0x8e; // of 32 bits, in IA-32e mode of 64

/** The flags that a gate clears. Trap gates leave IF. */
export function clearedFlags(low: u64): u32 {
  return TF | NT | VM | RF | (low & ((<u64>1) << 40) ? 0 : IF);
}

/** Clears them. @inline */
export function clearFlags(cpu: Vcpu, low: u64): void {
  cpu.eflags = (cpu.eflags & ~clearedFlags(low)) | FLAG_FIXED;
}

/** Where a 64-bit gate goes. @param high - its last eight bytes */
export function gateRip(low: u64, high: u64): u64 {
  return (low & 0xffff) | ((low >> 32) & 0xffff0000) | (high << 32);
}
