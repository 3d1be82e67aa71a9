/** The exports of the APIC for tests and conformance: plain 32-bit numbers, 64-bit values as halves. See README.md. */
import { ERROR_APIC_ID_RANGE, ERROR_APIC_ID_TAKEN, ERROR_CAPACITY } from "../abi";
import { clearSlots, openSlot, vcpuAt, vcpuCapacity, vcpuCount } from "../layout";
import { Vcpu } from "../vcpu";
import * as def from "../x86/apicdef";
import { writeApicBase } from "./base";
import { bindApicId, clearIds, findApicId } from "./ids";
import { takeInitSipi, DO_INIT } from "./init-sipi";
import { Lapic, SOFTWARE_ENABLED } from "./lapic";
import { clearMap, rebuild } from "./map";
import { message } from "./message";
import { readMmio, writeMmio } from "./mmio";
import { signalMsi } from "./msi";
import { msrValue, readApicMsr, writeApicMsr } from "./msr";
import { acknowledge, eoi, highestPending } from "./priority";
import { knobValue } from "./policy";
import { setKnob } from "./knobs";
import { lapicCreate, lapicInit, lapicReset } from "./reset";
import { timerExpired } from "./timer";
import { sendMessage } from "./transit";

function cpuAt(vcpuIndex: u32): Vcpu {
  return changetype<Vcpu>(vcpuAt(vcpuIndex));
}

function time(low: u32, high: u32): u64 {
  return ((<u64>high) << 32) | low;
}

export function apicClear(): void {
  clearIds();
  clearMap();
  clearSlots();
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
  return sendMessage(<i32>from, dest, low, false, 0);
}

export function apicSignalMsi(addressLow: u32, addressHigh: u32, data: u32): i32 {
  return signalMsi(addressLow, addressHigh, data, 0);
}

export function apicAccepted(vcpuIndex: u32): u32 {
  return Lapic.at(vcpuIndex).acceptedMessage === message.number ? 1 : 0;
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
  return readMmio(Lapic.at(vcpuIndex), offset, size, time(nowLow, nowHigh));
}

export function apicWriteMmio(
  vcpuIndex: u32,
  offset: u32,
  size: u32,
  value: u32,
  nowLow: u32,
  nowHigh: u32,
): void {
  writeMmio(Lapic.at(vcpuIndex), offset, size, value, time(nowLow, nowHigh));
}

export function apicReadMsr(vcpuIndex: u32, msr: u32, nowLow: u32, nowHigh: u32): u32 {
  return readApicMsr(Lapic.at(vcpuIndex), msr, time(nowLow, nowHigh)) ? 1 : 0;
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
  return writeApicMsr(Lapic.at(vcpuIndex), msr, time(low, high), time(nowLow, nowHigh)) ? 1 : 0;
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
  return eoi(Lapic.at(vcpuIndex));
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
