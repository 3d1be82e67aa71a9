/** The exports of the APIC for tests and conformance: plain 32-bit numbers, 64-bit values as halves. See README.md. */
import {
  ERROR_APIC_ID_RANGE,
  ERROR_APIC_ID_TAKEN,
  ERROR_CAPACITY,
  RUNNABLE,
  UNINITIALIZED,
} from "../abi";
import { clearSlots, openSlot, vcpuAt, vcpuCapacity, vcpuCount } from "../layout";
import { Vcpu } from "../vcpu";
import * as def from "../x86/apicdef";
import { acceptsPic, raiseLint } from "./accept";
import { writeApicBase } from "./base";
import { bindApicId, clearIds, findApicId } from "./ids";
import { takeInitSipi, DO_INIT } from "./init-sipi";
import { Lapic, SOFTWARE_ENABLED } from "./lapic";
import { clearMap, rebuild } from "./map";
import { message, ORDINARY } from "./message";
import { readMmio, writeMmio } from "./mmio";
import { deviceMsi, signalMsi, signalRte } from "./msi";
import { msrValue, readApicMsr, writeApicMsr } from "./msr";
import { acknowledge, eoi, highestPending } from "./priority";
import { addRule, clearHeld, clearRules, fabricDeadline, seedInjection } from "./inject";
import { pvKickCpu, pvSendIpi } from "./paravirt";
import { knobValue } from "./policy";
import { pvEoiAddress, resolvePvEoi, wantsPvEoi } from "./pv-eoi";
import { setKnob } from "./knobs";
import { lapicCreate, lapicInit, lapicRemove, lapicReset } from "./reset";
import { timerExpired } from "./timer";
import { giveTime, NOT_GIVEN } from "./time";
import { setTraceMask as storeTraceMask } from "./trace";
import { fabricExpired, sendMessage } from "./transit";
import { highestVector } from "./vectors";

function cpuAt(vcpuIndex: u32): Vcpu {
  return changetype<Vcpu>(vcpuAt(vcpuIndex));
}

function time(low: u32, high: u32): u64 {
  return ((<u64>high) << 32) | low;
}

export function apicClear(): void {
  clearIds();
  clearMap();
  clearRules();
  clearHeld();
  clearSlots();
  message.number = 0;
}

export function apicSetKnob(knob: u32, value: u32): u32 {
  return setKnob(knob, value) ? 1 : 0;
}

export function apicKnob(knob: u32): u32 {
  return knobValue(knob);
}

export function apicAddVcpu(apicId: u32, isBsp: u32, visible: u32): i32 {
  if (vcpuCount >= vcpuCapacity) return ERROR_CAPACITY;
  if (apicId === def.X2APIC_BROADCAST) return ERROR_APIC_ID_RANGE;
  if (findApicId(apicId) >= 0) return ERROR_APIC_ID_TAKEN;
  const index = openSlot();
  const cpu = cpuAt(index);
  cpu.apicId = apicId;
  cpu.index = index;
  cpu.runState = isBsp !== 0 ? RUNNABLE : UNINITIALIZED;
  bindApicId(apicId, index);
  lapicCreate(cpu, isBsp !== 0);
  if (visible !== 0) lapicReset(Lapic.of(cpu), isBsp !== 0);
  return index;
}

export function apicSetState(
  vcpuIndex: u32,
  mode: u32,
  xid: u32,
  svr: u32,
  ldr: u32,
  dfr: u32,
  runState: u32,
): void {
  const lapic = Lapic.at(vcpuIndex);
  const modeBits =
    mode === 0 ? 0 : mode === 1 ? def.APIC_BASE_EN : def.APIC_BASE_EN | def.APIC_BASE_EXTD;
  const rest = lapic.apicBase & ~(def.APIC_BASE_EN | def.APIC_BASE_EXTD);
  writeApicBase(lapic, rest | modeBits, true);
  lapic.xid = <u8>xid;
  if (!lapic.isX2apic) lapic.ldr = ldr;
  lapic.dfr = dfr;
  lapic.svr = svr;
  lapic.flags &= ~SOFTWARE_ENABLED;
  if ((svr & def.SVR_ENABLED) !== 0) lapic.flags |= SOFTWARE_ENABLED;
  lapic.cpu.runState = runState;
  rebuild(lapic);
}

