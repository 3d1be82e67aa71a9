/** Memory operands wider than eight bytes. As in mem/access.ts, a write that faults changes nothing. */
import { checkWrite, read, refused, wrap, write } from "../mem/access";
import { tlbSlot, tlbRead, tlbWrite } from "../mem/tlb";
import { Vcpu } from "../vcpu";

const PAGE: u64 = ~(<u64>0xfff);

/** Reads 16 bytes. */
export function read16(cpu: Vcpu, gva: u64): v128 {
  const entry = tlbRead + tlbSlot(cpu, gva);
  if (load<u64>(entry) === (((gva + 15) & PAGE) | cpu.tlbTag)) {
    return v128.load(<usize>(<u32>gva + load<u32>(entry, 8)));
  }
  if (refused(cpu, gva, 16, 16, cpu.tlbTag)) return i64x2(0, 0);
  const low = read<u64>(cpu, gva);
  if (cpu.fault !== 0) return i64x2(0, 0);
  const high = read<u64>(cpu, wrap(cpu, gva + 8));
  return i64x2.replace_lane(i64x2.splat(low), 1, high);
}

/** Writes 16 bytes. */
export function write16(cpu: Vcpu, gva: u64, value: v128): void {
  const entry = tlbWrite + tlbSlot(cpu, gva);
  if (load<u64>(entry) === (((gva + 15) & PAGE) | cpu.tlbTag)) {
    v128.store(<usize>(<u32>gva + load<u32>(entry, 8)), value);
    return;
  }
  if (!checkWrite(cpu, gva, 16, 16)) return;
  write<u64>(cpu, gva, i64x2.extract_lane(value, 0));
  if (cpu.fault === 0) write<u64>(cpu, wrap(cpu, gva + 8), i64x2.extract_lane(value, 1));
}

/** Writes 10 bytes: an x87 register. */
export function write10(cpu: Vcpu, gva: u64, sig: u64, high: u32): void {
  if (!checkWrite(cpu, gva, 10, 8)) return;
  write<u64>(cpu, gva, sig);
  if (cpu.fault === 0) write<u16>(cpu, wrap(cpu, gva + 8), <u16>high);
}
