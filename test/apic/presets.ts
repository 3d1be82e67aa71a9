/** The policies of the model by name, and the machine state that a scenario describes. */
import type { Scenario } from "../../src/conform/scenario.js";
import { x2apicLdr } from "./model-types.js";
import type { Lapic, Message, Mode, Policy } from "./model-types.js";

const KVM: Policy = {
  name: "kvm",
  map: "both",
  low: "owner",
  mapForm: "6",
  high: "hack",
  bc32: false,
  bc8x2: true, // on the scan; the map decides before
  quirk: true,
  senderFormat: false,
  truncBroadcast: false,
  msi32: true,
  lowest: "hash",
};

/** Name, and what differs from `kvm`. */
export const MODEL_POLICIES = {
  kvm: KVM,
  "kvm-noquirk": { ...KVM, name: "kvm-noquirk", quirk: false },
  "kvm-scan": { ...KVM, name: "kvm-scan", map: "none", low: "all" },
  "kvm-scan-noquirk": { ...KVM, name: "kvm-scan-noquirk", map: "none", low: "all", quirk: false },
  "kvm-f0": { ...KVM, name: "kvm-f0", map: "mode", low: "all", msi32: false },
  "kvm-f0-noquirk": {
    ...KVM,
    name: "kvm-f0-noquirk",
    map: "mode",
    low: "all",
    msi32: false,
    quirk: false,
  },
  "kvm-legacy": {
    ...KVM,
    name: "kvm-legacy",
    map: "mode",
    low: "last",
    mapForm: "4.9",
    high: "drop",
    bc32: true,
    bc8x2: false,
    senderFormat: true,
  },
  "kvm-legacy-scan": {
    ...KVM,
    name: "kvm-legacy-scan",
    map: "none",
    low: "all",
    high: "drop",
    bc32: true,
    bc8x2: false,
    senderFormat: true,
  },
  knl: {
    ...KVM,
    name: "knl",
    map: "none",
    low: "all",
    high: "trunc",
    bc32: true,
    quirk: false,
    truncBroadcast: true,
  },
  "knl-exact": {
    ...KVM,
    name: "knl-exact",
    map: "none",
    low: "all",
    high: "trunc",
    bc32: true,
    quirk: false,
  },
  "x2apic-reset": { ...KVM, name: "x2apic-reset", quirk: false },
  strict8: {
    ...KVM,
    name: "strict8",
    map: "none",
    low: "all",
    high: "drop",
    bc32: true,
    quirk: false,
  },
} as const satisfies Record<string, Policy>;

export type ModelPolicyName = keyof typeof MODEL_POLICIES;

/** KVM as its two capability flags set it. */
export function kvmPolicy(ids32: boolean, noquirk: boolean): Policy {
  if (ids32) return noquirk ? MODEL_POLICIES["kvm-noquirk"] : MODEL_POLICIES.kvm;
  return noquirk ? MODEL_POLICIES["kvm-f0-noquirk"] : MODEL_POLICIES["kvm-f0"];
}

/** A local APIC in its power-up state, with what differs from it. */
export function lapic(x2id: number, mode: Mode, changes: Partial<Lapic> = {}): Lapic {
  return {
    x2id,
    mode,
    xid: x2id & 0xff,
    sw: true,
    ldr: mode === "x2" ? x2apicLdr(x2id) : 0,
    dfr: 0xffffffff,
    mapped: true,
    tpr: 0,
    arbitration: 0,
    ...changes,
  };
}

export function lapicsOf(scenario: Scenario): Lapic[] {
  return scenario.cpus.map(({ id, mode, xid, sw, ldr, dfr }) =>
    lapic(id, mode, { xid, sw, dfr, ldr: mode === "x2" ? x2apicLdr(id) : ldr }),
  );
}

export function messageOf(scenario: Scenario): Message {
  return {
    from: scenario.from,
    dest: scenario.dest,
    logical: scenario.dm === 1,
    shorthand: scenario.sh,
    mode: scenario.dlv,
    vector: scenario.vec,
    levelTriggered: scenario.trig === 1,
    assert: scenario.level === 1,
    hint: scenario.rh === 1,
  };
}
