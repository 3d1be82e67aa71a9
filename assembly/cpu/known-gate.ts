/**
 * Gates of 64-bit handlers that were entered before, with the code segment that each names.
 *
 * An entry holds while table registers and address space are the same ones and no page was dropped, so that the gate and
 * the descriptor still lie where they did, and while both still have the bytes from which all the rest follows: those
 * are compared each time, and a changed table is honoured at once.
 */
import { CS } from "../abi";
import { translationKey } from "../mem/tlb";
import { Vcpu } from "../vcpu";
import { descriptorAr, descriptorBase, descriptorLimit } from "../x86/descriptor";
import { gdtHash } from "./descriptor-table";
import { clearedFlags, gateRip } from "./event-gate";
import { dplOf, putSegment } from "./segment";

const ENTRIES: u32 = 256;

@unmanaged
export class KnownGate {
  // What must be the same.
  private key: u64;
  private gdtrBase: u64;
  private idtrBase: u64;
  /** That of IDTR in the upper half, that of GDTR in the lower. */
  private limits: u64;
  private low: u64;
  private high: u64;
  private raw: u64;
  private gateHost: u32;
  private codeHost: u32;
  /** Level of the handler, at which the event must come. */
  private cpl: u32;
  // What follows from it.
  private limit: u32;
  private base: u64;
  /** Where the handler begins. */
  rip: u64;
  private ar: u32;
  private selector: u32;
  /** The flags that the gate leaves. */
  flags: u32;
  /** The least privilege with which INT n may go through it. */
  dpl: u32;

  /** The entry for a vector: not each has its own, since CPUs may have tables of their own. */
  @inline
  static of(cpu: Vcpu, vector: u32): KnownGate {
    const table = gdtHash(cpu) >> 24;
    return changetype<KnownGate>(
      entries + <usize>((vector ^ table) & (ENTRIES - 1)) * offsetof<KnownGate>(),
    );
  }

  /** True when all is as it was, and the vCPU at the level of the handler. With the GDT the vector is the same, too. */
  @inline
  holds(cpu: Vcpu): bool {
    const place =
      (this.key ^ translationKey(cpu.asid)) |
      (this.gdtrBase ^ cpu.gdtrBase) |
      (this.idtrBase ^ cpu.idtrBase) |
      (this.limits ^ limitsOf(cpu)) |
      (this.cpl ^ cpu.cpl);
    if (place !== 0) return false;
    const bytes =
      (this.low ^ load<u64>(this.gateHost)) |
      (this.high ^ load<u64>(this.gateHost, 8)) |
      (this.raw ^ load<u64>(this.codeHost));
    return bytes === 0;
  }

  /**
   * Takes in a gate that passed all checks, to a handler of the present level on the present stack.
   *
   * @param gateHost, codeHost - where gate and code descriptor lie
   */
  take(cpu: Vcpu, gateHost: usize, codeHost: usize): void {
    this.key = translationKey(cpu.asid);
    this.gdtrBase = cpu.gdtrBase;
    this.idtrBase = cpu.idtrBase;
    this.limits = limitsOf(cpu);
    this.cpl = cpu.cpl;
    this.low = load<u64>(gateHost);
    this.high = load<u64>(gateHost, 8);
    this.raw = load<u64>(codeHost);
    this.gateHost = <u32>gateHost;
    this.codeHost = <u32>codeHost;
    this.rip = gateRip(this.low, this.high);
    this.flags = ~clearedFlags(this.low);
    this.dpl = dplOf(<u32>(this.low >> 40));
    // The RPL of a gate's selector counts for nothing.
    this.selector = (<u32>(this.low >> 16) & 0xfffc) | cpu.cpl;
    this.base = descriptorBase(this.raw);
    this.limit = descriptorLimit(this.raw);
    this.ar = descriptorAr(this.raw);
  }

  /** Loads CS as the gate says. */
  @inline
  loadCode(cpu: Vcpu): void {
    putSegment(cpu.segment(CS), this.selector, this.base, this.limit, this.ar);
  }
}

/** @inline */
function limitsOf(cpu: Vcpu): u64 {
  return ((<u64>cpu.idtrLimit) << 32) | cpu.gdtrLimit;
}

// An entry of zeros has a key that is nobody's.
const entries: usize = memory.data(26624, 8);
if (ENTRIES * offsetof<KnownGate>() !== 26624) ERROR("KnownGate: size of its memory");
