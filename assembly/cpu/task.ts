/**
 * The task switch: saves the state in the old TSS and loads it from the new one.
 *
 *     32-bit TSS  0 link  4 ESP0 SS0 .. SS2  1C CR3  20 EIP  24 EFLAGS  28 EAX ECX EDX EBX ESP EBP ESI EDI
 *                 48 ES CS SS DS FS GS  60 LDT  64 T  66 I/O map
 *     16-bit TSS  0 link  2 SP0 SS0 .. SS2  0E IP  10 FLAGS  12 AX CX DX BX SP BP SI DI  22 ES CS SS DS  2A LDT
 *
 * Source: SDM 3A "Task Switching", "Exception Conditions Checked During a Task Switch".
 */
import { TR } from "../abi";
import { checkWriteSystem, readSystem, writeSystem } from "../mem/access";
import { Vcpu } from "../vcpu";
import { CR0_PG, CR0_TS } from "../x86/cr";
import {
  AR_TYPE,
  descriptorAr,
  descriptorBase,
  descriptorLimit,
  TSS16_AVAILABLE,
  TSS16_BUSY,
} from "../x86/descriptor";
import { AC_FLAG, ARITHMETIC, DF_FLAG, ID, IF, IOPL, NT, RF, TF, VM } from "../x86/eflags";
import { GP, TS } from "../x86/exception";
import { setCr3 } from "./cr";
import { DR6_BT, raiseDebug } from "./debug-status";
import { canMarkBusy, markBusy, raiseSelector } from "./descriptor-table";
import { setRflags } from "./flags";
import { updateMode } from "./mode";
import { commitSegment } from "./segment";
import { loadTaskSegments } from "./task-segments";
import { vmeFlags } from "./vme";

export const TASK_JUMP: u32 = 0;
/** CALL, interrupt or exception: the new task gets a back link and NT. */
export const TASK_NEST: u32 = 1;
export const TASK_RETURN: u32 = 2;

const FLAGS16: u32 = ARITHMETIC | TF | IF | DF_FLAG | IOPL | NT;
const FLAGS32: u32 = FLAGS16 | RF | VM | AC_FLAG | ID;
/** L0..L3 and LE of DR7: breakpoints of the old task. */
const DR7_LOCAL: u64 = 0x155;

/** The new TSS, read whole before anything changes: 26 doublewords, or 22 words. */
const incoming: usize = memory.data(104, 8);

/** EIP of the new task, after a switch. */
export let taskRip: u64 = 0;

function dword(offset: usize): u32 {
  return load<u32>(incoming + offset);
}

function word(offset: usize): u32 {
  return load<u16>(incoming + offset);
}

function is16(ar: u32): bool {
  const type = ar & AR_TYPE;
  return type === TSS16_AVAILABLE || type === TSS16_BUSY;
}

/**
 * Switches tasks. The caller has checked that the descriptor is that of a present TSS which may be switched to.
 *
 * @param selector, raw - of the new TSS
 * @param cause - TASK_JUMP, TASK_NEST or TASK_RETURN
 * @param image - EFLAGS to save; @param savedRip - EIP to save
 * @returns false when the switch did not begin: a fault is raised and nothing has changed. true: the vCPU is in the new
 *   task, EIP is in `taskRip`; a fault that may be raised belongs to the new task, before its first instruction
 */
export function switchTask(
  cpu: Vcpu,
  selector: u32,
  raw: u64,
  cause: u32,
  image: u32,
  savedRip: u64,
): bool {
  const ar = descriptorAr(raw);
  const base = descriptorBase(raw);
  if (descriptorLimit(raw) < <u32>(is16(ar) ? 0x2b : 0x67)) {
    raiseSelector(cpu, TS, selector);
    return false;
  }
  const old = cpu.segment(TR);
  const oldSelector = old.selector;
  if (!canSave(cpu) || !readIncoming(cpu, base, is16(ar))) return false;
  if (cause !== TASK_NEST && !canMarkBusy(cpu, oldSelector)) return false;
  if (cause !== TASK_RETURN && !canMarkBusy(cpu, selector)) return false;
  if (cause === TASK_NEST && !checkWriteSystem(cpu, base, 2)) return false;

  // From here on nothing can fault until the switch is made.
  if (cause !== TASK_NEST) markBusy(cpu, oldSelector, false);
  save(cpu, cause === TASK_RETURN ? image & ~NT : image, <u32>savedRip);
  if (cause === TASK_NEST) writeSystem<u16>(cpu, base, oldSelector);
  if (cause !== TASK_RETURN) markBusy(cpu, selector, true);
  commitSegment(cpu, TR, selector, raw);
  cpu.segment(TR).ar = ar | 2;
  cpu.cr0 |= CR0_TS;
  cpu.dr7 &= ~DR7_LOCAL;
  if (is16(ar)) load16(cpu, cause);
  else load32(cpu, cause);
  updateMode(cpu);
  return true;
}

