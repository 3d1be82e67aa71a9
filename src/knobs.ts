/**
 * The knobs of the interrupt policy: name, number in the core, values, and what each decides.
 *
 * The core's side is assembly/apic/policy.ts. A knob is a flag, one of a few named values, or a number.
 */
import * as abi from "../assembly/abi.js";
import { X2vmError } from "./errors.js";

export interface Knob {
  readonly name: string;
  /** KNOB_* of the core. */
  readonly id: number;
  /** Names of the values 0, 1, ...; undefined for a number. */
  readonly values?: readonly string[];
  /** Least and largest number. */
  readonly range?: readonly [number, number];
  /** What it decides, in one sentence. */
  readonly meaning: string;
}

const FLAG = ["off", "on"] as const;

function flag(name: string, id: number, meaning: string): Knob {
  return { name, id, values: FLAG, meaning };
}

function choice(name: string, id: number, values: readonly string[], meaning: string): Knob {
  return { name, id, values, meaning };
}

function number(name: string, id: number, range: readonly [number, number], meaning: string): Knob {
  return { name, id, range, meaning };
}

/** All knobs, in the order of their numbers. */
export const KNOBS: readonly Knob[] = [
  choice(
    "slot",
    abi.KNOB_SLOT,
    ["scan", "map-both", "map-mode"],
    "Whether there is a destination map, and under which IDs it holds a LAPIC.",
  ),
  choice(
    "low",
    abi.KNOB_LOW,
    ["all", "owner", "last"],
    "Who gets a message to an ID up to 0xff that several LAPICs claim.",
  ),
  choice(
    "high",
    abi.KNOB_HIGH,
    ["hack", "drop", "truncate"],
    "What an xAPIC-mode LAPIC makes of a destination above 0xff, on a scan.",
  ),
  flag(
    "broadcast32",
    abi.KNOB_BROADCAST32,
    "0xffffffff reaches xAPIC-mode LAPICs, too, on a scan.",
  ),
  flag(
    "broadcast8",
    abi.KNOB_BROADCAST8,
    "Physical 0xff of an x2APIC-mode sender is a broadcast for xAPIC-mode LAPICs, on a scan.",
  ),
  flag(
    "quirk",
    abi.KNOB_QUIRK,
    "0xff of a device (no sender) is a broadcast for x2APIC-mode LAPICs, too; off: KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK.",
  ),
  flag(
    "ids32",
    abi.KNOB_IDS32,
    "KVM_X2APIC_API_USE_32BIT_IDS: device messages carry 32-bit destinations.",
  ),
  flag(
    "followIds32",
    abi.KNOB_FOLLOW_IDS32,
    "slot and low follow ids32, as in KVM since 6.3: map-both and owner with it, map-mode and all without.",
  ),
  flag(
    "senderFormat",
    abi.KNOB_SENDER_FORMAT,
    "On a scan a LAPIC compares in the format of the sender, as in KVM 4.9.",
  ),
  choice(
    "mapForm",
    abi.KNOB_MAP_FORM,
    ["kvm-6", "kvm-4.9"],
    "Rules of the map's bound and logical part, and the return value for nobody.",
  ),
  flag(
    "truncatedBroadcast",
    abi.KNOB_TRUNCATED_BROADCAST,
    "With high = truncate: a long destination that ends in 0xff is a broadcast.",
  ),
  flag("xidWritable", abi.KNOB_XID_WRITABLE, "Software may write the 8-bit APIC ID."),
  flag(
    "hotplugX2apic",
    abi.KNOB_HOTPLUG_X2APIC,
    "The VMM puts a hot-added CPU in x2APIC mode before it first runs.",
  ),
  choice(
    "lowest",
    abi.KNOB_LOWEST,
    ["vector-hash", "counter", "tpr"],
    "How lowest-priority messages choose among several LAPICs.",
  ),
  choice(
    "reservedBits",
    abi.KNOB_RESERVED_BITS,
    ["kvm", "sdm"],
    "Reserved bits of x2APIC registers: mostly masked (kvm), or a fault (sdm).",
  ),
  flag(
    "errors",
    abi.KNOB_ERRORS,
    "ESR works and vectors below 16 are refused; off: ESR is 0 and they are stored.",
  ),
  flag(
    "spurious",
    abi.KNOB_SPURIOUS,
    "An interrupt that a higher TPR overtook gives the spurious vector.",
  ),
  flag(
    "unpluggedIgnores",
    abi.KNOB_UNPLUGGED_IGNORES,
    "The LAPIC of a removed CPU takes no messages; off: it stays and takes them, as a parked vCPU of KVM.",
  ),
  flag(
    "firstSipi",
    abi.KNOB_FIRST_SIPI,
    "Of two SIPIs before the target runs, the first counts; off: the last.",
  ),
  flag(
    "timerModeDisarms",
    abi.KNOB_TIMER_MODE_DISARMS,
    "Any change of the timer's mode stops it; off: only one to or from TSC-deadline mode.",
  ),
  number(
    "periodMin",
    abi.KNOB_PERIOD_MIN,
    [0, 0xffffffff],
    "Shortest period of a periodic timer, ns.",
  ),
  choice(
    "directedEoi",
    abi.KNOB_DIRECTED_EOI,
    ["absent", "advertised", "works"],
    "Suppression of EOI broadcasts by SVR[12].",
  ),
  flag("lvtCmci", abi.KNOB_LVT_CMCI, "The LVT has a CMCI entry."),
  flag("tscDeadline", abi.KNOB_TSC_DEADLINE, "The timer has the TSC-deadline mode."),
  flag("x2apic", abi.KNOB_X2APIC, "The CPUs have the x2APIC mode."),
  number(
    "maxPhyAddr",
    abi.KNOB_MAXPHYADDR,
    [32, 52],
    "Physical address bits for the reserved bits of APIC_BASE; CPUID and paging have 40.",
  ),
  flag(
    "lint0Reenabled",
    abi.KNOB_LINT0_REENABLED,
    "LINT0 of the boot CPU resets to an open ExtINT (KVM_X86_QUIRK_LINT0_REENABLED).",
  ),
  flag(
    "mmioHole",
    abi.KNOB_MMIO_HOLE,
    "The register page reads all ones while it is closed (KVM_X86_QUIRK_LAPIC_MMIO_HOLE).",
  ),
  flag(
    "msiExtDest",
    abi.KNOB_MSI_EXT_DEST,
    "The VMM understands 15-bit destinations of MSIs and I/O APIC entries.",
  ),
  number(
    "busCycle",
    abi.KNOB_BUS_CYCLE,
    [1, 10000],
    "Cycle of the APIC timer's clock, ns (KVM_CAP_X86_APIC_BUS_CYCLES_NS); CPUID leaf 15H tells it.",
  ),
];

