/**
 * Interrupt policies: presets of the knobs, as data.
 *
 * A policy is written as a preset's name, or as a name with knobs changed: `kvm,ids32=off,quirk=on`.
 */
import { X2vmError } from "./errors.js";
import { KNOBS, knobByName, knobText, knobValue, type Knob } from "./knobs.js";

export interface Preset {
  readonly name: string;
  readonly description: string;
  /** Knobs that differ from `kvm`, as people write them. */
  readonly changes: Readonly<Record<string, string>>;
}

/** A policy with a value for every knob. */
export interface Policy {
  /** As it was written. */
  readonly name: string;
  readonly description: string;
  /** Values by knob name. */
  readonly knobs: ReadonlyMap<string, number>;
}

/** KVM since 4.10, and since 6.3 with both flags of KVM_CAP_X2APIC_API: what the core starts with. */
const KVM: Readonly<Record<string, string>> = {
  slot: "map-both",
  low: "owner",
  high: "hack",
  broadcast32: "off",
  broadcast8: "on",
  quirk: "off",
  ids32: "on",
  followIds32: "on",
  senderFormat: "off",
  mapForm: "kvm-6",
  truncatedBroadcast: "off",
  xidWritable: "on",
  hotplugX2apic: "off",
  lowest: "vector-hash",
  reservedBits: "kvm",
  errors: "off",
  spurious: "off",
  unpluggedIgnores: "off",
  firstSipi: "off",
  timerModeDisarms: "off",
  periodMin: "200000",
  directedEoi: "advertised",
  lvtCmci: "off",
  tscDeadline: "on",
  x2apic: "on",
  maxPhyAddr: "40",
  lint0Reenabled: "on",
  mmioHole: "on",
  msiExtDest: "off",
  busCycle: "1",
};

/** What presets of real parts share, and KVM does otherwise. */
const BY_THE_MANUAL: Readonly<Record<string, string>> = {
  slot: "scan",
  low: "all",
  broadcast32: "on",
  followIds32: "off",
  xidWritable: "off",
  lowest: "tpr",
  reservedBits: "sdm",
  errors: "on",
  spurious: "on",
  unpluggedIgnores: "on",
  firstSipi: "on",
  timerModeDisarms: "on",
  periodMin: "0",
  directedEoi: "works",
  lint0Reenabled: "off",
  mmioHole: "off",
};

export const PRESETS: readonly Preset[] = [
  {
    name: "kvm",
    description:
      "KVM since 4.10: an xAPIC-mode CPU answers to its 32-bit ID; one owner for each ID.",
    changes: {},
  },
  {
    name: "kvm-f0",
    description:
      "KVM since 6.3 without the flags of KVM_CAP_X2APIC_API: aliased IDs reach every claimant.",
    changes: { ids32: "off", quirk: "on" },
  },
  {
    name: "kvm-scan",
    description: "What KVM's slow path alone would do: every LAPIC decides for itself.",
    changes: { slot: "scan", low: "all", followIds32: "off" },
  },
  {
    name: "kvm-legacy",
    description:
      "KVM up to 4.9: an xAPIC-mode CPU has an 8-bit ID only, and the last created owns it.",
    changes: {
      slot: "map-mode",
      low: "last",
      high: "drop",
      broadcast32: "on",
      broadcast8: "off",
      quirk: "on",
      followIds32: "off",
      senderFormat: "on",
      mapForm: "kvm-4.9",
    },
  },
  {
    name: "knl",
    description: "Knights Landing: an xAPIC-mode LAPIC compares the low byte of every destination.",
    changes: { ...BY_THE_MANUAL, high: "truncate", truncatedBroadcast: "on" },
  },
  {
    name: "x2apic-reset",
    description: "As kvm, but the VMM puts a hot-added CPU in x2APIC mode before it first runs.",
    changes: { hotplugX2apic: "on" },
  },
  {
    name: "strict8",
    description: "The textbook: an xAPIC-mode LAPIC ignores every destination above 0xff.",
    changes: { ...BY_THE_MANUAL, high: "drop" },
  },
];

