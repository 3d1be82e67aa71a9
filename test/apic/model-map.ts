/**
 * The map: KVM's fast path, one owner for each ID, drawn up from scratch for every message.
 *
 * Sources: KVM `kvm_recalculate_phys_map`, `kvm_recalculate_logical_map`, `kvm_apic_map_get_dest_lapic`,
 * `kvm_apic_map_get_logical_dest`; `recalculate_apic_map` of v4.9 for the 4.9 form.
 */
import {
  pickLowest,
  picksOne,
  x2apicLdr,
  type Lapic,
  type Message,
  type Policy,
} from "./model-types.js";

export interface DestinationMap {
  /** Largest ID that the table can hold. */
  bound: number;
  /** ID to position. */
  physical: Map<number, number>;
  /** "empty": no participant, logical messages reach nobody. "disabled": logical messages are scanned. */
  logicalMode: "empty" | "x2" | "flat" | "cluster" | "disabled";
  /** Flat: bit number to position. Cluster: cluster * 4 + bit to position. */
  logical: Map<number, number>;
}

/** @returns null when an alias makes KVM do without a map (no 32-bit IDs), or when the policy has none */
export function buildMap(lapics: readonly Lapic[], policy: Policy): DestinationMap | null {
  const present = lapics
    .map((_, position) => position)
    .filter((p) => lapics[p]!.mode !== "off" && lapics[p]!.mapped);
  const physical = physicalTable(lapics, present, policy);
  if (physical === null) return null;
  return policy.mapForm === "4.9"
    ? legacyMap(lapics, present, physical)
    : modernMap(lapics, present, physical);
}

function physicalTable(
  lapics: readonly Lapic[],
  present: number[],
  policy: Policy,
): Map<number, number> | null {
  const table = new Map<number, number>();
  for (const position of present) {
    const { mode, x2id, xid } = lapics[position]!;
    const keys = mode === "x2" ? [x2id] : [xid];
    if (policy.map === "both" && mode === "x" && x2id > 0xff) keys.unshift(x2id);
    for (const key of keys) {
      if (policy.low === "all" && table.has(key)) return null;
      const isKept = policy.low === "owner" && table.has(key) && mode === "x";
      if (!isKept) table.set(key, position);
    }
  }
  return table;
}

function modernMap(
  lapics: readonly Lapic[],
  present: number[],
  physical: Map<number, number>,
): DestinationMap {
  const map: DestinationMap = {
    bound: Math.max(0xff, ...present.map((p) => lapics[p]!.x2id)),
    physical,
    logicalMode: "empty",
    logical: new Map(),
  };
  for (const position of present) enterLogical(map, lapics[position]!, position);
  return map;
}

function enterLogical(map: DestinationMap, lapic: Lapic, position: number): void {
  const ldr = lapic.mode === "x2" ? x2apicLdr(lapic.x2id) : lapic.ldr;
  if (map.logicalMode === "disabled" || !lapic.sw || ldr === 0) return;
  const mode = logicalModeOf(lapic);
  if (map.logicalMode === "empty") map.logicalMode = mode;
  if (map.logicalMode !== mode) map.logicalMode = "disabled";
  if (map.logicalMode === "disabled" || mode === "x2") return;

  const id = ldr >>> 24;
  const bits = mode === "flat" ? id : id & 0xf;
  if (bits === 0) return;
  const slot = (mode === "flat" ? 0 : (id >>> 4) * 4) + lowestBit(bits);
  const isOneBit = (bits & (bits - 1)) === 0;
  if (!isOneBit || map.logical.has(slot)) map.logicalMode = "disabled";
  else map.logical.set(slot, position);
}

function logicalModeOf(lapic: Lapic): "x2" | "flat" | "cluster" {
  if (lapic.mode === "x2") return "x2";
  return lapic.dfr === 0xffffffff ? "flat" : "cluster";
}

function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}

function legacyMap(
  lapics: readonly Lapic[],
  present: number[],
  physical: Map<number, number>,
): DestinationMap {
  const map: DestinationMap = {
    bound: Math.max(0xff, ...physical.keys()),
    physical,
    logicalMode: "disabled",
    logical: new Map(),
  };
  const modes = new Set<"x2" | "flat" | "cluster">();
  for (const position of present) {
    const lapic = lapics[position]!;
    if (lapic.mode === "x2" || lapic.ldr !== 0) modes.add(logicalModeOf(lapic));
  }
  if (modes.size !== 1) return map; // none at all is "not optimised" too

  const [mode] = [...modes];
  map.logicalMode = mode!;
  if (mode === "x2") return map;
  for (const position of present) {
    const id = lapics[position]!.ldr >>> 24;
    const bits = mode === "flat" ? id : id & 0xf;
    if (lapics[position]!.mode === "x2" || bits === 0) continue;
    // Only the lowest of several bits gets a slot, and a later LAPIC takes it over.
    map.logical.set((mode === "flat" ? 0 : (id >>> 4) * 4) + lowestBit(bits), position);
  }
  return map;
}

/** Messages that KVM takes for a broadcast are never looked up. */
export function isBroadcastForMap(
  map: DestinationMap,
  lapics: readonly Lapic[],
  msg: Message,
  policy: Policy,
): boolean {
  if (!policy.quirk) {
    return msg.dest === 0xffffffff || (msg.dest === 0xff && map.logicalMode !== "x2");
  }
  const isX2apicIpi = msg.from !== null && lapics[msg.from]!.mode === "x2";
  return msg.dest === (isX2apicIpi ? 0xffffffff : 0xff);
}

/** @returns the positions that the table selects, or null when the logical part is disabled */
export function lookUp(
  map: DestinationMap,
  lapics: readonly Lapic[],
  msg: Message,
  policy: Policy,
): number[] | null {
  if (!msg.logical) {
    const owner = msg.dest > map.bound ? undefined : map.physical.get(msg.dest);
    return owner === undefined ? [] : [owner];
  }
  if (map.logicalMode === "disabled") return null;
  if (map.logicalMode === "empty") return [];
  const slots = logicalSlots(map, msg.dest);
  if (!picksOne(msg)) return slots.filter((owner) => owner !== undefined);

  if (policy.lowest === "hash") {
    // Bits of the message are counted, not LAPICs: an empty slot can win, and then nobody gets the message.
    const winner = slots.length === 0 ? undefined : slots[msg.vector % slots.length];
    return winner === undefined ? [] : [winner];
  }
  // By TPR, which is not KVM's rule, only LAPICs that can take an interrupt compete.
  const owners = slots
    .filter((owner) => owner !== undefined)
    .filter((owner) => policy.lowest === "counter" || lapics[owner]!.sw);
  const winner = pickLowest(lapics, owners, msg.vector, policy);
  return winner === null ? [] : [winner];
}

/** One entry for each bit of the message that lies in the table, lowest first. */
function logicalSlots(map: DestinationMap, dest: number): (number | undefined)[] {
  const slots: (number | undefined)[] = [];
  const [bits, base] =
    map.logicalMode === "x2"
      ? [dest & 0xffff, (dest >>> 16) * 16]
      : map.logicalMode === "flat"
        ? [dest & 0xff, 0]
        : [dest & 0xf, ((dest >>> 4) & 0xf) * 4];
  for (let bit = 0; bit < 16; bit++) {
    if (((bits >>> bit) & 1) === 0) continue;
    if (map.logicalMode === "x2") {
      if (base + bit <= map.bound) slots.push(map.physical.get(base + bit));
    } else {
      slots.push(map.logical.get(base + bit));
    }
  }
  return slots;
}