/** @throws X2vmError BAD_OPTION */
export function knobByName(name: string): Knob {
  const knob = KNOBS.find((each) => each.name === name);
  if (knob === undefined) {
    const names = KNOBS.map((each) => each.name).join(", ");
    throw new X2vmError("BAD_OPTION", `There is no knob ${name}. The knobs are ${names}.`);
  }
  return knob;
}

/** The number behind a value as people write it: a name of the knob's values, or a number. @throws X2vmError BAD_OPTION */
export function knobValue(knob: Knob, text: string): number {
  if (knob.values !== undefined) {
    const position = knob.values.indexOf(text);
    if (position >= 0) return position;
    throw new X2vmError(
      "BAD_OPTION",
      `Knob ${knob.name} is one of ${knob.values.join(", ")}, not ${text}.`,
    );
  }
  const value = text.trim() === "" ? NaN : Number(text);
  const [least, largest] = knob.range!;
  if (Number.isInteger(value) && value >= least && value <= largest) return value;
  throw new X2vmError(
    "BAD_OPTION",
    `Knob ${knob.name} is a whole number from ${least} to ${largest}, not ${text}.`,
  );
}

/** A knob's value as people write it. */
export function knobText(knob: Knob, value: number): string {
  return knob.values?.[value] ?? String(value);
}
