/** Puts the boot CPU where a loader wants it, through the same registers that everyone can reach. */
import type { CpuStart } from "./loaders/image.js";
import { GPR_NAMES, type Vcpu } from "./vcpu.js";

const CR0_PE = 1n;
const CR0_AFTER_RESET = 0x60000010n;
const CR0_ET = 0x10n; // caches on, unlike after power-up
const RFLAGS_FIXED = 2n;

// Access rights as the VMX guest state has them: type, S, present; D/B and G for the flat 32-bit ones.
const REAL_DATA = 0x0093;
const REAL_CODE = 0x009b;
const FLAT_DATA = 0xc093;
const FLAT_CODE = 0xc09b;

const LONG_CODE = 0xa09b;

const CR0_PG = 0x80000000n;
const CR4_PAE = 0x20n;
const EFER_LME_LMA = 0x500n;
const IA32_APIC_BASE = 0x1b;
/** EXTD, EN and BSP at the usual address. */
const X2APIC_BASE = 0xfee00d00n;

const DATA_SEGMENTS = ["ds", "es", "fs", "gs", "ss"] as const;

/**
 * The machine was just made, or runs between two instructions: registers that `start` does not name become 0.
 *
 * @param signature - CPUID.1:EAX, which a reset leaves in EDX
 */
export function startBootCpu(cpu: Vcpu, start: CpuStart, signature: number): void {
  for (const name of GPR_NAMES) cpu.gpr[name] = 0n;
  cpu.rflags = RFLAGS_FIXED;
  if (start.mode === "reset") startAtReset(cpu, signature);
  else if (start.mode === "real") startReal(cpu, start);
  else if (start.mode === "protected") startProtected(cpu, start);
  else if (start.mode === "linux32") startLinux32(cpu, start);
  else startLong(cpu, start);
}

/** SDM 3A "Processor State After Reset". */
function startAtReset(cpu: Vcpu, signature: number): void {
  cpu.control.cr0 = CR0_AFTER_RESET;
  for (const name of DATA_SEGMENTS) {
    cpu.setSegment(name, { selector: 0, base: 0n, limit: 0xffff, accessRights: REAL_DATA });
  }
  const base = 0xffff0000n;
  cpu.setSegment("cs", { selector: 0xf000, base, limit: 0xffff, accessRights: REAL_CODE });
  cpu.gdtr = { base: 0n, limit: 0xffff };
  cpu.idtr = { base: 0n, limit: 0xffff };
  cpu.gpr.rdx = BigInt(signature);
  cpu.rip = 0xfff0n;
}

/** As a BIOS leaves it: interrupt vectors at 0, stack below the code. */
function startReal(cpu: Vcpu, start: Extract<CpuStart, { mode: "real" }>): void {
  cpu.control.cr0 = CR0_ET;
  for (const name of DATA_SEGMENTS) {
    cpu.setSegment(name, { selector: 0, base: 0n, limit: 0xffff, accessRights: REAL_DATA });
  }
  const base = BigInt(start.cs * 16);
  cpu.setSegment("cs", { selector: start.cs, base, limit: 0xffff, accessRights: REAL_CODE });
  cpu.idtr = { base: 0n, limit: 0x3ff };
  cpu.gpr.rdx = BigInt(start.dl);
  cpu.gpr.rsp = BigInt(start.sp);
  cpu.rip = BigInt(start.ip);
}

/** Multiboot Specification "Machine state": flat 32-bit segments, paging off, tables not to be relied on. */
function startProtected(cpu: Vcpu, start: Extract<CpuStart, { mode: "protected" }>): void {
  cpu.control.cr0 = CR0_ET | CR0_PE;
  for (const name of DATA_SEGMENTS) {
    cpu.setSegment(name, { selector: 0x10, base: 0n, limit: 0xffffffff, accessRights: FLAT_DATA });
  }
  cpu.setSegment("cs", { selector: 0x08, base: 0n, limit: 0xffffffff, accessRights: FLAT_CODE });
  cpu.gdtr = { base: 0n, limit: 0 };
  cpu.idtr = { base: 0n, limit: 0 };
  cpu.gpr.rax = BigInt(start.eax);
  cpu.gpr.rbx = BigInt(start.ebx);
  cpu.rip = BigInt(start.eip);
}

/** Linux Documentation/x86/boot.rst "32-bit Boot Protocol". */
function startLinux32(cpu: Vcpu, start: Extract<CpuStart, { mode: "linux32" }>): void {
  startProtected(cpu, { mode: "protected", eip: start.eip, eax: 0, ebx: 0 });
  cpu.gdtr = { base: BigInt(start.gdt), limit: 0x1f };
  for (const name of DATA_SEGMENTS) cpu.setSegment(name, { selector: 0x18 });
  cpu.setSegment("cs", { selector: 0x10 });
  cpu.gpr.rsi = BigInt(start.rsi);
}

/** Linux Documentation/x86/boot.rst "64-bit Boot Protocol". */
function startLong(cpu: Vcpu, start: Extract<CpuStart, { mode: "long" }>): void {
  cpu.gdtr = { base: BigInt(start.gdt), limit: 0x1f };
  cpu.idtr = { base: 0n, limit: 0 };
  cpu.control.efer = EFER_LME_LMA;
  cpu.control.cr4 = CR4_PAE;
  cpu.control.cr3 = BigInt(start.cr3);
  cpu.control.cr0 = CR0_ET | CR0_PE | CR0_PG;
  for (const name of DATA_SEGMENTS) {
    cpu.setSegment(name, { selector: 0x18, base: 0n, limit: 0xffffffff, accessRights: FLAT_DATA });
  }
  cpu.setSegment("cs", { selector: 0x10, base: 0n, limit: 0xffffffff, accessRights: LONG_CODE });
  cpu.gpr.rsi = BigInt(start.rsi);
  cpu.rip = BigInt(start.rip);
  cpu.writeMsr(IA32_APIC_BASE, X2APIC_BASE);
}
