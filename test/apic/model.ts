/**
 * A second model of interrupt-message delivery: who takes a message, written to be read and not to be fast.
 *
 * Nothing is cached: the destination map is drawn up anew for every message. Pure functions over plain records, no
 * code shared with the core.
 *
 * Sources: KVM `kvm_irq_delivery_to_apic`, `kvm_irq_delivery_to_apic_fast`, `kvm_recalculate_apic_map` (6.16 to 6.18;
 * v4.9 for the legacy form), SDM 3A "Determining IPI Destination"; Knights Landing as described on the list in 2016.
 * Not modelled: APICv, posted interrupts, SMM.
 */
import { buildMap, isBroadcastForMap, lookUp } from "./model-map.js";
import { scanMatches } from "./model-scan.js";
import { accepts, FIXED, LOWEST, pickLowest, picksOne } from "./model-types.js";
import type { Delivery, Lapic, Message, Policy } from "./model-types.js";

/** Routes one message. The LAPICs are in creation order; arbitration counters are the only thing changed. */
export function deliver(lapics: readonly Lapic[], message: Message, policy: Policy): Delivery {
  const msg = { ...message };
  if (msg.from === null) {
    msg.assert = true;
    if (!policy.msi32) msg.dest &= 0xff;
  }
  if (msg.shorthand === 1 && msg.from !== null)
    return arrive(lapics, [msg.from], msg, message, "self", policy, 0);

  const map = policy.map === "none" ? null : buildMap(lapics, policy);
  const onMap =
    map !== null && msg.shorthand === 0 && !isBroadcastForMap(map, lapics, msg, policy)
      ? lookUp(map, lapics, msg, policy)
      : null;
  const nobody = policy.mapForm === "4.9" ? -1 : 0;
  if (onMap !== null) return arrive(lapics, onMap, msg, message, "map", policy, nobody);

  return scan(lapics, msg, message, policy);
}

function scan(lapics: readonly Lapic[], msg: Message, asSent: Message, policy: Policy): Delivery {
  // KVM turns lowest priority to physical 0xff into Fixed: the mode changes, a redirection hint stays. The test is on
  // the destination field alone, so that it also hits the shorthands.
  if (!msg.logical && msg.dest === 0xff && picksOne(msg)) msg.mode = FIXED;
  const matching: number[] = [];
  lapics.forEach((target, position) => {
    if (target.mode !== "off" && scanMatches(lapics, target, position, msg, policy))
      matching.push(position);
  });
  if (!picksOne(msg)) {
    const owners = ownersOf(lapics, matching, msg, policy);
    return arrive(lapics, owners, msg, asSent, "scan", policy, -1);
  }

  const candidates = matching.filter((position) => lapics[position]!.sw);
  const winner = pickLowest(lapics, candidates, msg.vector, policy);
  return arrive(lapics, winner === null ? [] : [winner], msg, asSent, "scan", policy, -1);
}

/** A policy without a map may still give an 8-bit physical ID one owner. */
function ownersOf(
  lapics: readonly Lapic[],
  matching: readonly number[],
  msg: Message,
  policy: Policy,
): number[] {
  const isOwned = policy.map === "none" && policy.low !== "all";
  if (!isOwned || matching.length === 0 || msg.logical || msg.shorthand !== 0 || msg.dest >= 0xff) {
    return [...matching];
  }
  if (policy.low === "last") return [matching.at(-1)!];
  return [matching.find((position) => lapics[position]!.mode === "x2") ?? matching[0]!];
}

function arrive(
  lapics: readonly Lapic[],
  selected: number[],
  msg: Message,
  asSent: Message,
  path: Delivery["path"],
  policy: Policy,
  nobody: number,
): Delivery {
  const took = selected.filter((position) => accepts(lapics[position]!, msg, policy));
  // KVM counts before it asks whether the LAPIC is enabled.
  if (msg.mode === LOWEST) for (const position of selected) lapics[position]!.arbitration++;
  const ret = selected.length === 0 ? nobody : took.length;
  const modeKept = msg.mode === asSent.mode || (msg.mode === FIXED && asSent.mode === LOWEST);
  return { selected, accepted: modeKept ? took : [], arrived: took, ret, path, mode: msg.mode };
}