/** Checks that the state can be saved in the old TSS. */
function canSave(cpu: Vcpu): bool {
  const tr = cpu.segment(TR);
  return is16(tr.ar)
    ? checkWriteSystem(cpu, tr.base + 0x0e, 0x1c)
    : checkWriteSystem(cpu, tr.base + 0x20, 0x40);
}

function readIncoming(cpu: Vcpu, base: u32, small: bool): bool {
  const bytes: u32 = small ? 44 : 104;
  for (let i: u32 = 0; i < bytes; i += 4) {
    store<u32>(incoming + i, readSystem<u32>(cpu, base + i));
    if (cpu.fault !== 0) return false;
  }
  return true;
}

function save(cpu: Vcpu, flags: u32, eip: u32): void {
  const tr = cpu.segment(TR);
  const base = tr.base;
  if (is16(tr.ar)) {
    writeSystem<u16>(cpu, base + 0x0e, <u16>eip);
    writeSystem<u16>(cpu, base + 0x10, <u16>flags);
    for (let i: u32 = 0; i < 8; i++) writeSystem<u16>(cpu, base + 0x12 + i * 2, <u16>cpu.gpr(i));
    for (let n: u32 = 0; n < 4; n++)
      writeSystem<u16>(cpu, base + 0x22 + n * 2, cpu.segment(n).selector);
    return;
  }
  writeSystem<u32>(cpu, base + 0x20, eip);
  writeSystem<u32>(cpu, base + 0x24, flags);
  for (let i: u32 = 0; i < 8; i++) writeSystem<u32>(cpu, base + 0x28 + i * 4, <u32>cpu.gpr(i));
  for (let n: u32 = 0; n < 6; n++)
    writeSystem<u16>(cpu, base + 0x48 + n * 4, cpu.segment(n).selector);
}

function load16(cpu: Vcpu, cause: u32): void {
  taskRip = word(0x0e);
  setRflags(cpu, word(0x10) | (cause === TASK_NEST ? NT : 0), FLAGS32);
  // Upper halves stay, as after any 16-bit load.
  for (let i: u32 = 0; i < 8; i++) {
    cpu.setGpr(i, (cpu.gpr(i) & 0xffff0000) | word(0x12 + i * 2));
  }
  for (let n: u32 = 0; n < 4; n++) cpu.segment(n).selector = <u16>word(0x22 + n * 2);
  cpu.segment(4).selector = 0;
  cpu.segment(5).selector = 0;
  loadTaskSegments(cpu, word(0x2a), taskRip);
}

function load32(cpu: Vcpu, cause: u32): void {
  // A bad PDPTE leaves the old directory in use, and the new task faults.
  if (cpu.cr0 & CR0_PG && !setCr3(cpu, dword(0x1c))) raiseSelector(cpu, GP, 0);
  taskRip = dword(0x20);
  setRflags(cpu, dword(0x24) | (cause === TASK_NEST ? NT : 0), FLAGS32 | vmeFlags);
  for (let i: u32 = 0; i < 8; i++) cpu.setGpr(i, dword(0x28 + i * 4));
  for (let n: u32 = 0; n < 6; n++) cpu.segment(n).selector = <u16>word(0x48 + n * 4);
  loadTaskSegments(cpu, word(0x60), taskRip);
  // The T bit traps in the new task, before its first instruction.
  if (word(0x64) & 1) raiseDebug(cpu, DR6_BT, true);
}
