/**
 * One LAPIC of several: lowest priority, and the owner of an ID.
 *
 * Sources: KVM `kvm_vector_to_index`, `kvm_apic_compare_prio`, `kvm_irq_delivery_to_apic`; SDM 3A "Lowest Priority
 * Delivery Mode" (TPR of each processor, known to the chipset).
 * Not modelled: the arbitration priority register of the P6 family and focus processors.
 */
import { LOW_ALL, LOW_LAST, LOWEST_TPR, LOWEST_VECTOR_HASH, SLOT_SCAN } from "../abi";
import { vcpuCount } from "../layout";
import { ICR_LOGICAL, ICR_SHORTHAND_SHIFT, ICR_VECTOR } from "../x86/apicdef";
import { Lapic } from "./lapic";
import { logicalBits, logicalBitsInBound, slotMember } from "./lookup";
import { isMatch, matchReason } from "./match";
import { Message } from "./message";
import { policy } from "./policy";

/**
 * The winner of a logical lookup.
 *
 * By vector hashing KVM counts the bits of the destination, not LAPICs: a bit without member can win, and the message is
 * lost. By counter or TPR only members count; by TPR, which is not KVM's rule, only those that can take an interrupt.
 *
 * @param mode - LOGICAL_* @returns vcpuIndex, or -1
 */
export function slotWinner(msg: Message, mode: u32): i32 {
  if (policy.lowest === LOWEST_VECTOR_HASH) {
    let bits = logicalBitsInBound(msg.dest, mode);
    if (bits === 0) return -1;
    for (let n = (msg.low & ICR_VECTOR) % popcnt(bits); n > 0; n--) bits &= bits - 1;
    return slotMember(msg.dest, mode, <u32>ctz(bits));
  }
  let winner = -1;
  for (let rest = logicalBits(msg.dest, mode); rest !== 0; rest &= rest - 1) {
    const member = slotMember(msg.dest, mode, <u32>ctz(rest));
    if (member < 0) continue;
    if (policy.lowest === LOWEST_TPR && !Lapic.at(member).isSoftwareEnabled) continue;
    if (winner < 0 || isLower(member, winner)) winner = member;
  }
  return winner;
}

/** The winner among the software-enabled LAPICs that a scan finds. @returns vcpuIndex, or -1 */
export function scanWinner(msg: Message): i32 {
  let winner = -1;
  let count: u32 = 0;
  for (let i: u32 = 0; i < vcpuCount; i++) {
    if (!isCandidate(i, msg)) continue;
    count++;
    if (winner < 0 || (policy.lowest !== LOWEST_VECTOR_HASH && isLower(i, winner))) winner = <i32>i;
  }
  if (count < 2 || policy.lowest !== LOWEST_VECTOR_HASH) return winner;

  let at = <u32>winner;
  for (let n = (msg.low & ICR_VECTOR) % count; n > 0; n--) {
    do at++;
    while (!isCandidate(at, msg));
  }
  return <i32>at;
}

function isCandidate(vcpuIndex: u32, msg: Message): bool {
  const lapic = Lapic.at(vcpuIndex);
  return lapic.isSoftwareEnabled && isMatch(matchReason(lapic, msg));
}

/** True when `a` has the lower priority; the first of equals stays. */
function isLower(a: u32, b: u32): bool {
  const one = Lapic.at(a);
  const other = Lapic.at(b);
  if (policy.lowest === LOWEST_TPR) return one.tpr < other.tpr;
  return <i32>(one.arbitration - other.arbitration) < 0;
}

/** The knob `low` on a policy that only scans: a physical 8-bit ID has one owner. */
export function isOwned(msg: Message): bool {
  const fields = ICR_LOGICAL | (3 << ICR_SHORTHAND_SHIFT);
  return (
    policy.slot === SLOT_SCAN &&
    policy.low !== LOW_ALL &&
    (msg.low & fields) === 0 &&
    msg.dest < 0xff
  );
}

/** The owner among the LAPICs that a scan finds. @returns vcpuIndex, or -1 */
export function scanOwner(msg: Message): i32 {
  let owner = -1;
  for (let i: u32 = 0; i < vcpuCount; i++) {
    const lapic = Lapic.at(i);
    if (!isMatch(matchReason(lapic, msg))) continue;
    if (owner < 0 || policy.low === LOW_LAST || lapic.isX2apic) owner = <i32>i;
  }
  return owner;
}
