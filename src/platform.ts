/** The two platforms: which devices a machine has around its CPUs, and what its ACPI tables say about them. */
import { X2vmError } from "./errors.js";

/**
 * - `minimal`: what a kernel needs that finds its devices through ACPI: a hardware-reduced platform.
 * - `pc`: beside it interval timer, real-time clock, port 0x61 and the fixed hardware of ACPI with its timer.
 */
export type Platform = "minimal" | "pc";

const PLATFORMS: readonly Platform[] = ["minimal", "pc"];
export const DEFAULT_PLATFORM: Platform = "minimal";

/** Pins of the I/O APIC; ISA interrupts without an entry have the pin of their number. */
export const TIMER_GSI = 2;
export const RTC_GSI = 8;
/** System control interrupt of the fixed hardware: level-triggered, active high. 9 is the event device's. */
export const SCI_GSI = 10;

/** @throws X2vmError BAD_OPTION */
export function checkPlatform(name: string): Platform {
  const found = PLATFORMS.find((each) => each === name);
  if (found !== undefined) return found;
  throw new X2vmError(
    "BAD_OPTION",
    `There is no machine "${name}"; the machines are ${PLATFORMS.join(" and ")}.`,
  );
}
