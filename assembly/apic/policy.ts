/**
 * The APIC policy: every knob as one word of one struct, in the order of KNOB_* in abi.ts.
 *
 * The knobs are set by the host one by one; presets are tables of the host (src/policies.ts). As compiled in: KVM with
 * both flags of KVM_CAP_X2APIC_API.
 */
import * as abi from "../abi";
import { addArea } from "../state-areas";
import { MAXPHYADDR } from "../x86/cr";

@unmanaged
export class Policy {
  slot: u32;
  low: u32;
  high: u32;
  broadcast32: u32;
  broadcast8: u32;
  quirk: u32;
  ids32: u32;
  followIds32: u32;
  senderFormat: u32;
  mapForm: u32;
  truncatedBroadcast: u32;
  xidWritable: u32;
  hotplugX2apic: u32;
  lowest: u32;
  reservedBits: u32;
  errors: u32;
  spurious: u32;
  unpluggedIgnores: u32;
  firstSipi: u32;
  timerModeDisarms: u32;
  periodMin: u32;
  directedEoi: u32;
  lvtCmci: u32;
  tscDeadline: u32;
  x2apic: u32;
  maxPhyAddr: u32;
  lint0Reenabled: u32;
  mmioHole: u32;
  msiExtDest: u32;
  busCycle: u32;
}

// prettier-ignore
const values: usize = memory.data<u32>([
  abi.SLOT_MAP_BOTH, abi.LOW_OWNER, abi.HIGH_HACK, 0, 1, // slot low high broadcast32 broadcast8
  0, 1, 1, 0, abi.MAP_KVM_6,                             // quirk ids32 followIds32 senderFormat mapForm
  0, 1, 0, abi.LOWEST_VECTOR_HASH, abi.RESERVED_KVM,     // truncatedBroadcast xidWritable hotplugX2apic lowest reservedBits
  0, 0, 0, 0, 0,                                         // errors spurious unpluggedIgnores firstSipi timerModeDisarms
  200000, abi.DIRECTED_EOI_ADVERTISED, 0, 1, 1,          // periodMin directedEoi lvtCmci tscDeadline x2apic
  MAXPHYADDR, 1, 1, 0, 1,                                // maxPhyAddr lint0Reenabled mmioHole msiExtDest busCycle
], 8);

export const policy: Policy = changetype<Policy>(values);

// Largest value of each knob, in the same order.
// prettier-ignore
const limits: usize = memory.data<u32>([
  2, 2, 2, 1, 1,
  1, 1, 1, 1, 1,
  1, 1, 1, 2, 1,
  1, 1, 1, 1, 1,
  0xffffffff, 2, 1, 1, 1,
  52, 1, 1, 1, 10000,
], 8);

/** @returns the value of a knob, 0 for an unknown one */
export function knobValue(knob: u32): u32 {
  return knob < <u32>abi.KNOB_COUNT ? load<u32>(values + (knob << 2)) : 0;
}

/** Stores a knob. @returns false when the knob is unknown or the value out of its range */
export function storeKnob(knob: u32, value: u32): bool {
  if (knob >= <u32>abi.KNOB_COUNT || value > load<u32>(limits + (knob << 2))) return false;
  if (knob === abi.KNOB_MAXPHYADDR && value < 32) return false;
  if (knob === abi.KNOB_BUS_CYCLE && value === 0) return false;
  store<u32>(values + (knob << 2), value);
  return true;
}

/** For snapshots. */
export function listPolicy(): void {
  addArea(values, (<usize>abi.KNOB_COUNT) << 2);
}

/** @returns false when a knob that was put back has a value that it cannot have */
export function restorePolicy(): bool {
  for (let knob: u32 = 0; knob < <u32>abi.KNOB_COUNT; knob++) {
    if (!storeKnob(knob, knobValue(knob))) return false;
  }
  return true;
}

if (offsetof<Policy>("high") !== abi.KNOB_HIGH << 2) ERROR("Policy.high");
if (offsetof<Policy>("mapForm") !== abi.KNOB_MAP_FORM << 2) ERROR("Policy.mapForm");
if (offsetof<Policy>("errors") !== abi.KNOB_ERRORS << 2) ERROR("Policy.errors");
if (offsetof<Policy>("periodMin") !== abi.KNOB_PERIOD_MIN << 2) ERROR("Policy.periodMin");
if (offsetof<Policy>("maxPhyAddr") !== abi.KNOB_MAXPHYADDR << 2) ERROR("Policy.maxPhyAddr");
if (offsetof<Policy>("busCycle") !== abi.KNOB_BUS_CYCLE << 2) ERROR("Policy.busCycle");
if (offsetof<Policy>() !== abi.KNOB_COUNT << 2) ERROR("Policy: one word for each knob");
