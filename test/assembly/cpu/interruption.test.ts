/**
 * Interrupts and NMIs at every instruction of a program do not change what it computes.
 *
 * Their handler uses registers, flags and its stack, and puts them back. A program on whose own stack it runs is compared
 * without the memory below its stack pointer.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GPR_NAMES, SEGMENT_NAMES, type GprName } from "../../../src/vcpu.js";
import type { Machine } from "../../../src/index.js";
import { plausibleProgram } from "../../support/instructions.js";
import { hex } from "../../support/machine.js";
import {
  CODE,
  DATA,
  DATA_BYTES,
  endInterrupt,
  inInterruptHandler,
  interrupt,
  worldOf,
  WORLDS,
  type WorldName,
} from "../../support/worlds.js";

const RUNS = Number(process.env.X2VM_FUZZ_RUNS ?? 8);
const SEED = Number(process.env.X2VM_FUZZ_SEED ?? 20161206);
const STEPS = 60;
type Kind = "interrupt" | "nmi";

/** Where the programs' stack begins, and how much of it is below what they use themselves. */
const STACK_AT = DATA_BYTES - 0x800;
const SCRATCH = 0x800;

/**
 * Runs `steps` instructions of the program, which halts or ends earlier by itself.
 *
 * @returns how often the interrupt handler ran
 */
function run(target: Machine, steps: number, kind: Kind | undefined): number {
  const vcpu = target.vcpus[0]!;
  let handled = 0;
  for (let done = 0; done < steps && vcpu.runState === "runnable"; done++) {
    if (kind !== undefined) interrupt(target, kind);
    target.step(0);
    while (inInterruptHandler(vcpu)) {
      handled++;
      while (inInterruptHandler(vcpu)) target.step(0);
      if (kind === "interrupt") endInterrupt(target);
      target.step(0);
    }
  }
  return handled;
}

/** What the program left behind. */
function result(target: Machine, sharesStack: boolean) {
  const vcpu = target.vcpus[0]!;
  const data = target.readMemory(DATA, DATA_BYTES);
  if (sharesStack) data.fill(0, STACK_AT - SCRATCH, STACK_AT);
  const outcome = {
    registers: GPR_NAMES.map((name) => vcpu.gpr[name].toString(16)),
    segments: SEGMENT_NAMES.map((name) => vcpu.segment(name)),
    rip: vcpu.rip,
    rflags: vcpu.rflags,
    runState: vcpu.runState,
    xmm: vcpu.fpu.xmm(0),
    fsw: vcpu.fpu.fsw,
    data: Buffer.from(data).toString("hex"),
    code: Buffer.from(target.readMemory(CODE, 4096)).toString("hex"),
  };
  target.dispose();
  return outcome;
}

const KINDS: readonly Kind[] = ["interrupt", "nmi"];
const SHARES_STACK: readonly WorldName[] = ["real", "16-bit ring 0", "32-bit ring 0"];

/** Bytes that mean the same in all modes; what they start with besides. CL counts. */
type Row = [what: string, code: string, registers: Partial<Record<GprName, number>>];
const ROWS: Row[] = [
  ["rep movsb over a page end", "b1 40 f3 a4", { rsi: 0x0ff0, rdi: 0x2fe0 }],
  ["rep movs of words, downwards", "fd b1 30 f3 a5", { rsi: 0x1020, rdi: 0x3010 }],
  ["rep movsb, overlapping", "b1 30 f3 a4", { rsi: 0x0ff0, rdi: 0x0ff1 }],
  ["rep stos of words over a page end", "b1 30 f3 ab", { rdi: 0x2ff2 }],
  ["rep lodsb", "b1 20 f3 ac", { rsi: 0x1ff8 }],
  ["repe cmpsb of equal bytes", "b1 20 f3 aa b1 10 f3 a6", { rsi: 0x1ff0, rdi: 0x1ff4 }],
  ["repne scasb", "b1 ff f2 ae", { rdi: 0x0f80 }],
  ["loop", "b1 10 40 e2 fd", {}],
  ["mov ss and the instruction behind it", "8c d0 8e d0 50 8e d0 8e d0 58 50 58", {}],
  ["sti and cli", "fa 90 fb 90 90 fa fb fa fb fb 90 fa 90 fb 50 58", {}],
  ["pushf and popf", "9c 9d 9c 58 50 9d f9 9c f8 9d", {}],
  ["what faults", "0f 0b 90 f4 cd 2f 90 d4 00 0f ff 90", {}],
];

describe.each(WORLDS)("interrupts at every instruction, %s", (name) => {
  const sharesStack = SHARES_STACK.includes(name);

  async function prepared([, code, registers]: Row) {
    const target = await worldOf("release", name, hex(code));
    const isShort = name === "real" || name === "v86" || name.startsWith("16");
    for (const [register, offset] of Object.entries(registers))
      target.vcpus[0]!.gpr[register as GprName] = BigInt(isShort ? offset : DATA + offset);
    return target;
  }

  it.each(ROWS)("%s", async (...row) => {
    const alone = await prepared(row);
    run(alone, STEPS, undefined);
    const expected = result(alone, sharesStack);
    for (const kind of KINDS) {
      const target = await prepared(row);
      expect(run(target, STEPS, kind)).toBeGreaterThan(0);
      expect(result(target, sharesStack)).toEqual(expected);
    }
  });
});

// On a stack that is the program's own, the handler's frame may overwrite what a random program uses.
describe.each(WORLDS.filter((name) => !SHARES_STACK.includes(name)))(
  "interrupts at every instruction of random programs, %s",
  (name) => {
    it(
      "do not change what they compute",
      async () => {
        await fc.assert(
          fc.asyncProperty(plausibleProgram, fc.constantFrom(...KINDS), async (code, kind) => {
            fc.pre(!readsClock(code));
            const alone = await worldOf("release", name, code);
            run(alone, STEPS, undefined);
            const target = await worldOf("release", name, code);
            run(target, STEPS, kind);
            expect(result(target, false)).toEqual(result(alone, false));
          }),
          { numRuns: RUNS, seed: SEED },
        );
      },
      60_000 + RUNS * 2000,
    );
  },
);

/** RDTSC, RDTSCP, RDRAND and RDSEED tell how much ran besides the program. */
function readsClock(code: Uint8Array): boolean {
  const text = Buffer.from(code).toString("hex");
  return /0f(31|33|01f9|c7)/.test(text);
}
