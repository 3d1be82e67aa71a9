/**
 * The registers behind both interfaces: what a read gives and what a write does, for a register number.
 *
 * Sources: SDM 3A "Local APIC Register Address Map", "x2APIC Register Address Space"; KVM `__apic_read`,
 * `kvm_lapic_reg_write`, `kvm_lapic_readable_reg_mask`.
 */
import { DIRECTED_EOI_ABSENT, RESERVED_SDM } from "../abi";
import * as def from "../x86/apicdef";
import { Lapic, SOFTWARE_ENABLED } from "./lapic";
import { rebuild } from "./map";
import { policy } from "./policy";
import { eoi, writeTpr } from "./priority";
import { now } from "./time";
import { readTmcct, writeLvtTimer, writeTdcr, writeTmict } from "./timer";

// Valid bits of LVT entries, besides the timer mode.
const LVT_COMMON: u32 = 0x110ff; // vector, delivery status, mask
const LVT_WITH_MODE: u32 = 0x117ff;
const LVT_LINT: u32 = 0x1f7ff;
const SVR_BITS: u32 = 0x3ff;
/** Delivery status and remote IRR: read-only by the manual, stored by KVM. */
const LVT_READ_ONLY: u32 = 0x5000;

// Registers 00H..3FH that can be read, as bits: through both interfaces, and in xAPIC mode alone.
// prettier-ignore
const READABLE: u64 =
  ((<u64>1) << def.APIC_ID) | ((<u64>1) << def.APIC_VERSION) | ((<u64>1) << def.APIC_TPR) |
  ((<u64>1) << def.APIC_PPR) | ((<u64>1) << def.APIC_LDR) | ((<u64>1) << def.APIC_SVR) |
  ((<u64>0xffffff) << def.APIC_ISR) | ((<u64>1) << def.APIC_ESR) | ((<u64>1) << def.APIC_ICR_LOW) |
  ((<u64>0x3f) << def.APIC_LVT_TIMER) | ((<u64>1) << def.APIC_TMICT) | ((<u64>1) << def.APIC_TMCCT) |
  ((<u64>1) << def.APIC_TDCR);
const READABLE_XAPIC: u64 =
  ((<u64>1) << def.APIC_APR) | ((<u64>1) << def.APIC_DFR) | ((<u64>1) << def.APIC_ICR_HIGH);
/** Registers that exist but cannot be read, as KVM has it. */
const WRITE_ONLY: u64 = ((<u64>1) << def.APIC_EOI) | ((<u64>1) << def.APIC_RRD);

/** True when a register exists for reading. @param register - page offset / 16 */
export function isReadable(lapic: Lapic, register: u32): bool {
  if (register >= 64) return false;
  let mask = READABLE;
  if (!lapic.isX2apic) mask |= READABLE_XAPIC;
  if (policy.lvtCmci !== 0) mask |= (<u64>1) << def.APIC_LVT_CMCI;
  return ((mask >> register) & 1) !== 0;
}

/** True when the manual lists the register: an access to any other xAPIC register is an error. */
export function isListed(lapic: Lapic, register: u32): bool {
  return isReadable(lapic, register) || (register < 64 && ((WRITE_ONLY >> register) & 1) !== 0);
}

/** Reads a readable register; the x2APIC ICR is not read here. */
export function readRegister(lapic: Lapic, register: u32): u32 {
  if (register >= def.APIC_ISR && register < def.APIC_ESR) return readVectors(lapic, register);
  switch (register) {
    case def.APIC_ID:
      return lapic.isX2apic ? lapic.cpu.apicId : (<u32>lapic.xid) << 24;
    case def.APIC_VERSION:
      return version();
    case def.APIC_TPR:
      return lapic.tpr;
    case def.APIC_PPR:
      return lapic.ppr;
    case def.APIC_LDR:
      return lapic.ldr;
    case def.APIC_DFR:
      return lapic.dfr;
    case def.APIC_SVR:
      return lapic.svr;
    case def.APIC_ESR:
      return lapic.esr;
    case def.APIC_ICR_LOW:
      return lapic.icrLow;
    case def.APIC_ICR_HIGH:
      return lapic.icr2;
    case def.APIC_TMICT:
      return lapic.tmict;
    case def.APIC_TMCCT:
      return readTmcct(lapic, now());
    case def.APIC_TDCR:
      return lapic.tdcr;
    case def.APIC_APR: // Not modelled: arbitration priority; KVM reads 0
      return 0;
    default:
      return lapic.lvt(register);
  }
}