export function apicSend(
  from: u32,
  dest: u32,
  destMode: u32,
  shorthand: u32,
  deliveryMode: u32,
  vector: u32,
  trigger: u32,
  level: u32,
): i32 {
  let low = (vector & 0xff) | ((deliveryMode & 7) << def.ICR_DELIVERY_MODE_SHIFT);
  low |= (shorthand & 3) << def.ICR_SHORTHAND_SHIFT;
  if (destMode !== 0) low |= def.ICR_LOGICAL;
  if (trigger !== 0) low |= def.ICR_LEVEL_TRIGGERED;
  if (level !== 0) low |= def.ICR_ASSERT;
  return sendMessage(<i32>from, dest, low, ORDINARY);
}

export function apicSignalMsi(addressLow: u32, addressHigh: u32, data: u32): i32 {
  return signalMsi(addressLow, addressHigh, data);
}

export function apicDeviceMsi(address: u32, data: u32): i32 {
  return deviceMsi(address, data);
}

export function apicSignalRte(low: u32, high: u32): i32 {
  return signalRte(low, high);
}

export function apicPvSendIpi(
  bitmap0: u32,
  bitmap1: u32,
  bitmap2: u32,
  bitmap3: u32,
  lowest: u32,
  icr: u32,
  is64: u32,
): i32 {
  return pvSendIpi(time(bitmap0, bitmap1), time(bitmap2, bitmap3), lowest, icr, is64 !== 0);
}

export function apicPvKick(apicId: u32): i32 {
  return pvKickCpu(apicId);
}

export function apicAccepted(vcpuIndex: u32): u32 {
  const number = message.number;
  return number !== 0 && Lapic.at(vcpuIndex).acceptedMessage === number ? 1 : 0;
}

export function apicDeliveredMode(): u32 {
  return (message.low >> def.ICR_DELIVERY_MODE_SHIFT) & 7;
}

export function apicPath(): u32 {
  return message.path;
}

export function apicProcessEvents(vcpuIndex: u32): u32 {
  const cpu = cpuAt(vcpuIndex);
  const actions = takeInitSipi(cpu);
  if ((actions & DO_INIT) !== 0) lapicInit(Lapic.of(cpu));
  return actions;
}

export function apicReadMmio(
  vcpuIndex: u32,
  offset: u32,
  size: u32,
  nowLow: u32,
  nowHigh: u32,
): u32 {
  giveTime(time(nowLow, nowHigh));
  const value = readMmio(Lapic.at(vcpuIndex), offset, size);
  giveTime(NOT_GIVEN);
  return value;
}

export function apicWriteMmio(
  vcpuIndex: u32,
  offset: u32,
  size: u32,
  value: u32,
  nowLow: u32,
  nowHigh: u32,
): void {
  giveTime(time(nowLow, nowHigh));
  writeMmio(Lapic.at(vcpuIndex), offset, size, value);
  giveTime(NOT_GIVEN);
}

export function apicReadMsr(vcpuIndex: u32, msr: u32, nowLow: u32, nowHigh: u32): u32 {
  giveTime(time(nowLow, nowHigh));
  const exists = readApicMsr(Lapic.at(vcpuIndex), msr);
  giveTime(NOT_GIVEN);
  return exists ? 1 : 0;
}

export function apicMsrLow(): u32 {
  return <u32>msrValue;
}

export function apicMsrHigh(): u32 {
  return <u32>(msrValue >> 32);
}

