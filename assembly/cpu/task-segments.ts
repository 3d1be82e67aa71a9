/**
 * Segment registers of a task that was just switched to: its selectors are in place, their descriptors are not.
 *
 * Source: SDM 3A "Exception Conditions Checked During a Task Switch".
 */
import { CS, DS, ES, FS, GS, LDTR, SS } from "../abi";
import { Vcpu } from "../vcpu";
import { AR_CONFORMING, AR_P, AR_UNUSABLE, descriptorAr, LDT } from "../x86/descriptor";
import { GP, NP, TS } from "../x86/exception";
import { fetchDescriptor, isNull, raiseSelector, systemType } from "./descriptor-table";
import { isV86, updateMode } from "./mode";
import {
  checkDataSegment,
  checkStackSegment,
  commitAccessed,
  commitNull,
  commitSegment,
  commitV86,
  dplOf,
  hasLegalSize,
  isCode,
} from "./segment";

/**
 * Loads LDTR and all segment registers of the new task. A fault stops it: the registers not yet reached are unusable.
 *
 * @param ldt - selector from the TSS; @param eip - checked against the limit of CS last
 */
export function loadTaskSegments(cpu: Vcpu, ldt: u32, eip: u64): void {
  const v86 = isV86(cpu);
  for (let n: u32 = 0; n < 6; n++) {
    if (v86) commitV86(cpu, n, cpu.segment(n).selector);
    else cpu.segment(n).ar |= AR_UNUSABLE;
  }
  // Until SS is loaded a fault must not push on it: ring 3 makes its handler switch stacks, as Bochs does.
  cpu.cpl = 3;
  updateMode(cpu);
  loadLdt(cpu, ldt);
  if (!v86) {
    loadStack(cpu, cpu.segment(CS).selector & 3);
    loadCode(cpu);
    loadData(cpu, DS);
    loadData(cpu, ES);
    loadData(cpu, FS);
    loadData(cpu, GS);
  }
  updateMode(cpu);
  if (cpu.fault === 0 && eip > cpu.segment(CS).limit) raiseSelector(cpu, GP, 0);
}

function loadLdt(cpu: Vcpu, selector: u32): void {
  commitNull(cpu, LDTR, selector);
  if (isNull(selector) || cpu.fault !== 0) return;
  if (selector & 4) {
    raiseSelector(cpu, TS, selector);
    return;
  }
  const raw = fetchDescriptor(cpu, selector, TS);
  if (cpu.fault !== 0) return;
  const ar = descriptorAr(raw);
  if (systemType(ar) !== LDT || !(ar & AR_P)) raiseSelector(cpu, TS, selector);
  else commitSegment(cpu, LDTR, selector, raw);
}

function loadCode(cpu: Vcpu): void {
  if (cpu.fault !== 0) return;
  const selector = cpu.segment(CS).selector;
  const rpl = selector & 3;
  if (isNull(selector)) {
    raiseSelector(cpu, TS, selector);
    return;
  }
  const raw = fetchDescriptor(cpu, selector, TS);
  if (cpu.fault !== 0) return;
  const ar = descriptorAr(raw);
  const isAllowed = ar & AR_CONFORMING ? dplOf(ar) <= rpl : dplOf(ar) === rpl;
  if (!isCode(ar) || !isAllowed || !hasLegalSize(cpu, ar)) raiseSelector(cpu, TS, selector);
  else if (!(ar & AR_P)) raiseSelector(cpu, NP, selector);
  commitAccessed(cpu, CS, selector, raw);
}

function loadStack(cpu: Vcpu, cpl: u32): void {
  if (cpu.fault !== 0) return;
  const selector = cpu.segment(SS).selector;
  if (isNull(selector)) {
    raiseSelector(cpu, TS, selector);
    return;
  }
  commitAccessed(cpu, SS, selector, checkStackSegment(cpu, selector, cpl, TS));
  if (cpu.fault === 0) cpu.cpl = cpl;
}

function loadData(cpu: Vcpu, n: u32): void {
  if (cpu.fault !== 0) return;
  const selector = cpu.segment(n).selector;
  if (isNull(selector)) {
    commitNull(cpu, n, selector);
    return;
  }
  commitAccessed(cpu, n, selector, checkDataSegment(cpu, selector, TS));
}
