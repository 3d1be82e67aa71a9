/**
 * Control registers.
 *
 *     0F 20 movFromCr   0F 22 movToCr   0F 06 clts   0F 01 /4 smsw   0F 01 /6 lmsw
 *
 * Source: SDM 2B "MOV—Move to/from Control Registers"; SDM 3A "Control Registers", "Initializing IA-32e Mode".
 * `setCr0` .. `setCr4` hold the rules for values; the instructions add privilege. A rule that is broken gives #GP(0)
 * and changes nothing.
 */
import { CS, TR } from "../abi";
import { raise, raiseWithError } from "../fault";
import { readEntry } from "../mem/physical";
import { flushTlb } from "../mem/space";
import { Vcpu } from "../vcpu";
import {
  CR0_AM,
  CR0_CD,
  CR0_EM,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR0_WP,
  CR4_DE,
  CR4_FSGSBASE,
  CR4_MCE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_OSXSAVE,
  CR4_PAE,
  CR4_PCE,
  CR4_PCIDE,
  CR4_PGE,
  CR4_PSE,
  CR4_PVI,
  CR4_SMAP,
  CR4_SMEP,
  CR4_TSD,
  CR4_UMIP,
  CR4_VME,
  EFER_LMA,
  EFER_LME,
  MAXPHYADDR,
} from "../x86/cr";
import * as feature from "../x86/cpuid";
import { AR_L, AR_TYPE, TSS16_BUSY } from "../x86/descriptor";
import { GP, UD } from "../x86/exception";
import { leaveBlock } from "./control";
import { offerings, offers } from "./features";
import { is64, isLong, updateMode } from "./mode";
import { ADDRESS_NONE, Op } from "./op";
import { readRm, setRegister, writeRm } from "./operand";
import { cr8Read, cr8Write } from "./platform";

const CR0_KNOWN: u64 =
  CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;
const CR3_NO_FLUSH: u64 = 1 << 63;
const ABOVE_PHYSICAL: u64 = ~(((<u64>1) << MAXPHYADDR) - 1);
/** Bits of a present PDPTE that must be 0: SDM 3A "PDPTE Registers". */
const PDPTE_RESERVED: u64 = 0x1e6 | ABOVE_PHYSICAL;
const PDPTE_P: u64 = 1;

/** MOV r, CRn. */
export function movFromCr(cpu: Vcpu, op: Op): void {
  const n = op.regNumber;
  if (n > 8 || n === 1 || (n >= 5 && n <= 7)) {
    raise(cpu, UD);
    return;
  }
  if (cpu.cpl !== 0) {
    raiseWithError(cpu, GP, 0);
    return;
  }
  let value: u64;
  if (n === 0) value = cpu.cr0;
  else if (n === 2) value = cpu.cr2;
  else if (n === 3) value = cpu.cr3;
  else if (n === 4) value = cpu.cr4;
  else value = cr8Read(cpu);
  if (is64(cpu)) setRegister<u64>(cpu, op.rm, value);
  else setRegister<u32>(cpu, op.rm, <u32>value);
}

/** MOV CRn, r. */
export function movToCr(cpu: Vcpu, op: Op): void {
  const n = op.regNumber;
  if (n > 8 || n === 1 || (n >= 5 && n <= 7)) {
    raise(cpu, UD);
    return;
  }
  if (cpu.cpl !== 0) {
    raiseWithError(cpu, GP, 0);
    return;
  }
  let value = load<u64>(changetype<usize>(cpu) + op.rm);
  if (!is64(cpu)) value &= 0xffffffff;
  const mode = cpu.mode;
  const tag = cpu.tlbTag;
  const epoch = cpu.asidEpoch;
  let ok = true;
  if (n === 0) ok = setCr0(cpu, value);
  else if (n === 2) cpu.cr2 = value;
  else if (n === 3) ok = setCr3(cpu, value);
  else if (n === 4) ok = setCr4(cpu, value);
  else ok = setCr8(cpu, value);
  if (!ok) raiseWithError(cpu, GP, 0);
  // Elsewhere the code behind it is what it was, where it was. (CR8 sees to itself.)
  else if (n === 0 || mode !== cpu.mode || tag !== cpu.tlbTag || epoch !== cpu.asidEpoch)
    leaveBlock();
}

