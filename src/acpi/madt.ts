/**
 * The MADT: local APICs (types 0 and 9), their NMI pin (types 4 and 0AH) and the I/O APIC.
 *
 * Source: ACPI Specification, "Multiple APIC Description Table (MADT)". IDs below 255 are entries of type 0 (8 bits),
 * others of type 9 (32 bits). A CPU that may come has its entry, not enabled; the flag "online capable" came with ACPI
 * 6.3, and the FADT here is older.
 */
import { amlBytes, byte, dword, join, word, type Bytes } from "./aml.js";
import { SCI_GSI, TIMER_GSI, type Platform } from "../platform.js";
import type { AcpiCpu } from "./tables.js";

const LOCAL_APIC = 0;
const IO_APIC = 1;
const INTERRUPT_SOURCE_OVERRIDE = 2;
const LOCAL_APIC_NMI = 4;
const LOCAL_X2APIC = 9;
const LOCAL_X2APIC_NMI = 10;
/** From here on an ID needs 32 bits: 255 addresses all. */
const FIRST_LONG_ID = 255;

export const LOCAL_APIC_ADDRESS = 0xfee00000;
export const IO_APIC_ADDRESS = 0xfec00000;
const IO_APIC_ID = 0;
/** LINT1 of every CPU is NMI, edge and polarity as the bus has them (MPS INTI flags 0). */
const NMI_PIN = 1;
const NMI_FLAGS = 0;
const PCAT_COMPAT = 1;
const ISA_BUS = 0;
// MPS INTI flags
const AS_THE_BUS = 0;
const LEVEL_ACTIVE_HIGH = 0x0d;
const ALL_UIDS_8 = 0xff;
const ALL_UIDS_32 = 0xffffffff;

/** The entry of one CPU, also what its `_MAT` gives. @param uid - of the CPU's device in the DSDT */
export function processorEntry(apicId: number, uid: number, isEnabled: boolean): Bytes {
  const flags = dword(isEnabled ? 1 : 0);
  if (isShort(apicId, uid)) return [LOCAL_APIC, 8, ...byte(uid), ...byte(apicId), ...flags];
  return [LOCAL_X2APIC, 16, 0, 0, ...dword(apicId), ...flags, ...dword(uid)];
}

/** An 8-bit UID is all that type 0 has. */
function isShort(apicId: number, uid: number): boolean {
  return apicId < FIRST_LONG_ID && uid < ALL_UIDS_8;
}

/** Which pin of all local APICs takes NMIs. The 8-bit form speaks of CPUs with entries of type 0 alone. */
function nmiEntry(cpus: readonly AcpiCpu[]): Bytes {
  if (cpus.every((cpu, uid) => isShort(cpu.apicId, uid))) {
    return [LOCAL_APIC_NMI, 6, ALL_UIDS_8, ...word(NMI_FLAGS), NMI_PIN];
  }
  return [LOCAL_X2APIC_NMI, 12, ...word(NMI_FLAGS), ...dword(ALL_UIDS_32), NMI_PIN, 0, 0, 0];
}

/** ISA interrupts that are not edge-triggered on the pin of their number. */
function overrides(platform: Platform): Bytes {
  if (platform === "minimal") return [];
  const entry = (irq: number, gsi: number, flags: number) =>
    [INTERRUPT_SOURCE_OVERRIDE, 10, ISA_BUS, irq, ...dword(gsi), ...word(flags)] as const;
  return [...entry(0, TIMER_GSI, AS_THE_BUS), ...entry(SCI_GSI, SCI_GSI, LEVEL_ACTIVE_HIGH)];
}

/** Body of the MADT, without its header. Minimal machines have no pair of 8259s to care for (flags 0). */
export function madtBody(cpus: readonly AcpiCpu[], platform: Platform = "minimal"): Uint8Array {
  const ioApic = [
    IO_APIC,
    12,
    IO_APIC_ID,
    0,
    ...dword(IO_APIC_ADDRESS),
    ...word(0), // first GSI
    ...word(0),
  ];
  return amlBytes(
    join([
      dword(LOCAL_APIC_ADDRESS),
      dword(platform === "pc" ? PCAT_COMPAT : 0),
      join(cpus.map((cpu, uid) => processorEntry(cpu.apicId, uid, cpu.isEnabled))),
      nmiEntry(cpus),
      ioApic,
      overrides(platform),
    ]),
  );
}
