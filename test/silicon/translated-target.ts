/**
 * Runs silicon vectors through translated code. A block must be worth translating, so instructions without effect lead up
 * to the vector's; it then runs on, to the breakpoint that it comes to or to the handler of its fault.
 *
 * Blocks of segments that are not flat are never translated: 16-bit vectors have nothing to run here.
 */
import { Machine } from "../../src/machine.js";
import { CODE, codeAddress, DATA, type Mode } from "./environment.js";
import { HANDLER, HANDLER_BYTES, MachineTarget } from "./machine-target.js";
import type { SiliconVector, Trap } from "./reader.js";
import type { CpuState } from "./state.js";

const NOP = 0x90;
const BREAKPOINT = 0xcc;
const INT = 0xcd;
const INTO = 0xce;
/** As many as make a block worth it, whatever comes behind them. */
const LEAD = 12;
/** Ends in the handler's loop, or before the end of a repeated instruction. */
const BUDGET = 100;
const LONGEST = 15;
const LOOP = Uint8Array.of(0xeb, 0xfe);
const VECTORS = 32;
const PREFIXES = new Set([0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]);

function opcodeOf(bytes: Uint8Array, mode: Mode): number {
  const isPrefix = (byte: number) => PREFIXES.has(byte) || (mode === 64 && (byte & 0xf0) === 0x40);
  return bytes.find((byte) => !isPrefix(byte)) ?? 0;
}

/**
 * False for a vector that has no room for the lead, whose instruction may be shorter than its bytes, or which jumps to
 * where it does not come to a breakpoint.
 */
export function runsTranslated({ form, before, after, bytes, mode, trap }: SiliconVector): boolean {
  if (mode === 16 || form.name.startsWith("random")) return false;
  const code = codeAddress(mode, before);
  if (code - LEAD < CODE || code >= DATA) return false;
  const ahead = Number(after.rip - before.rip);
  const length = bytes.length;
  return trap !== undefined || ahead < -LEAD || ahead >= length;
}

export class TranslatedTarget extends MachineTarget {
  private code = 0;
  private opcode = 0;
  private startRip = 0n;

  static override async create(build: "release" | "debug"): Promise<TranslatedTarget> {
    const machine = await Machine.create({
      memoryBytes: 64 * 2 ** 20,
      build,
      translateAfter: 1,
    });
    return new TranslatedTarget(machine);
  }

  override load(mode: Mode): void {
    super.load(mode);
    for (let vector = 0; vector < VECTORS; vector++)
      this.writeMemory(HANDLER + vector * HANDLER_BYTES, LOOP);
  }

  override setState(state: CpuState): void {
    this.code = codeAddress(this.mode, state);
    this.opcode = opcodeOf(this.readMemory(this.code, LONGEST), this.mode);
    this.writeMemory(this.code - LEAD, new Uint8Array(LEAD).fill(NOP));
    super.setState(state);
    this.startRip = state.rip;
    this.vcpu.rip = state.rip - BigInt(LEAD);
  }

  override step(): { trap?: Trap } {
    this.machine.run({ maxInstructions: BUDGET });
    this.writeMemory(this.code - LEAD, new Uint8Array(LEAD).fill(BREAKPOINT));
    const { trap } = this.outcome();
    if (!trap || !this.frame || this.isOwn(trap)) return trap ? { trap } : {};
    const view = new DataView(this.frame.buffer, this.frame.byteOffset);
    const rip = view.getBigUint64(0, true);
    if (trap.vector === 3) view.setBigUint64(0, rip - 1n, true);
    // A fault elsewhere is that of the next instruction.
    return trap.vector !== 3 && rip === this.startRip ? { trap } : {};
  }

  /** True for the trap that the instruction is there for. */
  private isOwn(trap: Trap): boolean {
    if (this.opcode === INTO) return trap.vector === 4;
    return this.opcode === BREAKPOINT || this.opcode === INT;
  }
}
