/**
 * APIC policies as data: the knobs of the core by name, and the presets that set them together.
 *
 * A preset names what differs from the core's own defaults, which are KVM with 32-bit IDs and its broadcast quirk on.
 */
import * as abi from "../assembly/abi.js";

/** Names of a knob's values, or the range of a number. */
export type KnobValues =
  | Readonly<Record<string, number>>
  | { readonly min: number; readonly max: number };

export interface Knob {
  /** KNOB_* of the core. */
  readonly number: number;
  readonly values: KnobValues;
  readonly meaning: string;
}

const FLAG = { off: 0, on: 1 } as const;

/** Every knob, in the order of the core. */
export const KNOBS = {
  slot: {
    number: abi.KNOB_SLOT,
    values: { scan: abi.SLOT_SCAN, "map-both": abi.SLOT_MAP_BOTH, "map-mode": abi.SLOT_MAP_MODE },
    meaning:
      "IDs under which the destination map knows a LAPIC: no map, both IDs, or the ID of its mode",
  },
  low: {
    number: abi.KNOB_LOW,
    values: { all: abi.LOW_ALL, owner: abi.LOW_OWNER, last: abi.LOW_LAST },
    meaning:
      "several LAPICs claim one ID: all take it, the x2APIC one or else the first, or the last created",
  },
  high: {
    number: abi.KNOB_HIGH,
    values: { hack: abi.HIGH_HACK, drop: abi.HIGH_DROP, trunc: abi.HIGH_TRUNCATE },
    meaning:
      "xAPIC-mode target, destination above 0xff: compare the x2APIC ID, drop, or compare the low byte",
  },
  bc32: {
    number: abi.KNOB_BROADCAST32,
    values: FLAG,
    meaning: "0xffffffff reaches xAPIC-mode targets",
  },
  bc8x2: {
    number: abi.KNOB_BROADCAST8,
    values: FLAG,
    meaning: "physical 0xff of an x2APIC-mode sender reaches xAPIC-mode targets (on a scan)",
  },
  quirk: {
    number: abi.KNOB_QUIRK,
    values: FLAG,
    meaning: "0xff of a message without a sender reaches x2APIC-mode targets too",
  },
  ids32: {
    number: abi.KNOB_IDS32,
    values: FLAG,
    meaning: "KVM_X2APIC_API_USE_32BIT_IDS: destinations of messages without a sender have 32 bits",
  },
  followIds32: {
    number: abi.KNOB_FOLLOW_IDS32,
    values: FLAG,
    meaning: "ids32 chooses slot and low, as in KVM since 6.3",
  },
  senderFormat: {
    number: abi.KNOB_SENDER_FORMAT,
    values: FLAG,
    meaning: "a scan compares in the format of the sender, as KVM 4.9",
  },
  mapForm: {
    number: abi.KNOB_MAP_FORM,
    values: { "kvm-6": abi.MAP_KVM_6, "kvm-4.9": abi.MAP_KVM_4_9 },
    meaning: "rules of the map's bound, of its logical part and of its answer when nobody is found",
  },
  truncBroadcast: {
    number: abi.KNOB_TRUNCATED_BROADCAST,
    values: FLAG,
    meaning: "with high = trunc: a long destination whose low byte is 0xff is a broadcast",
  },
  xidWritable: {
    number: abi.KNOB_XID_WRITABLE,
    values: FLAG,
    meaning: "the 8-bit APIC ID can be written",
  },
  hotplugX2apic: {
    number: abi.KNOB_HOTPLUG_X2APIC,
    values: FLAG,
    meaning: "the VMM puts a hot-added CPU in x2APIC mode before it first runs",
  },
  lowest: {
    number: abi.KNOB_LOWEST,
    values: { hash: abi.LOWEST_VECTOR_HASH, counter: abi.LOWEST_COUNTER, tpr: abi.LOWEST_TPR },
    meaning:
      "winner of a lowest-priority message: by vector, by messages won so far, or by task priority",
  },
  reservedBits: {
    number: abi.KNOB_RESERVED_BITS,
    values: { kvm: abi.RESERVED_KVM, sdm: abi.RESERVED_SDM },
    meaning: "reserved bits of x2APIC MSRs: mostly masked, or all #GP",
  },
  errors: {
    number: abi.KNOB_ERRORS,
    values: FLAG,
    meaning: "the error status register works, and vectors below 16 are refused",
  },
  spurious: {
    number: abi.KNOB_SPURIOUS,
    values: FLAG,
    meaning: "an interrupt overtaken by TPR gives the spurious vector",
  },
  unpluggedIgnores: {
    number: abi.KNOB_UNPLUGGED_IGNORES,
    values: FLAG,
    meaning:
      "the LAPIC of a removed CPU takes no messages; otherwise it is parked and still matches",
  },
  firstSipi: {
    number: abi.KNOB_FIRST_SIPI,
    values: FLAG,
    meaning: "of two SIPIs before the target runs the first counts, not the last",
  },
  timerModeDisarms: {
    number: abi.KNOB_TIMER_MODE_DISARMS,
    values: FLAG,
    meaning: "every change of the timer mode disarms the timer, not only to and from deadline mode",
  },
  periodMin: {
    number: abi.KNOB_PERIOD_MIN,
    values: { min: 0, max: 0xffffffff },
    meaning: "shortest period of a periodic timer, ns",
  },
  directedEoi: {
    number: abi.KNOB_DIRECTED_EOI,
    values: {
      absent: abi.DIRECTED_EOI_ABSENT,
      advertised: abi.DIRECTED_EOI_ADVERTISED,
      works: abi.DIRECTED_EOI_WORKS,
    },
    meaning: "suppression of EOI broadcasts, SVR[12]",
  },
  lvtCmci: { number: abi.KNOB_LVT_CMCI, values: FLAG, meaning: "the LVT entry CMCI exists" },
  tscDeadline: {
    number: abi.KNOB_TSC_DEADLINE,
    values: FLAG,
    meaning: "the timer has deadline mode (CPUID.1:ECX[24])",
  },
  x2apic: {
    number: abi.KNOB_X2APIC,
    values: FLAG,
    meaning: "x2APIC mode exists (CPUID.1:ECX[21])",
  },
  maxPhyAddr: {
    number: abi.KNOB_MAXPHYADDR,
    values: { min: 32, max: 52 },
    meaning: "width of physical addresses, bits",
  },
  lint0Reenabled: {
    number: abi.KNOB_LINT0_REENABLED,
    values: FLAG,
    meaning: "LINT0 of the bootstrap processor resets to an open ExtINT",
  },
  mmioHole: {
    number: abi.KNOB_MMIO_HOLE,
    values: FLAG,
    meaning: "the register page of a LAPIC that does not show it reads all ones",
  },
  msiExtDest: {
    number: abi.KNOB_MSI_EXT_DEST,
    values: FLAG,
    meaning: "the VMM converts 15-bit destinations of MSI and IOAPIC messages",
  },
} as const satisfies Record<string, Knob>;