export const DEFAULT_POLICY = "kvm";

/**
 * Reads a policy: a preset's name, then knobs as `name=value`, separated by commas.
 *
 * @throws X2vmError BAD_OPTION naming the preset, knob or value that does not exist
 */
export function parsePolicy(text: string): Policy {
  const [name = "", ...changes] = text.split(",").map((part) => part.trim());
  const preset = PRESETS.find((each) => each.name === name);
  if (preset === undefined) {
    const names = PRESETS.map((each) => each.name).join(", ");
    throw new X2vmError("BAD_OPTION", `There is no policy "${name}". The policies are ${names}.`);
  }
  const knobs = new Map<string, number>();
  const written = { ...KVM, ...preset.changes };
  for (const knob of KNOBS) knobs.set(knob.name, knobValue(knob, written[knob.name]!));
  for (const change of changes) {
    const [knobName = "", value, ...rest] = change.split("=");
    if (value === undefined || rest.length > 0) {
      throw new X2vmError("BAD_OPTION", `"${change}" is not of the form knob=value.`);
    }
    knobs.set(knobName, knobValue(knobByName(knobName), value));
  }
  return { name: text, description: preset.description, knobs };
}

/** A policy as `parsePolicy` reads it: its name, and the knobs that were changed since. */
export function policyText(policy: Policy): string {
  const written = parsePolicy(policy.name).knobs;
  const changed = KNOBS.filter(({ name }) => policy.knobs.get(name) !== written.get(name));
  const changes = changed.map(
    (knob) => `,${knob.name}=${knobText(knob, policy.knobs.get(knob.name)!)}`,
  );
  return policy.name + changes.join("");
}

/** Sets all knobs of the core. @param setKnob - the core's export */
export function applyPolicy(policy: Policy, setKnob: (knob: number, value: number) => void): void {
  for (const knob of KNOBS) setKnob(knob.id, policy.knobs.get(knob.name)!);
}

/**
 * Why INIT and SIPI to a hot-added CPU with an ID above 0xff would not reach it, or not it alone; undefined when they do.
 *
 * This is the gate of a careful userspace: KVM up to 4.9 has no way, without USE_32BIT_IDS it depends on whether another
 * CPU claims the low byte, and a LAPIC that truncates takes the neighbour along.
 */
export function longIdObstacle(policy: Policy): string | undefined {
  const is = (name: string, value: string): boolean =>
    policy.knobs.get(name) === knobValue(knobByName(name), value);
  if (is("x2apic", "off")) return "its CPUs have no x2APIC mode";
  if (is("hotplugX2apic", "on")) return undefined;
  const followsFlag = is("followIds32", "on") && !is("slot", "scan");
  const slot = followsFlag ? (is("ids32", "on") ? "map-both" : "map-mode") : undefined;
  if (slot === "map-mode") {
    return "without KVM_X2APIC_API_USE_32BIT_IDS a CPU in xAPIC mode has its 8-bit ID only";
  }
  if (slot === "map-both" || is("slot", "map-both")) return undefined;
  if (is("slot", "map-mode")) return "a CPU in xAPIC mode has its 8-bit ID only";
  if (is("senderFormat", "on")) return "a CPU in xAPIC mode compares 8 bits only";
  if (is("high", "drop")) return "a CPU in xAPIC mode ignores destinations above 0xff";
  if (is("high", "truncate")) {
    return "a CPU in xAPIC mode compares the low byte only, so that its message wakes or resets others, too";
  }
  return undefined;
}

/** Presets whose value of a knob is not that of the default policy. */
export function presetsThatDiffer(knob: Knob): readonly { name: string; value: string }[] {
  const usual = KVM[knob.name]!;
  return PRESETS.flatMap(({ name, changes }) => {
    const value = changes[knob.name] ?? usual;
    return value === usual ? [] : [{ name, value }];
  });
}
