/**
 * The vCPU set: adding and removing CPUs.
 *
 * A slot that a removed CPU leaves is taken again by the same APIC ID; other IDs open new slots, so that creation order
 * stays vcpuIndex order. When no new slot is left, an ID takes over the first slot whose CPU is gone with its LAPIC: a
 * LAPIC that stays (knob `unpluggedIgnores` off), as KVM's parked vCPU, keeps slot and ID.
 */
import {
  ABSENT,
  ADD_BSP,
  ADD_X2APIC,
  ERROR_APIC_ID_RANGE,
  ERROR_APIC_ID_TAKEN,
  ERROR_CAPACITY,
  ERROR_NO_VCPU,
  RUNNABLE,
  UNINITIALIZED,
  VCPU_BYTES,
} from "../abi";
import { APIC_BASE_EXTD } from "../x86/apicdef";
import { writeApicBase } from "../apic/base";
import { bindApicId, findApicId, unbindApicId } from "../apic/ids";
import { Lapic } from "../apic/lapic";
import { lapicCreate, lapicRemove, lapicReset } from "../apic/reset";
import { signature } from "../cpu/cpuid";
import { openSlot, vcpuAt, vcpuCapacity, vcpuCount } from "../layout";
import { flushTlb } from "../mem/space";
import { Vcpu } from "../vcpu";
import { markRunnable, unmarkRunnable } from "./runnable";
import { powerUp } from "./reset";
import { updateTimer } from "./timers";

/** Not a usable x2APIC ID: the broadcast. */
export const BROADCAST_ID: u32 = 0xffffffff;

/** The record of a vCPU. @param vcpuIndex - 0..vcpuCount-1 */
export function vcpu(vcpuIndex: u32): Vcpu {
  return changetype<Vcpu>(vcpuAt(vcpuIndex));
}

/**
 * Adds a CPU in its power-up state, as KVM_CREATE_VCPU and the reset that userspace lets follow.
 *
 * @param apicId - x2APIC ID, any but FFFFFFFFH; @param flags - ADD_*
 * @returns vcpuIndex, or ERROR_CAPACITY, ERROR_APIC_ID_TAKEN, ERROR_APIC_ID_RANGE; nothing changed then
 */
export function addVcpu(apicId: u32, flags: u32): i32 {
  if (apicId === BROADCAST_ID) return ERROR_APIC_ID_RANGE;
  let vcpuIndex = findApicId(apicId);
  if (vcpuIndex >= 0 && vcpu(vcpuIndex).runState !== ABSENT) return ERROR_APIC_ID_TAKEN;
  const isBsp = (flags & ADD_BSP) !== 0;
  if (vcpuIndex < 0) {
    vcpuIndex = vcpuCount < vcpuCapacity ? <i32>openSlot() : takeOverSlot();
    if (vcpuIndex < 0) return ERROR_CAPACITY;
    bindApicId(apicId, vcpuIndex);
    const cpu = vcpu(vcpuIndex);
    cpu.apicId = apicId;
    cpu.index = vcpuIndex;
    lapicCreate(cpu, isBsp);
  }
  const cpu = vcpu(vcpuIndex);
  const lapic = Lapic.of(cpu);
  powerUp(cpu, signature);
  lapicReset(lapic, isBsp);
  if (flags & ADD_X2APIC) writeApicBase(lapic, lapic.apicBase | APIC_BASE_EXTD, true);
  flushTlb(cpu); // the LAPIC's page may have moved
  updateTimer(vcpuIndex);
  cpu.request = 0;
  cpu.runState = isBsp ? RUNNABLE : UNINITIALIZED;
  if (isBsp) markRunnable(vcpuIndex);
  return vcpuIndex;
}

/** A slot whose CPU is gone for good, emptied. @returns vcpuIndex, or ERROR_CAPACITY */
function takeOverSlot(): i32 {
  for (let i: u32 = 0; i < vcpuCount; i++) {
    const cpu = vcpu(i);
    if (cpu.runState !== ABSENT || !Lapic.of(cpu).isRemoved) continue;
    unbindApicId(cpu.apicId);
    memory.fill(cpu.address, 0, VCPU_BYTES);
    return <i32>i;
  }
  return ERROR_CAPACITY;
}

/** Removes a CPU at once, whatever it does. @returns 0 or ERROR_NO_VCPU */
export function removeVcpu(vcpuIndex: u32): i32 {
  if (vcpuIndex >= vcpuCount || vcpu(vcpuIndex).runState === ABSENT) return ERROR_NO_VCPU;
  const cpu = vcpu(vcpuIndex);
  lapicRemove(Lapic.of(cpu));
  updateTimer(vcpuIndex);
  cpu.runState = ABSENT;
  cpu.request = 0;
  unmarkRunnable(vcpuIndex);
  return 0;
}

/** The CPU with an x2APIC ID. @returns vcpuIndex, or ERROR_NO_VCPU */
export function findVcpu(apicId: u32): i32 {
  const vcpuIndex = findApicId(apicId);
  return vcpuIndex >= 0 && vcpu(vcpuIndex).runState !== ABSENT ? vcpuIndex : ERROR_NO_VCPU;
}

/** Slots that a CPU has, or once had. */
export function slotsInUse(): u32 {
  return vcpuCount;
}