export type KnobName = keyof typeof KNOBS;

/** Knobs by name, with the name of a value or a number. */
export type KnobSettings = Partial<Record<KnobName, string | number>>;

export interface Preset {
  readonly summary: string;
  readonly knobs: KnobSettings;
}

const KVM: KnobSettings = {
  slot: "map-both",
  low: "owner",
  high: "hack",
  bc32: "off",
  bc8x2: "on",
  quirk: "on",
  ids32: "on",
  followIds32: "on",
  senderFormat: "off",
  mapForm: "kvm-6",
  truncBroadcast: "off",
  xidWritable: "on",
  hotplugX2apic: "off",
  lowest: "hash",
  reservedBits: "kvm",
  errors: "off",
  firstSipi: "off",
  timerModeDisarms: "off",
};

export const PRESETS = {
  kvm: {
    summary: "KVM since 6.3 with 32-bit IDs, and every KVM from 4.10: 0x123 is woken in xAPIC mode",
    knobs: KVM,
  },
  "kvm-scan": {
    summary: "what KVM's scan alone would do: aliased 8-bit IDs reach everybody",
    knobs: { ...KVM, slot: "scan", low: "all", followIds32: "off" },
  },
  "kvm-f0": {
    summary:
      "KVM since 6.3 without 32-bit IDs: an alias disables the map, MSI destinations have 8 bits",
    knobs: { ...KVM, ids32: "off" },
  },
  "kvm-legacy": {
    summary:
      "KVM 4.9: 0x123 cannot be reached in xAPIC mode, and the last created CPU owns an aliased ID",
    knobs: {
      ...KVM,
      slot: "map-mode",
      low: "last",
      high: "drop",
      bc32: "on",
      bc8x2: "off",
      followIds32: "off",
      senderFormat: "on",
      mapForm: "kvm-4.9",
    },
  },
  knl: {
    summary: "Knights Landing: an xAPIC-mode LAPIC compares the low byte of a long destination",
    knobs: {
      ...KVM,
      slot: "scan",
      low: "all",
      high: "trunc",
      bc32: "on",
      quirk: "off",
      followIds32: "off",
      truncBroadcast: "on",
      xidWritable: "off",
      firstSipi: "on",
    },
  },
  "x2apic-reset": {
    summary: "KVM, but the VMM hot-adds CPUs in x2APIC mode",
    knobs: { ...KVM, quirk: "off", hotplugX2apic: "on" },
  },
  strict8: {
    summary: "the textbook: an xAPIC-mode LAPIC ignores every long destination but the broadcast",
    knobs: {
      ...KVM,
      slot: "scan",
      low: "all",
      high: "drop",
      bc32: "on",
      quirk: "off",
      followIds32: "off",
    },
  },
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof PRESETS;

/**
 * Knob numbers and values of the settings.
 *
 * @returns null when a name is unknown or a value out of its range
 */
export function knobNumbers(settings: KnobSettings): [number, number][] | null {
  const numbers: [number, number][] = [];
  for (const [name, value] of Object.entries(settings)) {
    const knob: Knob | undefined = (KNOBS as Readonly<Record<string, Knob>>)[name];
    const number = knob === undefined ? null : valueNumber(knob.values, value);
    if (knob === undefined || number === null) return null;
    numbers.push([knob.number, number]);
  }
  return numbers;
}

function valueNumber(values: KnobValues, value: string | number): number | null {
  if (
    typeof values["min"] === "number" &&
    typeof values["max"] === "number" &&
    !("off" in values)
  ) {
    const number = Number(value);
    return Number.isInteger(number) && number >= values["min"] && number <= values["max"]
      ? number
      : null;
  }
  const named = values as Readonly<Record<string, number>>;
  if (typeof value === "string") return named[value] ?? null;
  return Object.values(named).includes(value) ? value : null;
}