/** Reads the four PDPTEs that `cr3` points at. @returns false when a reserved bit is set; nothing is loaded then */
function loadPdptes(cpu: Vcpu, cr3: u64): bool {
  const table = cr3 & 0xffffffe0;
  const p0 = readEntry<u64>(table);
  const p1 = readEntry<u64>(table + 8);
  const p2 = readEntry<u64>(table + 16);
  const p3 = readEntry<u64>(table + 24);
  if (reservedPdpte(p0) || reservedPdpte(p1) || reservedPdpte(p2) || reservedPdpte(p3))
    return false;
  cpu.pdpte0 = p0;
  cpu.pdpte1 = p1;
  cpu.pdpte2 = p2;
  cpu.pdpte3 = p3;
  return true;
}

/** Loads the PDPTEs if the registers, which the host has just set, ask for PAE paging; reserved bits are its own fault. */
export function syncPdptes(cpu: Vcpu): void {
  if (usesPdptes(cpu.cr0, cpu.cr4, cpu.efer)) loadPdptes(cpu, cpu.cr3);
}

function reservedPdpte(entry: u64): bool {
  return (entry & PDPTE_P) !== 0 && (entry & PDPTE_RESERVED) !== 0;
}

/** PAE paging, as opposed to 4-level, under these register values. */
function usesPdptes(cr0: u64, cr4: u64, efer: u64): bool {
  return (cr0 & CR0_PG) !== 0 && (cr4 & CR4_PAE) !== 0 && !(efer & EFER_LMA);
}

/**
 * Writes CR0. Reserved bits 31:0 are ignored and ET stays 1.
 *
 * @returns false for #GP: bits 63:32; PG without PE; NW without CD; IA-32e activation without PAE, with CS.L or with a
 * 16-bit TSS; PG cleared in 64-bit mode or with PCIDE; a reserved bit in a PDPTE
 */
export function setCr0(cpu: Vcpu, value: u64): bool {
  if (value >> 32) return false;
  if (value & CR0_PG && !(value & CR0_PE)) return false;
  if (value & CR0_NW && !(value & CR0_CD)) return false;
  const cr0 = (value & CR0_KNOWN) | CR0_ET;
  const changed = cr0 ^ cpu.cr0;
  let efer = cpu.efer;
  if (changed & CR0_PG) {
    if (cr0 & CR0_PG) {
      if (efer & EFER_LME) {
        if (!(cpu.cr4 & CR4_PAE) || cpu.segment(CS).ar & AR_L) return false;
        if ((cpu.segment(TR).ar & AR_TYPE) === TSS16_BUSY) return false;
        efer |= EFER_LMA;
      }
    } else {
      if (is64(cpu) || cpu.cr4 & CR4_PCIDE) return false;
      efer &= ~EFER_LMA;
    }
  }
  if (changed & (CR0_PG | CR0_CD | CR0_NW) && usesPdptes(cr0, cpu.cr4, efer)) {
    if (!loadPdptes(cpu, cpu.cr3)) return false;
  }
  cpu.cr0 = cr0;
  cpu.efer = efer;
  if (changed & (CR0_PG | CR0_PE | CR0_WP)) flushTlb(cpu);
  updateMode(cpu);
  return true;
}

/**
 * Writes CR3 and drops the TLB entries of this vCPU; all of them, since a PCID only allows to keep some.
 *
 * @returns false for #GP: bits above MAXPHYADDR in IA-32e mode (bit 63 is allowed with PCIDE); a reserved bit in a PDPTE
 */
export function setCr3(cpu: Vcpu, value: u64): bool {
  let cr3 = value;
  if (cpu.cr4 & CR4_PCIDE) cr3 &= ~CR3_NO_FLUSH;
  if (isLong(cpu)) {
    if (cr3 & ABOVE_PHYSICAL) return false;
  } else if (usesPdptes(cpu.cr0, cpu.cr4, cpu.efer) && !loadPdptes(cpu, cr3)) return false;
  cpu.cr3 = cr3;
  flushTlb(cpu);
  return true;
}

/** What `offeredCr4` gave, and for which `offerings`. */
let cr4Valid: u64 = 0;
let cr4ValidFor: u32 = 0;

/** CR4 bits that may be set: each belongs to a feature. */
function validCr4(): u64 {
  if (cr4ValidFor !== offerings) {
    cr4Valid = offeredCr4();
    cr4ValidFor = offerings;
  }
  return cr4Valid;
}

