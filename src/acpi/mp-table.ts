/**
 * Tables of the MultiProcessor Specification: how kernels of the time before ACPI find CPUs and I/O APIC.
 *
 * Source: Intel MultiProcessor Specification 1.4, "MP Configuration Table". CPUs that may come later and those whose ID
 * has more than 8 bits cannot be named in it.
 */
import { dword, word, type Bytes } from "./aml.js";
import { IO_APIC_ADDRESS, LOCAL_APIC_ADDRESS } from "./madt.js";
import { TIMER_GSI, type Platform } from "../platform.js";
import type { AcpiCpu } from "./tables.js";

const REVISION = 4; // 1.4
const HEADER_BYTES = 44;
const POINTER_BYTES = 16;

const PROCESSOR = 0;
const BUS = 1;
const IO_APIC = 2;
const IO_INTERRUPT = 3;
const LOCAL_INTERRUPT = 4;

const APIC_VERSION = 0x14;
const CPU_ENABLED = 1;
const CPU_BOOTS = 2;
/** Family 6; FPU and APIC: what a kernel may look up in CPUID is told there. */
const CPU_SIGNATURE = 0x600;
const CPU_FEATURES = 0x201;
const ISA_BUS = 0;
const ISA_IRQS = 16;
const CASCADE_IRQ = 2;
const ENABLED = 1;

const TYPE_INT = 0;
const TYPE_NMI = 1;
const TYPE_EXTINT = 3;
const ALL_APICS = 0xff;
const FIRST_LONG_ID = 0xff;

/** The entries of the table, in order of their type. */
function entries(cpus: readonly AcpiCpu[], platform: Platform): Bytes[] {
  const named = cpus.filter(({ apicId, isEnabled }) => isEnabled && apicId < FIRST_LONG_ID);
  const processors = named.map(({ apicId }, i) => [
    PROCESSOR,
    apicId,
    APIC_VERSION,
    CPU_ENABLED | (i === 0 ? CPU_BOOTS : 0),
    ...dword(CPU_SIGNATURE),
    ...dword(CPU_FEATURES),
    ...dword(0),
    ...dword(0),
  ]);
  const ioApicId = freeId(named.map(({ apicId }) => apicId));
  const interrupt = (entry: number, type: number, irq: number, apic: number, pin: number) => [
    entry,
    type,
    ...word(0),
    ISA_BUS,
    irq,
    apic,
    pin,
  ];
  const irqs = Array.from({ length: ISA_IRQS }, (_, irq) => irq)
    .filter((irq) => irq !== CASCADE_IRQ)
    .map((irq) => {
      const pin = irq === 0 && platform === "pc" ? TIMER_GSI : irq;
      return interrupt(IO_INTERRUPT, TYPE_INT, irq, ioApicId, pin);
    });
  return [
    ...processors,
    [BUS, ISA_BUS, ...ascii("ISA   ")],
    [IO_APIC, ioApicId, APIC_VERSION, ENABLED, ...dword(IO_APIC_ADDRESS)],
    ...irqs,
    interrupt(LOCAL_INTERRUPT, TYPE_EXTINT, 0, ALL_APICS, 0),
    interrupt(LOCAL_INTERRUPT, TYPE_NMI, 0, ALL_APICS, 1),
  ];
}

/** I/O APIC and local APICs share one bus, and its IDs, in this table. */
function freeId(apicIds: readonly number[]): number {
  let id = 0;
  while (apicIds.includes(id)) id++;
  return id;
}

/**
 * Floating pointer and configuration table, one behind the other.
 *
 * @param cpus - the first boots; @param address - guest-physical, 16-byte aligned, between F0000H and 1 MiB for a kernel
 *   to find it
 */
export function mpTables(
  cpus: readonly AcpiCpu[],
  platform: Platform,
  address: number,
): Uint8Array {
  const all = entries(cpus, platform);
  const body = all.flatMap((entry) => [...entry]);
  const size = HEADER_BYTES + body.length;
  const pointer = [
    ...ascii("_MP_"),
    ...dword(address + POINTER_BYTES),
    POINTER_BYTES / 16,
    REVISION,
    ...dword(0), // checksum, features: this table, no IMCR
    ...word(0),
  ];
  const table = [
    ...ascii("PCMP"),
    ...word(size),
    REVISION,
    0, // checksum
    ...ascii("X2VM    "),
    ...ascii("X2VM        "),
    ...dword(0),
    ...word(0),
    ...word(all.length),
    ...dword(LOCAL_APIC_ADDRESS),
    ...dword(0),
    ...body,
  ];
  pointer[10] = checksum(pointer);
  table[7] = checksum(table);
  return Uint8Array.from([...pointer, ...table]);
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The byte that makes the sum of all 0. */
function checksum(bytes: readonly number[]): number {
  return -bytes.reduce((a, b) => a + b, 0) & 0xff;
}
