/**
 * The world that every vector was recorded in: windows of memory, selectors and segments per mode.
 *
 * The same numbers stand in generate/vector.h and generate/execute.c. All code runs at CPL 3 with paging on, CR0.AM,
 * CR0.NE and CR0.WP set, CR4.OSFXSR, CR4.OSXMMEXCPT and CR4.OSXSAVE set, XCR0 3 and EFER.NXE on; what is not a window is
 * not present.
 */
import type { CpuState } from "./state.js";

export type Mode = 16 | 32 | 64;

export const PAGE_BYTES = 4096;
export const CODE = 0x00500000;
export const DATA = 0x00600000;
export const STACK = 0x00700000;

export interface Window {
  address: number;
  length: number;
  writable: boolean;
  executable: boolean;
}

/** Everything that is mapped; the vectors may write to the writable windows other than the code. */
export const WINDOWS: readonly Window[] = [
  { address: CODE, length: 2 * PAGE_BYTES, writable: true, executable: true },
  { address: DATA, length: 2 * PAGE_BYTES, writable: true, executable: false },
  { address: DATA + 2 * PAGE_BYTES, length: PAGE_BYTES, writable: false, executable: false },
  { address: STACK, length: PAGE_BYTES, writable: true, executable: false },
];

/** Segment with its hidden part; `ar` as in the VMX guest state: type 3:0, S 4, DPL 6:5, P 7, L 13, D/B 14, G 15. */
export interface Segment {
  selector: number;
  base: number;
  limit: number;
  ar: number;
}

const UNUSABLE = 1 << 16;
const CODE_32 = 0xc0fb;
const CODE_64 = 0xa0fb;
const DATA_32 = 0xc0f3;
const CODE_16 = 0x00fb;
const DATA_16 = 0x00f3;
const DATA_BYTES_32 = 0x40f3;
const EXPAND_DOWN_32 = 0x40f7;

const nullSegment = (base = 0): Segment => ({ selector: 0, base, limit: 0, ar: UNUSABLE });
const flat32: Segment = { selector: 0x17, base: 0, limit: 0xffffffff, ar: DATA_32 };
const data16: Segment = { selector: 0x27, base: DATA - 0x4000, limit: 0xffff, ar: DATA_16 };
const limited: Segment = { selector: 0x37, base: DATA - 0x1000, limit: 0x1fff, ar: DATA_BYTES_32 };
const expandDown: Segment = {
  selector: 0x3f,
  base: DATA - 0x10000,
  limit: 0x107ff,
  ar: EXPAND_DOWN_32,
};

/** ES, CS, SS, DS, FS, GS at the start of a vector, by mode. */
export const SEGMENTS: Record<Mode, readonly Segment[]> = {
  16: [
    data16,
    { selector: 0x1f, base: CODE, limit: 0xffff, ar: CODE_16 },
    { selector: 0x2f, base: STACK - 0x8000, limit: 0xffff, ar: DATA_16 },
    data16,
    limited,
    expandDown,
  ],
  32: [
    flat32,
    { selector: 0x0f, base: 0, limit: 0xffffffff, ar: CODE_32 },
    flat32,
    flat32,
    limited,
    expandDown,
  ],
  64: [
    nullSegment(),
    { selector: 0x33, base: 0, limit: 0xffffffff, ar: CODE_64 },
    { selector: 0x2b, base: 0, limit: 0xffffffff, ar: DATA_32 },
    nullSegment(),
    nullSegment(),
    nullSegment(0x00580000),
  ],
};

/** The LDT of the recording process: selector 0x0f is entry 1; entries 11, 14 and 15 are empty. */
export const LDT: readonly bigint[] = [
  0n,
  0x00cffb000000ffffn, // 0f: 32-bit code, flat
  0x00cff3000000ffffn, // 17: 32-bit data, flat
  0x0000fb500000ffffn, // 1f: 16-bit code
  0x0000f35fc000ffffn, // 27: 16-bit data
  0x0000f36f8000ffffn, // 2f: 16-bit stack
  0x0040f35ff0001fffn, // 37: data, limit inside the window
  0x0041f75f000007ffn, // 3f: expand-down data, valid above 0x107ff
  0x0040f16000000fffn, // 47: read-only data
  0x004ff9500000ffffn, // 4f: execute-only code
  0x0040736000000fffn, // 57: data, not present
  0n,
  0x0040fb5000000bffn, // 67: 32-bit code, its end inside the window
  0x0000fb5000000bffn, // 6f: 16-bit code, its end inside the window
  0n,
  0n,
  0x0041f76f000007ffn, // 87: expand-down 32-bit stack, valid above 0x107ff
  0x0000f76f800087ffn, // 8f: expand-down 16-bit stack, valid above 0x87ff
  0x0000f75fc00047ffn, // 97: expand-down 16-bit data, valid above 0x47ff
  0x0000f36f80008bffn, // 9f: 16-bit stack, its end inside the window
  0x0040f36ff80013ffn, // a7: 32-bit stack, its end inside the window
  0x00cff3600080ffffn, // af: 32-bit data, 4 GiB from a base
];

/** The segment that a selector of the LDT stands for. */
function describedBy(selector: number): Segment {
  const raw = LDT[selector >> 3]!;
  const bits = (at: bigint, count: bigint) => Number((raw >> at) & ((1n << count) - 1n));
  const ar = bits(40n, 8n) | (bits(52n, 4n) << 12);
  const limit = bits(0n, 16n) | (bits(48n, 4n) << 16);
  return {
    selector,
    base: (bits(16n, 24n) | (bits(56n, 8n) << 24)) >>> 0,
    limit: ar & 0x8000 ? ((limit << 12) | 0xfff) >>> 0 : limit,
    ar,
  };
}

/** The six segments of a state at the start of a vector. */
export function segmentsOf(mode: Mode, selectors: ArrayLike<number>): readonly Segment[] {
  return SEGMENTS[mode].map((usual, i) => {
    const selector = selectors[i]!;
    if (selector === usual.selector) return usual;
    return selector === 0 ? nullSegment() : describedBy(selector);
  });
}

/** Linear address of the instruction of a state. */
export function codeAddress(mode: Mode, state: CpuState): number {
  return Number(state.rip) + segmentsOf(mode, state.segments)[1]!.base;
}
