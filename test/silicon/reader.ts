/** Reads a vector file (FORMAT.md): header, then one record per vector holding what differs from a seeded state. */
import type { Mode } from "./environment.js";
import { hashName, seedState, type Profile } from "./seeded-state.js";
import {
  copyState,
  FX_FCW,
  FX_FSW,
  FX_FTW,
  FX_MXCSR,
  FX_ST,
  FX_XMM,
  type CpuState,
} from "./state.js";

/** How results that the manual gives only an accuracy for are compared. */
export type Tolerance = "reciprocal" | "transcendental";

export interface SiliconForm {
  name: string;
  mode: Mode;
  profile: Profile;
  /** RFLAGS bits that the manual leaves undefined after this form. */
  undefined: number;
  /** Bits of the x87 status word that the manual leaves undefined after this form. */
  undefinedStatus: number;
  /** A repeated string instruction: one step may be one iteration. */
  repeats: boolean;
  count: number;
  tolerance?: Tolerance;
}

/** Bytes at a linear address. */
export interface Patch {
  address: number;
  bytes: Uint8Array;
}

export interface Trap {
  vector: number;
  errorCode: number;
  /** Of a page fault. */
  cr2?: bigint;
}

export interface SiliconVector {
  form: SiliconForm;
  /** Position among the form's vectors. */
  index: number;
  /** The instruction. */
  bytes: Uint8Array;
  mode: Mode;
  before: CpuState;
  /** Memory before, where it is not the windows' pattern. */
  memoryBefore: Patch[];
  after: CpuState;
  /** Memory that the instruction changed; everything else stays. */
  memoryAfter: Patch[];
  /** Memory whose outcome is not said. */
  memoryIgnored: { address: number; length: number }[];
  /** RFLAGS bits to compare. */
  flagMask: number;
  trap?: Trap;
}

export interface SiliconFile {
  cpu: string;
  forms: SiliconForm[];
  vectors(): Generator<SiliconVector>;
}

const END = 0;
const RIP = 1;
const FLAGS16 = 2;
const FLAGS32 = 3;
const UNDEFINED = 4;
const TRAP = 5;
const CR2 = 6;
const CR2_64 = 7;
const MEMORY = 8;
const MXCSR = 9;
const FCW = 10;
const FSW = 11;
const FTW = 12;
const SEGMENT = 13;
const IGNORED = 14;
const XMM = 0x10;
const GPR = 0x40;
const ST = 0x80;

/** CF PF AF ZF SF DF OF NT AC ID: what user code can change and read back. */
export const COMPARED_FLAGS = 0x244cd5;

const decoder = new TextDecoder();

/** Takes items of one record half and puts them into a state. */
class Cursor {
  at = 0;
  private readonly view: DataView;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(): number {
    return this.view.getUint8(this.at++);
  }

  u16(): number {
    this.at += 2;
    return this.view.getUint16(this.at - 2, true);
  }

  u32(): number {
    this.at += 4;
    return this.view.getUint32(this.at - 4, true);
  }

  u64(): bigint {
    this.at += 8;
    return this.view.getBigUint64(this.at - 8, true);
  }