export function apicWriteMsr(
  vcpuIndex: u32,
  msr: u32,
  low: u32,
  high: u32,
  nowLow: u32,
  nowHigh: u32,
): u32 {
  giveTime(time(nowLow, nowHigh));
  const isWritten = writeApicMsr(Lapic.at(vcpuIndex), msr, time(low, high));
  giveTime(NOT_GIVEN);
  return isWritten ? 1 : 0;
}

export function apicHostWriteBase(vcpuIndex: u32, low: u32, high: u32): u32 {
  return writeApicBase(Lapic.at(vcpuIndex), time(low, high), true) ? 1 : 0;
}

export function apicHighestPending(vcpuIndex: u32): i32 {
  return highestPending(Lapic.at(vcpuIndex));
}

export function apicAcknowledge(vcpuIndex: u32): i32 {
  return acknowledge(Lapic.at(vcpuIndex));
}

export function apicEoi(vcpuIndex: u32): i32 {
  const lapic = Lapic.at(vcpuIndex);
  const vector = highestVector(lapic.isr);
  eoi(lapic);
  return vector;
}

export function apicDeadlineLow(vcpuIndex: u32): u32 {
  return <u32>Lapic.at(vcpuIndex).deadline;
}

export function apicDeadlineHigh(vcpuIndex: u32): u32 {
  return <u32>(Lapic.at(vcpuIndex).deadline >> 32);
}

export function apicTimerExpired(vcpuIndex: u32, nowLow: u32, nowHigh: u32): void {
  timerExpired(Lapic.at(vcpuIndex), time(nowLow, nowHigh));
}

export function apicReset(vcpuIndex: u32, isBsp: u32): void {
  lapicReset(Lapic.at(vcpuIndex), isBsp !== 0);
}

export function apicInit(vcpuIndex: u32): void {
  lapicInit(Lapic.at(vcpuIndex));
}

export function apicWantsPvEoi(vcpuIndex: u32): u32 {
  return wantsPvEoi(Lapic.at(vcpuIndex)) ? 1 : 0;
}

export function apicPvEoiAddress(vcpuIndex: u32): u32 {
  return <u32>pvEoiAddress(Lapic.at(vcpuIndex));
}

export function apicResolvePvEoi(vcpuIndex: u32, wasSet: u32): void {
  resolvePvEoi(Lapic.at(vcpuIndex), wasSet !== 0);
}

export function apicInject(
  action: u32,
  filters: u32,
  sender: i32,
  modes: u32,
  vector: u32,
  dest: u32,
  first: u32,
  every: u32,
  chance: u32,
  argumentLow: u32,
  argumentHigh: u32,
): i32 {
  return addRule(
    action,
    filters,
    sender,
    modes,
    vector,
    dest,
    first,
    every,
    chance,
    time(argumentLow, argumentHigh),
  );
}

export function apicInjectSeed(low: u32, high: u32): void {
  seedInjection(time(low, high));
}

export function apicClearRules(): void {
  clearRules();
}

export function apicFabricDeadlineLow(): u32 {
  return <u32>fabricDeadline();
}

export function apicFabricDeadlineHigh(): u32 {
  return <u32>(fabricDeadline() >> 32);
}

export function apicFabricExpired(nowLow: u32, nowHigh: u32): void {
  giveTime(time(nowLow, nowHigh));
  fabricExpired(time(nowLow, nowHigh));
  giveTime(NOT_GIVEN);
}

export function setTraceMask(mask: u32): void {
  storeTraceMask(mask);
}

export function apicRemove(vcpuIndex: u32): void {
  lapicRemove(Lapic.at(vcpuIndex));
}

export function apicRaiseLint(vcpuIndex: u32, pin: u32): u32 {
  return raiseLint(Lapic.at(vcpuIndex), pin);
}

export function apicAcceptsPic(vcpuIndex: u32): u32 {
  return acceptsPic(Lapic.at(vcpuIndex)) ? 1 : 0;
}
