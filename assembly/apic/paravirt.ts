/**
 * KVM hypercalls that send interrupts.
 *
 * Source: KVM documentation "Linux KVM Hypercall"; `kvm_pv_send_ipi`, `kvm_pv_kick_cpu_op`.
 */
import * as def from "../x86/apicdef";
import { hasMap } from "./map";
import { MAP_ONLY, message, NO_SENDER, ORDINARY } from "./message";
import { sendMessage } from "./transit";

const KVM_EINVAL: i32 = -22;
const EOPNOTSUPP: i32 = -95;
const SHORTHAND: u32 = 3 << def.ICR_SHORTHAND_SHIFT;
const ICR_FIELDS: u32 =
  def.ICR_VECTOR | (7 << def.ICR_DELIVERY_MODE_SHIFT) | def.ICR_ASSERT | def.ICR_LEVEL_TRIGGERED;

/**
 * SEND_IPI: up to 128 targets named by bitmaps, looked up in the physical map alone: no broadcast, no scan, no mode.
 *
 * @param bitmapLow, bitmapHigh - a0 and a1; @param lowest - a2, the APIC ID of bit 0; @param icr - a3: vector, delivery
 * mode, level, trigger; @param is64 - 64 IDs a word, else 32
 * @returns number of LAPICs that accepted; KVM_EINVAL for a destination mode or shorthand; EOPNOTSUPP without a map
 */
export function pvSendIpi(bitmapLow: u64, bitmapHigh: u64, lowest: u32, icr: u32, is64: bool): i32 {
  if ((icr & (def.ICR_LOGICAL | SHORTHAND)) !== 0) return KVM_EINVAL;
  if (!hasMap()) return EOPNOTSUPP;
  message.number++;
  const width: u32 = is64 ? 64 : 32;
  const wordMask: u64 = is64 ? u64.MAX_VALUE : 0xffffffff;
  const fields = icr & ICR_FIELDS;
  const first = sendWord(bitmapLow & wordMask, lowest, fields);
  return first + sendWord(bitmapHigh & wordMask, lowest + width, fields);
}

function sendWord(bitmap: u64, lowest: u32, low: u32): i32 {
  let accepted = 0;
  for (let rest = bitmap; rest !== 0; rest &= rest - 1) {
    const bit = <u32>ctz(rest);
    // IDs end at the map's bound; they do not wrap.
    if (bit > u32.MAX_VALUE - lowest) break;
    accepted += max(sendMessage(NO_SENDER, lowest + bit, low, MAP_ONLY), 0);
  }
  return accepted;
}

/** KICK_CPU: wakes a halted vCPU; no interrupt. An ordinary physical message without a sender, 32-bit destination. */
export function pvKickCpu(apicId: u32): i32 {
  return sendMessage(NO_SENDER, apicId, def.REMOTE_READ << def.ICR_DELIVERY_MODE_SHIFT, ORDINARY);
}
