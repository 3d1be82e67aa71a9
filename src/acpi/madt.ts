/**
 * The MADT: local APICs (types 0 and 9) and the I/O APIC.
 *
 * Source: ACPI Specification, "Multiple APIC Description Table (MADT)". IDs below 255 are entries of type 0 (8 bits),
 * others of type 9 (32 bits).
 */
import { byte, dword, word, type Aml } from "./aml.js";
import type { AcpiCpu } from "./tables.js";

const LOCAL_APIC = 0;
const IO_APIC = 1;
const LOCAL_X2APIC = 9;
/** From here on an ID needs 32 bits: 255 addresses all. */
const FIRST_LONG_ID = 255;

export const LOCAL_APIC_ADDRESS = 0xfee00000;
export const IO_APIC_ADDRESS = 0xfec00000;
const IO_APIC_ID = 0;

/** The entry of one CPU, also what its `_MAT` gives. @param uid - of the CPU's device in the DSDT */
export function processorEntry(apicId: number, uid: number, isEnabled: boolean): Aml {
  const flags = dword(isEnabled ? 1 : 0);
  // An 8-bit UID is all that type 0 has.
  if (apicId < FIRST_LONG_ID && uid < 255)
    return [LOCAL_APIC, 8, ...byte(uid), ...byte(apicId), ...flags];
  return [LOCAL_X2APIC, 16, 0, 0, ...dword(apicId), ...flags, ...dword(uid)];
}

/** Body of the MADT, without its header. Flags 0: there is no pair of 8259s to care for. */
export function madtBody(cpus: readonly AcpiCpu[]): Aml {
  return [
    ...dword(LOCAL_APIC_ADDRESS),
    ...dword(0),
    ...cpus.flatMap((cpu, uid) => processorEntry(cpu.apicId, uid, cpu.isEnabled) as number[]),
    IO_APIC,
    12,
    IO_APIC_ID,
    0,
    ...dword(IO_APIC_ADDRESS),
    ...word(0), // first GSI
    ...word(0),
  ];
}
