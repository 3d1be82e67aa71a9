/** What a person wants to see when a guest dies: where, in which mode, on which way, with which registers. */
import { GPR_NAMES, SEGMENT_NAMES, type Machine, type Vcpu } from "../index.js";
import { formatApicId } from "./format.js";

const EXCEPTIONS =
  "#DE #DB NMI #BP #OF #BR #UD #NM #DF #CSO #TS #NP #SS #GP #PF #15 #MF #AC #MC #XM".split(" ");

const CR0_PE = 1n;
const RFLAGS_VM = 1n << 17n;
const EFER_LMA = 1n << 10n;
const AR_LONG = 1 << 13;
const AR_BIG = 1 << 14;

/** An instruction that ran shortly before the end. */
export interface PastInstruction {
  readonly apicId: number;
  readonly cs: number;
  readonly rip: bigint;
  readonly bytes: Uint8Array;
}

/** How the CPU interprets its code. */
export function modeName(cpu: Vcpu): string {
  const { accessRights } = cpu.segment("cs");
  if ((cpu.control.cr0 & CR0_PE) === 0n) return "real mode";
  if ((cpu.rflags & RFLAGS_VM) !== 0n) return "virtual-8086 mode";
  if ((cpu.control.efer & EFER_LMA) !== 0n) {
    if ((accessRights & AR_LONG) !== 0) return "64-bit mode";
    return (accessRights & AR_BIG) !== 0
      ? "compatibility mode, 32 bit"
      : "compatibility mode, 16 bit";
  }
  return (accessRights & AR_BIG) !== 0 ? "protected mode, 32 bit" : "protected mode, 16 bit";
}

/** Code bytes at a vCPU's next instruction, as far as they are mapped. */
export function codeAt(machine: Machine, cpu: Vcpu, length = 8): Uint8Array {
  const linear = linearRip(cpu);
  const bytes: number[] = [];
  for (let i = 0; i < length; i++) {
    const gpa = cpu.translate(linear + BigInt(i));
    if (gpa === undefined || gpa >= BigInt(machine.memoryBytes)) break;
    bytes.push(machine.readMemory(gpa, 1)[0]!);
  }
  return Uint8Array.from(bytes);
}

/** The report, one line each. @param history - the last instructions, oldest first */
export function crashReport(
  machine: Machine,
  cpu: Vcpu,
  history: readonly PastInstruction[],
): string[] {
  const { first, second } = cpu.shutdownCause;
  const name = `CPU ${formatApicId(cpu.apicId)}`;
  return [
    `Triple fault on ${name} in ${modeName(cpu)}, CPL ${cpu.cpl}:`,
    `  the delivery of ${exceptionName(first)} raised ${exceptionName(second)}`,
    `  at ${location(cpu.segment("cs").selector, cpu.rip)}: ${hexBytes(codeAt(machine, cpu)) || "not mapped"}`,
    `  ${vectorEntry(machine, cpu, first)}`,
    "Registers:",
    ...registerLines(cpu).map((line) => `  ${line}`),
    ...historyLines(history),
  ];
}

export function exceptionName(vector: number): string {
  return `${EXCEPTIONS[vector] ?? "vector"} (${vector})`;
}

function linearRip(cpu: Vcpu): bigint {
  const isLong = modeName(cpu) === "64-bit mode";
  return isLong ? cpu.rip : BigInt.asUintN(32, cpu.segment("cs").base + cpu.rip);
}

function location(cs: number, rip: bigint): string {
  return `${digits(cs, 4)}:${digits(rip, 8)}`;
}

function registerLines(cpu: Vcpu): string[] {
  const lines: string[] = [];
  for (let i = 0; i < GPR_NAMES.length; i += 4) {
    const row = GPR_NAMES.slice(i, i + 4);
    lines.push(row.map((name) => `${name.padEnd(3)} ${digits(cpu.gpr[name], 16)}`).join("  "));
  }
  const { cr0, cr2, cr3, cr4, efer } = cpu.control;
  lines.push(`rflags ${digits(cpu.rflags, 8)}  efer ${digits(efer, 4)}`);
  lines.push(
    `cr0 ${digits(cr0, 8)}  cr2 ${digits(cr2, 16)}  cr3 ${digits(cr3, 16)}  cr4 ${digits(cr4, 8)}`,
  );
  for (const name of SEGMENT_NAMES) {
    const { selector, base, limit, accessRights } = cpu.segment(name);
    const hidden = `base ${digits(base, 16)}  limit ${digits(limit, 8)}  rights ${digits(accessRights, 5)}`;
    lines.push(`${name.padEnd(4)} ${digits(selector, 4)}  ${hidden}`);
  }
  for (const name of ["gdtr", "idtr"] as const) {
    lines.push(
      `${name}       base ${digits(cpu[name].base, 16)}  limit ${digits(cpu[name].limit, 4)}`,
    );
  }
  return lines;
}

/** The entry that the delivery of an exception went through. */
function vectorEntry(machine: Machine, cpu: Vcpu, vector: number): string {
  const mode = modeName(cpu);
  const isReal = mode === "real mode";
  const size = isReal ? 4 : (cpu.control.efer & EFER_LMA) !== 0n ? 16 : 8;
  const offset = vector * size;
  const what = `${isReal ? "IVT" : "IDT"} entry ${vector}`;
  const { base, limit } = cpu.idtr;
  if (offset + size - 1 > limit) {
    return `${what} lies outside the table: IDTR base ${digits(base, 8)}, limit ${digits(limit, 4)}`;
  }
  const gpa = cpu.translate(base + BigInt(offset));
  if (gpa === undefined || gpa + BigInt(size) > BigInt(machine.memoryBytes)) {
    return `${what} at ${digits(base + BigInt(offset), 8)} is not mapped`;
  }
  const entry = new DataView(machine.readMemory(gpa, size).buffer);
  if (isReal)
    return `${what}: ${location(entry.getUint16(2, true), BigInt(entry.getUint16(0, true)))}`;
  const low = BigInt(entry.getUint16(0, true) | (entry.getUint16(6, true) << 16)) & 0xffffffffn;
  const high = size === 16 ? BigInt(entry.getUint32(8, true)) << 32n : 0n;
  const attributes = entry.getUint8(5);
  const gate = `type ${digits(attributes & 0x1f, 2)}, DPL ${(attributes >> 5) & 3}`;
  const presence = (attributes & 0x80) !== 0 ? "present" : "not present";
  return `${what}: ${location(entry.getUint16(2, true), low | high)}, ${gate}, ${presence}`;
}

function historyLines(history: readonly PastInstruction[]): string[] {
  if (history.length === 0) return [];
  const lines = history.map(({ apicId, cs, rip, bytes }) => {
    return `  CPU ${formatApicId(apicId)}  ${location(cs, rip)}  ${hexBytes(bytes)}`;
  });
  return ["Last instructions, oldest first (bytes from the first of each):", ...lines];
}

function digits(value: number | bigint, count: number): string {
  return value.toString(16).padStart(count, "0");
}

function hexBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => digits(byte, 2)).join(" ");
}