  take(length: number): Uint8Array {
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  /** A number of 1, 2, 4 or 8 bytes, sign-extended to 64. @param size - log2 of the bytes */
  signed(size: number): bigint {
    const { view, at } = this;
    this.at += 1 << size;
    if (size === 0) return BigInt(view.getInt8(at));
    if (size === 1) return BigInt(view.getInt16(at, true));
    if (size === 2) return BigInt(view.getInt32(at, true));
    return view.getBigInt64(at, true);
  }
}

/** Fields of a record that are no part of the CPU state. */
interface Aside {
  undefined: number;
  trap?: Trap;
  memory: Patch[];
  ignored: { address: number; length: number }[];
  movedRip: boolean;
}

/** Applies items up to the end mark. @param from - the state that GPR items are relative to: zeros, or `before` */
function applyItems(
  cursor: Cursor,
  state: CpuState,
  mode: Mode,
  relative: boolean,
  aside: Aside,
): void {
  const widthMask = mode === 64 ? 0xffffffffffffffffn : 0xffffffffn;
  for (;;) {
    const tag = cursor.u8();
    if (tag === END) return;
    if (tag >= ST) {
      state.fx.set(cursor.take(10), FX_ST + 16 * (tag - ST));
    } else if (tag >= GPR) {
      const register = tag & 15;
      const value = cursor.signed((tag >> 4) & 3) & widthMask;
      state.gpr[register] = relative ? state.gpr[register]! ^ value : value;
    } else if (tag >= XMM) {
      const length = 16 >> ((tag >> 4) - 1);
      state.fx.set(cursor.take(length), FX_XMM + 16 * (tag & 15));
    } else applyOther(cursor, tag, state, aside);
  }
}

function applyOther(cursor: Cursor, tag: number, state: CpuState, aside: Aside): void {
  switch (tag) {
    case RIP:
      state.rip = BigInt(cursor.u32());
      aside.movedRip = true;
      return;
    case FLAGS16:
      state.rflags = cursor.u16();
      return;
    case FLAGS32:
      state.rflags = cursor.u32();
      return;
    case UNDEFINED:
      aside.undefined = cursor.u16();
      return;
    case TRAP:
      aside.trap = { vector: cursor.u8(), errorCode: cursor.u16() };
      return;
    case CR2:
      aside.trap!.cr2 = BigInt(cursor.u32());
      return;
    case CR2_64:
      aside.trap!.cr2 = cursor.u64();
      return;
    case MEMORY: {
      const address = cursor.u32();
      aside.memory.push({ address, bytes: cursor.take(cursor.u8()) });
      return;
    }
    case IGNORED: {
      const address = cursor.u32();
      aside.ignored.push({ address, length: cursor.u8() });
      return;
    }
    case MXCSR:
      state.fx.set(cursor.take(2), FX_MXCSR);
      return;
    case FCW:
      state.fx.set(cursor.take(2), FX_FCW);
      return;
    case FSW:
      state.fx.set(cursor.take(2), FX_FSW);
      return;
    case FTW:
      state.fx.set(cursor.take(1), FX_FTW);
      return;
    case SEGMENT:
      state.segments[cursor.u8()] = cursor.u16();
      return;
    default:
      throw new Error(`vector file: unknown item ${tag}`);
  }
}

function readVector(cursor: Cursor, form: SiliconForm, seed: number, index: number): SiliconVector {
  const { mode } = form;
  const bytes = cursor.take(cursor.u8());
  const before = seedState(seed, mode, form.profile, index);
  const start: Aside = { undefined: 0, memory: [], ignored: [], movedRip: false };
  applyItems(cursor, before, mode, false, start);
  const after = copyState(before);
  const outcome: Aside = { undefined: form.undefined, memory: [], ignored: [], movedRip: false };
  applyItems(cursor, after, mode, true, outcome);
  if (!outcome.movedRip && !outcome.trap) after.rip += BigInt(bytes.length);
  return {
    form,
    index,
    bytes,
    mode,
    before,
    memoryBefore: start.memory,
    after,
    memoryAfter: outcome.memory,
    memoryIgnored: outcome.ignored,
    flagMask: COMPARED_FLAGS & ~outcome.undefined,
    ...(outcome.trap ? { trap: outcome.trap } : {}),
  };
}

/**
 * Opens a vector file.
 *
 * @throws Error when the bytes are no vector file of format 1
 */
export function readSiliconFile(bytes: Uint8Array): SiliconFile {
  const cursor = new Cursor(bytes);
  if (decoder.decode(cursor.take(4)) !== "X2SV") throw new Error("vector file: bad magic");
  const header = JSON.parse(decoder.decode(cursor.take(cursor.u32()))) as {
    format: number;
    cpu: string;
    forms: SiliconForm[];
  };
  if (header.format !== 1) throw new Error(`vector file: format ${header.format}`);
  const body = bytes.subarray(cursor.at);
  return {
    cpu: header.cpu,
    forms: header.forms,
    *vectors() {
      const records = new Cursor(body);
      for (const form of header.forms) {
        const seed = hashName(`${form.mode} ${form.name}`);
        for (let index = 0; index < form.count; index++) {
          yield readVector(records, form, seed, index);
        }
      }
      if (records.at !== body.length) throw new Error("vector file: bytes left over");
    },
  };
}
