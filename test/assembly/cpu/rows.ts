/**
 * Instruction tests as rows: mnemonic, bytes, state before, what changes.
 *
 * The world is that of the silicon vectors (test/silicon/environment.ts), at CPL 3: code at CODE, DATA and STACK writable,
 * one read-only page after DATA, nothing else present; in 16-bit mode DS starts 16 KiB below DATA.
 */
import { describe, expect, it } from "vitest";
import type { GprName } from "../../../src/vcpu.js";
import { GPR_NAMES } from "../../../src/vcpu.js";
import { CODE, DATA, PAGE_BYTES, SEGMENTS, STACK, type Mode } from "../../silicon/environment.js";
import { MachineTarget } from "../../silicon/machine-target.js";
import { emptyState } from "../../silicon/state.js";

const BUILDS = ["release", "debug"] as const;
const WRITABLE_BYTES = 2 * PAGE_BYTES;

const FLAG_LETTERS: Record<string, number> = {
  C: 0x1,
  P: 0x4,
  A: 0x10,
  Z: 0x40,
  S: 0x80,
  T: 0x100,
  D: 0x400,
  O: 0x800,
};

/** Hex bytes by linear address. */
type Memory = Record<number, string>;

interface State extends Partial<Record<GprName, bigint>> {
  /** Letters of CPAZSTDO that are set, with spaces. */
  flags?: string;
  memory?: Memory;
}

export interface Before extends State {
  /** Steps; 1 if not given. */
  steps?: number;
}

export interface After extends State {
  /** Letters of flags that the manual leaves undefined. */
  undefined?: string;
  /** Offset in CS; the next instruction if not given. */
  rip?: bigint;
  /** Such as "#DE", "#GP(0)", "#PF(7) 602000": then nothing else changes unless given. */
  trap?: string;
}

/** Mnemonic, bytes, state before, what differs after. Registers start as 0, rSP in the middle of the stack. */
export type Row = [mnemonic: string, bytes: string, before: Before, after: After];

const VECTORS: Record<number, string> = {
  0: "#DE",
  1: "#DB",
  5: "#BR",
  6: "#UD",
  12: "#SS",
  13: "#GP",
  14: "#PF",
  17: "#AC",
};

function flagBits(letters = ""): number {
  return [...letters.replaceAll(" ", "")].reduce((bits, letter) => bits | FLAG_LETTERS[letter]!, 0);
}

function flagText(bits: number): string {
  return Object.keys(FLAG_LETTERS)
    .filter((letter) => bits & FLAG_LETTERS[letter]!)
    .join(" ");
}

const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex, "hex"));

/** Where rSP points at the start of a row, as an offset in SS. */
export function stackTop(mode: Mode): bigint {
  return BigInt(STACK + 0x800 - SEGMENTS[mode][2]!.base);
}

/** State as text, so that a failed row shows all that is wrong with it. */
function outcome(registers: bigint[], flags: number, rip: bigint, trap: string, memory: Memory) {
  return {
    registers: Object.fromEntries(GPR_NAMES.map((name, i) => [name, registers[i]!.toString(16)])),
    flags: flagText(flags),
    rip: rip.toString(16),
    trap,
    memory,
  };
}

function check(target: MachineTarget, mode: Mode, [, code, before, after]: Row): void {
  const base = SEGMENTS[mode][1]!.base;
  const start = BigInt(CODE - base);
  target.writeMemory(CODE, new Uint8Array(PAGE_BYTES).fill(0xcc));
  target.writeMemory(CODE, bytesOf(code));
  target.writeMemory(DATA, new Uint8Array(WRITABLE_BYTES));
  target.writeMemory(STACK, new Uint8Array(PAGE_BYTES));
  for (const [at, hex] of Object.entries(before.memory ?? {})) {
    target.writeMemory(Number(at), bytesOf(hex));
  }
  const state = emptyState();
  state.segments.set(SEGMENTS[mode].map(({ selector }) => selector));
  state.gpr[4] = stackTop(mode);
  GPR_NAMES.forEach((name, i) => (state.gpr[i] = before[name] ?? state.gpr[i]!));
  const mask = after.undefined === undefined ? 0 : flagBits(after.undefined);
  const expectedGpr = GPR_NAMES.map((name, i) => after[name] ?? state.gpr[i]!);
  const flags = flagBits(before.flags);
  state.rflags = 0x202 | flags;
  state.rip = start;
  target.setState(state);
  let trap = "";
  for (let steps = before.steps ?? 1; steps > 0 && trap === ""; steps--) {
    const { trap: taken } = target.step();
    if (!taken) continue;
    trap = VECTORS[taken.vector] ?? `#${taken.vector}`;
    if (taken.vector >= 10) trap += `(${taken.errorCode.toString(16)})`;
    if (taken.cr2 !== undefined) trap += ` ${taken.cr2.toString(16)}`;
  }
  const actual = target.getState();
  const memory: Memory = { ...before.memory, ...after.memory };
  const found = Object.entries(memory).map(([at, hex]) => {
    const bytes = target.readMemory(Number(at), hex.length / 2);
    return [Number(at), Buffer.from(bytes).toString("hex")] as const;
  });
  const compared = flagBits("CPAZSTDO") & ~mask;
  const next = after.trap ? start : start + BigInt(code.length / 2);
  expect(
    outcome([...actual.gpr], actual.rflags & compared, actual.rip, trap, Object.fromEntries(found)),
  ).toEqual(
    outcome(
      expectedGpr,
      (after.flags === undefined ? flags : flagBits(after.flags)) & compared,
      after.rip ?? next,
      after.trap ?? "",
      memory,
    ),
  );
}

/** One test per row, on both builds of the core. */
export function rows(mode: Mode, what: string, table: Row[]): void {
  describe.each(BUILDS)(`${what}, ${mode}-bit code, %s build`, (build) => {
    const target = MachineTarget.create(build).then((made) => {
      made.load(mode);
      return made;
    });
    it.each(table)("%s %s %o", async (...row) => {
      check(await target, mode, row);
    });
  });
}
