/** Loops of random instructions, run translated and interpreted. */
import type { Machine } from "../../../src/index.js";
import { CODE, IDT, enterLongMode, hex, machine, setGate64 } from "../../support/machine.js";

const HANDLER = 0xf000;
/** RBP of a loop; the bytes around it are data. */
export const DATA = 0x20000;
/** Instructions of a run. */
export const LIMIT = 4000;
/** OSFXSR and OSXMMEXCPT. */
const CR4_SSE = 0x600n;

export type Bytes = readonly number[];

/** X2VM_RUNS=1000 looks further, each time elsewhere. */
const RUNS = Number(process.env["X2VM_RUNS"] ?? 0);
export const SEARCH = RUNS > 0 ? { numRuns: RUNS } : { numRuns: 60, seed: 20161206 };

/** mov r15d, 40; loop: body; dec r15d; jnz loop; hlt */
export function loopOf(bytes: Bytes): number[] {
  const back = bytes.length + 9;
  return [
    0x41,
    0xbf,
    40,
    0,
    0,
    0,
    ...bytes,
    0x41,
    0xff,
    0xcf,
    0x0f,
    0x85,
    -back & 0xff,
    (-back >> 8) & 0xff,
    0xff,
    0xff,
    0xf4,
  ];
}

export async function prepare(code: Bytes, translateAfter: number | undefined): Promise<Machine> {
  const target = await machine("release", {
    memoryBytes: 2 << 20,
    ...(translateAfter === undefined ? { translate: false } : { translateAfter }),
  });
  const vcpu = target.vcpus[0]!;
  target.writeMemory(HANDLER, hex("f4"));
  for (let vector = 0; vector < 32; vector++) setGate64(target, vector, HANDLER);
  enterLongMode(target, vcpu);
  vcpu.control.cr4 |= CR4_SSE;
  vcpu.idtr = { base: BigInt(IDT), limit: 32 * 16 - 1 };
  const names = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11"] as const;
  names.forEach((name, i) => {
    vcpu.gpr[name] = BigInt.asUintN(64, 0x9e3779b97f4a7c15n * BigInt(i + 1));
  });
  vcpu.gpr.rbp = BigInt(DATA);
  target.writeMemory(
    DATA - 128,
    Uint8Array.from({ length: 256 }, (_, i) => (i * 37) & 0xff),
  );
  target.writeMemory(CODE, Uint8Array.from(code));
  return target;
}

export function finish(target: Machine, cuts: readonly number[]): string {
  for (let i = 0; target.instructions < LIMIT && i < LIMIT * 2; i++) {
    const cut = Math.min(cuts[i % cuts.length]!, LIMIT - target.instructions);
    if (target.run({ maxInstructions: cut }).reason !== "budget") break;
  }
  const { rip } = target.vcpus[0]!;
  const summary = `${target.instructions} at ${rip.toString(16)}: ${target.stateHash()}`;
  target.dispose();
  return summary;
}

export function stepThrough(target: Machine): string {
  while (target.instructions < LIMIT) if (target.step(0).reason !== "stepped") break;
  const hash = target.stateHash();
  target.dispose();
  return hash;
}
