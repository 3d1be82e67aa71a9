/**
 * What memory asks of the layers above it. `mem` imports none of them: cpu/ and vm/ fill these in at creation.
 */
import { Vcpu } from "../vcpu";

function unset(cpu: Vcpu, offset: u32, size: u32): u32 {
  return 0xffffffff;
}
function unsetWrite(cpu: Vcpu, offset: u32, size: u32, value: u32): void {}
function unsetCode(gpa: u32, length: u32): void {}
function unsetLine(gpa: u32): void {}
function unsetAccess(cpu: Vcpu, gva: u64, size: u32, isWrite: bool): void {}

/** Reads the xAPIC page of `cpu`. @param offset - 0..4095; @param size - 1, 2 or 4 */
export let apicPageRead: (cpu: Vcpu, offset: u32, size: u32) => u32 = unset;
/** Writes the xAPIC page of `cpu`. */
export let apicPageWrite: (cpu: Vcpu, offset: u32, size: u32, value: u32) => void = unsetWrite;
/** Told before bytes that belong to decoded code change. */
export let codeWritten: (gpa: u32, length: u32) => void = unsetCode;
/** Told before a line that MONITOR watches changes. */
export let lineWritten: (gpa: u32) => void = unsetLine;
/** Told of each access while data breakpoints are enabled. */
export let dataAccess: (cpu: Vcpu, gva: u64, size: u32, isWrite: bool) => void = unsetAccess;

export function setApicPage(
  read: (cpu: Vcpu, offset: u32, size: u32) => u32,
  write: (cpu: Vcpu, offset: u32, size: u32, value: u32) => void,
): void {
  apicPageRead = read;
  apicPageWrite = write;
}

export function setCodeWritten(hook: (gpa: u32, length: u32) => void): void {
  codeWritten = hook;
}

export function setLineWritten(hook: (gpa: u32) => void): void {
  lineWritten = hook;
}

export function setDataAccess(hook: (cpu: Vcpu, gva: u64, size: u32, isWrite: bool) => void): void {
  dataAccess = hook;
}
