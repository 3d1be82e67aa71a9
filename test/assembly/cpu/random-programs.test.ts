/**
 * Random bytes as programs: however a run is cut, on whichever build, it is the same run; and no bytes crash the core.
 *
 * In 64-bit mode every exception ends in HLT at the handler; in real mode the vectors lead to HLT as well.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Machine } from "../../../src/index.js";
import {
  CODE,
  IDT,
  enterLongMode,
  hex,
  machine,
  setGate64,
  writeU64,
  type Build,
} from "../../support/machine.js";

const INSTRUCTIONS = 400;
const HANDLER = 0xf000;

/** Bytes that lean to what programs are made of: one-byte ALU forms, moves, short jumps, prefixes. */
const programByte = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 255 }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      0x48,
      0x66,
      0x0f,
      0xf3,
      0x01,
      0x89,
      0x8b,
      0xc0,
      0xd8,
      0xff,
      0x75,
      0xeb,
      0xfe,
    ),
  },
);
const program = fc
  .uint8Array({ minLength: 16, maxLength: 64 })
  .chain((tail) =>
    fc
      .array(programByte, { minLength: 16, maxLength: 96 })
      .map((head) => Uint8Array.from([...head, ...tail])),
  );

async function prepare(build: Build, mode: 16 | 64, code: Uint8Array): Promise<Machine> {
  const target = await machine(build, { memoryBytes: 2 << 20 });
  const vcpu = target.vcpus[0]!;
  target.writeMemory(HANDLER, hex("f4"));
  if (mode === 64) {
    for (let vector = 0; vector < 32; vector++) setGate64(target, vector, HANDLER);
    enterLongMode(target, vcpu);
    vcpu.idtr = { base: BigInt(IDT), limit: 32 * 16 - 1 };
  } else {
    for (let vector = 0; vector < 256; vector += 2)
      writeU64(target, vector * 4, 0x0000f0000000f000n);
    vcpu.setSegment("cs", { selector: CODE >> 4, base: BigInt(CODE) });
    vcpu.rip = 0n;
    vcpu.gpr.rsp = 0x8000n;
  }
  for (const [i, name] of (["rbx", "rcx", "rdx", "rsi", "rdi", "rbp"] as const).entries()) {
    vcpu.gpr[name] = BigInt(0x20000 + i * 0x1010);
  }
  target.writeMemory(CODE, code);
  return target;
}

/** Runs in budgets that follow `cuts` round and round. */
function runCut(target: Machine, cuts: readonly number[]): string {
  for (let i = 0; target.instructions < INSTRUCTIONS; i++) {
    const cut = Math.min(cuts[i % cuts.length]!, INSTRUCTIONS - target.instructions);
    if (target.run({ maxInstructions: cut }).reason !== "budget") break;
    if (i > 20 * INSTRUCTIONS) break; // faults count as instructions of a budget, but do not retire
  }
  const hash = target.stateHash();
  target.dispose();
  return hash;
}

describe.each([16, 64] as const)("random programs in %i-bit mode", (mode) => {
  it("run the same in one go and cut into pieces, on both builds", async () => {
    await fc.assert(
      fc.asyncProperty(
        program,
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }),
        async (code, cuts) => {
          const whole = runCut(await prepare("release", mode, code), [INSTRUCTIONS]);
          expect(runCut(await prepare("release", mode, code), cuts)).toBe(whole);
          expect(runCut(await prepare("debug", mode, code), cuts)).toBe(whole);
        },
      ),
      { numRuns: 40, seed: 20161206 },
    );
  });
});