/** ISR, TMR and IRR: 24 registers in a row. */
function readVectors(lapic: Lapic, register: u32): u32 {
  const word = (<usize>(register & 7)) << 2;
  if (register >= def.APIC_IRR) return load<u32>(lapic.irr + word);
  if (register >= def.APIC_TMR) return load<u32>(lapic.tmr + word);
  return load<u32>(lapic.isr + word);
}

/** KVM `kvm_apic_set_version`: six LVT entries, seven with CMCI. */
function version(): u32 {
  const maxLvt: u32 = policy.lvtCmci !== 0 ? 6 : 5;
  const directed = hasDirectedEoi() ? def.VERSION_DIRECTED_EOI : 0;
  return def.VERSION_INTEGRATED | (maxLvt << 16) | directed;
}

/** SVR[12] exists. KVM ties it to x2APIC in CPUID. */
function hasDirectedEoi(): bool {
  return policy.directedEoi !== DIRECTED_EOI_ABSENT && policy.x2apic !== 0;
}

/** Valid bits of a register that `writeRegister` stores, 0 for any other. */
export function writableBits(register: u32): u32 {
  switch (register) {
    case def.APIC_TPR:
      return 0xff;
    case def.APIC_SVR:
      return SVR_BITS | (hasDirectedEoi() ? def.SVR_SUPPRESS_EOI_BROADCAST : 0);
    case def.APIC_TDCR:
      return 0xb;
    case def.APIC_TMICT:
      return 0xffffffff;
    case def.APIC_LVT_TIMER:
      return LVT_COMMON | (policy.tscDeadline !== 0 ? def.LVT_TIMER_MODE : def.LVT_TIMER_PERIODIC);
    case def.APIC_LVT_ERROR:
      return LVT_COMMON;
    case def.APIC_LVT_LINT0:
    case def.APIC_LVT_LINT1:
      return LVT_LINT;
    case def.APIC_LVT_CMCI:
      return policy.lvtCmci !== 0 ? LVT_WITH_MODE : 0;
    case def.APIC_LVT_THERMAL:
    case def.APIC_LVT_PERF:
      return LVT_WITH_MODE;
    default:
      return 0;
  }
}

/**
 * Writes a register that both interfaces store in the same way, dropping bits that do not exist.
 *
 * @returns false when there is no such register
 */
export function writeRegister(lapic: Lapic, register: u32, value: u32): bool {
  const bits = writableBits(register);
  if (bits === 0) {
    if (register !== def.APIC_EOI) return false;
    eoi(lapic);
    return true;
  }
  const stored = value & bits;
  switch (register) {
    case def.APIC_TPR:
      writeTpr(lapic, stored);
      return true;
    case def.APIC_SVR:
      writeSvr(lapic, stored);
      return true;
    case def.APIC_TDCR:
      writeTdcr(lapic, stored, now());
      return true;
    case def.APIC_TMICT:
      writeTmict(lapic, stored, now());
      return true;
    default:
      writeLvt(lapic, register, stored);
      return true;
  }
}

/** While SVR[8] is 0 every entry is masked; the mask bit stays when it becomes 1 again. */
function writeLvt(lapic: Lapic, register: u32, value: u32): void {
  const entry = lapic.isSoftwareEnabled ? value : value | def.LVT_MASKED;
  const stored = policy.reservedBits === RESERVED_SDM ? entry & ~LVT_READ_ONLY : entry;
  if (register === def.APIC_LVT_TIMER) writeLvtTimer(lapic, stored);
  else lapic.setLvt(register, stored);
}

function writeSvr(lapic: Lapic, value: u32): void {
  const wasEnabled = lapic.isSoftwareEnabled;
  storeSvr(lapic, value);
  if (lapic.isSoftwareEnabled !== wasEnabled) rebuild(lapic);
}

/** Stores SVR, already reduced to its valid bits, and what follows from it; the map is the caller's. */
export function storeSvr(lapic: Lapic, value: u32): void {
  lapic.svr = value;
  if ((value & def.SVR_ENABLED) !== 0) {
    lapic.flags |= SOFTWARE_ENABLED;
    return;
  }
  lapic.flags &= ~SOFTWARE_ENABLED;
  lapic.setLvt(def.APIC_LVT_CMCI, lapic.lvt(def.APIC_LVT_CMCI) | def.LVT_MASKED);
  for (let n = def.APIC_LVT_TIMER; n <= def.APIC_LVT_ERROR; n++)
    lapic.setLvt(n, lapic.lvt(n) | def.LVT_MASKED);
}

/** Moves the errors since the last write into the readable register. */
export function writeEsr(lapic: Lapic): void {
  lapic.esr = lapic.errors;
  lapic.errors = 0;
}
