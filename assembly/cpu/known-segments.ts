/**
 * Pairs of code and stack segment that an IRETQ has returned to before, at one privilege level of 64-bit code.
 *
 * An entry holds under the conditions of known-gate.ts; the bytes that are compared are those of the two descriptors.
 */
import { CS, SS } from "../abi";
import { translationKey } from "../mem/tlb";
import { Vcpu } from "../vcpu";
import { gdtHash } from "./descriptor-table";
import { putSegment } from "./segment";

const ENTRIES: u32 = 64;

@unmanaged
export class KnownSegments {
  // What must be the same.
  private key: u64;
  private gdtrBase: u64;
  private codeRaw: u64;
  private stackRaw: u64;
  // What follows from it.
  private codeBase: u64;
  private stackBase: u64;
  private codeLimit: u32;
  private codeAr: u32;
  private stackLimit: u32;
  private stackAr: u32;
  private codeHost: u32;
  private stackHost: u32;
  /** Those of CS in bits 15:0 and SS in 31:16. */
  private selectors: u32;
  private gdtrLimit: u32;

  /** @param selectors - that of CS in bits 15:0, that of SS in 31:16 */
  @inline
  static of(cpu: Vcpu, selectors: u32): KnownSegments {
    const table = gdtHash(cpu) >> 26;
    return changetype<KnownSegments>(
      entries + <usize>(((selectors >> 3) ^ table) & (ENTRIES - 1)) * offsetof<KnownSegments>(),
    );
  }

  /** True when all is as it was, and the vCPU at the level of the segments. */
  @inline
  hold(cpu: Vcpu, selectors: u32): bool {
    const place =
      (this.key ^ translationKey(cpu.asid)) |
      (this.gdtrBase ^ cpu.gdtrBase) |
      (this.gdtrLimit ^ cpu.gdtrLimit) |
      (this.selectors ^ selectors) |
      ((selectors & 3) ^ cpu.cpl);
    if (place !== 0) return false;
    const bytes =
      (this.codeRaw ^ load<u64>(this.codeHost)) | (this.stackRaw ^ load<u64>(this.stackHost));
    return bytes === 0;
  }

  /** Takes in what CS and SS hold after their descriptors passed all checks. @param stackHost - 0: SS is null */
  take(cpu: Vcpu, selectors: u32, codeHost: usize, stackHost: usize): void {
    const cs = cpu.segment(CS);
    const ss = cpu.segment(SS);
    this.key = translationKey(cpu.asid);
    this.gdtrBase = cpu.gdtrBase;
    this.gdtrLimit = cpu.gdtrLimit;
    this.selectors = selectors;
    // A null selector has no descriptor that could change: that of CS stands in for it.
    this.stackHost = <u32>(stackHost !== 0 ? stackHost : codeHost);
    this.codeHost = <u32>codeHost;
    this.codeRaw = load<u64>(this.codeHost);
    this.stackRaw = load<u64>(this.stackHost);
    this.codeBase = cs.base;
    this.codeLimit = cs.limit;
    this.codeAr = cs.ar;
    this.stackBase = ss.base;
    this.stackLimit = ss.limit;
    this.stackAr = ss.ar;
  }

  /** Loads CS and SS. */
  @inline
  load(cpu: Vcpu): void {
    const code = cpu.segment(CS);
    putSegment(code, this.selectors & 0xffff, this.codeBase, this.codeLimit, this.codeAr);
    const stack = cpu.segment(SS);
    putSegment(stack, this.selectors >> 16, this.stackBase, this.stackLimit, this.stackAr);
  }
}

// An entry of zeros has a key that is nobody's.
const entries: usize = memory.data(5120, 8);
if (ENTRIES * offsetof<KnownSegments>() !== 5120) ERROR("KnownSegments: size of its memory");