function offeredCr4(): u64 {
  let valid = CR4_PCE;
  if (offers(feature.FEATURE_VME)) valid |= CR4_VME | CR4_PVI;
  if (offers(feature.FEATURE_TSC)) valid |= CR4_TSD;
  if (offers(feature.FEATURE_DE)) valid |= CR4_DE;
  if (offers(feature.FEATURE_PSE)) valid |= CR4_PSE;
  if (offers(feature.FEATURE_PAE)) valid |= CR4_PAE;
  if (offers(feature.FEATURE_MCE)) valid |= CR4_MCE;
  if (offers(feature.FEATURE_PGE)) valid |= CR4_PGE;
  if (offers(feature.FEATURE_FXSR)) valid |= CR4_OSFXSR;
  if (offers(feature.FEATURE_SSE)) valid |= CR4_OSXMMEXCPT;
  if (offers(feature.FEATURE_UMIP)) valid |= CR4_UMIP;
  if (offers(feature.FEATURE_FSGSBASE)) valid |= CR4_FSGSBASE;
  if (offers(feature.FEATURE_PCID)) valid |= CR4_PCIDE;
  if (offers(feature.FEATURE_XSAVE)) valid |= CR4_OSXSAVE;
  if (offers(feature.FEATURE_SMEP)) valid |= CR4_SMEP;
  if (offers(feature.FEATURE_SMAP)) valid |= CR4_SMAP;
  return valid;
}

/**
 * Writes CR4.
 *
 * @returns false for #GP: a bit whose feature is not offered; PAE cleared in IA-32e mode; PCIDE set outside IA-32e mode
 * or with CR3[11:0] not 0; a reserved bit in a PDPTE
 */
export function setCr4(cpu: Vcpu, value: u64): bool {
  if (value & ~validCr4()) return false;
  const changed = value ^ cpu.cr4;
  if (isLong(cpu) && !(value & CR4_PAE)) return false;
  if (changed & value & CR4_PCIDE && (!isLong(cpu) || cpu.cr3 & 0xfff)) return false;
  const paging = CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP;
  if (changed & paging && usesPdptes(cpu.cr0, value, cpu.efer) && !loadPdptes(cpu, cpu.cr3))
    return false;
  cpu.cr4 = value;
  if (changed & (paging | CR4_SMAP | CR4_PCIDE)) flushTlb(cpu);
  updateMode(cpu);
  return true;
}

/** Writes CR8, the task priority class. @returns false for #GP: bits 63:4 */
export function setCr8(cpu: Vcpu, value: u64): bool {
  if (value > 15) return false;
  cr8Write(cpu, value);
  return true;
}

/** CLTS. */
export function clts(cpu: Vcpu, op: Op): void {
  if (cpu.cpl !== 0) {
    raiseWithError(cpu, GP, 0);
    return;
  }
  cpu.cr0 &= ~CR0_TS;
  updateMode(cpu);
  leaveBlock();
}

/** True, with #GP(0) raised, when CR4.UMIP keeps user code from SGDT, SIDT, SLDT, SMSW and STR. */
export function userPrevented(cpu: Vcpu): bool {
  if (!(cpu.cr4 & CR4_UMIP) || cpu.cpl === 0) return false;
  raiseWithError(cpu, GP, 0);
  return true;
}

/** SMSW r/m: all of CR0 to a register of the operand's size, or 16 bits to memory. */
export function smsw(cpu: Vcpu, op: Op): void {
  if (userPrevented(cpu)) return;
  if (op.kind !== ADDRESS_NONE || op.size === 2) writeRm<u16>(cpu, op, <u16>cpu.cr0);
  else if (op.size === 4) writeRm<u32>(cpu, op, <u32>cpu.cr0);
  else writeRm<u64>(cpu, op, cpu.cr0);
}

/** LMSW r/m16: PE, MP, EM, TS; PE can be set, not cleared. */
export function lmsw(cpu: Vcpu, op: Op): void {
  if (cpu.cpl !== 0) {
    raiseWithError(cpu, GP, 0);
    return;
  }
  const value = <u64>readRm<u16>(cpu, op);
  if (cpu.fault !== 0) return;
  const low = CR0_PE | CR0_MP | CR0_EM | CR0_TS;
  if (!setCr0(cpu, (cpu.cr0 & ~(low & ~CR0_PE)) | (value & low))) raiseWithError(cpu, GP, 0);
  else leaveBlock();
}
