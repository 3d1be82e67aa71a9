/**
 * Random programs in every mode and ring: whatever the bytes, the core ends by a guest fault, a halt or the budget, and the
 * run is the same in one go, cut into budgets, stepped, translated, and on both builds.
 *
 * `X2VM_FUZZ_RUNS` and `X2VM_FUZZ_SEED` make longer runs with other programs.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Machine, MachineOptions } from "../../../src/index.js";
import { plausibleProgram, randomBytes } from "../../support/instructions.js";
import type { Build } from "../../support/machine.js";
import { worldOf, WORLDS, type WorldName } from "../../support/worlds.js";

const RUNS = Number(process.env.X2VM_FUZZ_RUNS ?? 8);
const SEED = Number(process.env.X2VM_FUZZ_SEED ?? 20161206);
/** Instructions and deliveries of faults. */
const BUDGET = 600;

/** With a jump back to its start at the end, which is in reach of a short one. */
const loop = plausibleProgram.map((code) => {
  const body = code.subarray(0, 120);
  return Uint8Array.from([...body, 0xeb, 0x100 - 2 - body.length]);
});
const program = fc.oneof(
  { weight: 2, arbitrary: plausibleProgram },
  { weight: 2, arbitrary: loop },
  { weight: 1, arbitrary: randomBytes },
);

/** Every block is translated at its second entry, or none is. */
const EAGER = { translateAfter: 1 };
const NEVER = { translate: false };

/** The hash of a machine that was run, and what ended the run. */
function ended(target: Machine, reason: string): string {
  const hash = target.stateHash();
  target.dispose();
  return `${reason} ${hash}`;
}

/** Runs in budgets that follow `cuts` round and round. */
async function cut(
  build: Build,
  name: WorldName,
  code: Uint8Array,
  cuts: readonly number[],
  options: MachineOptions,
) {
  const target = await worldOf(build, name, code, options);
  let left = BUDGET;
  for (let i = 0; left > 0; i++) {
    const maxInstructions = Math.min(cuts[i % cuts.length]!, left);
    const { reason } = target.run({ maxInstructions });
    if (reason !== "budget") return ended(target, reason);
    left -= maxInstructions;
  }
  return ended(target, "budget");
}

/** Steps as often as the budget allows: a step that delivers an exception counts for it too. */
async function stepped(build: Build, name: WorldName, code: Uint8Array) {
  const target = await worldOf(build, name, code);
  let left = BUDGET;
  while (left > 0) {
    const { reason, exception, instructions } = target.step(0);
    if (reason !== "stepped") return ended(target, reason);
    left -= instructions + (exception === undefined ? 0 : 1);
  }
  const end = ended(target, "budget");
  // A fault in the last instruction's delivery has taken one more than the budget: there is no hash to compare with.
  return left === 0 ? end : undefined;
}

describe.each(WORLDS)("random programs, %s", (name) => {
  it(
    "run the same in one go, cut into pieces, stepped and translated, on both builds",
    async () => {
      await fc.assert(
        fc.asyncProperty(
          program,
          fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }),
          async (code, cuts) => {
            const whole = await cut("release", name, code, [BUDGET], NEVER);
            expect(await cut("release", name, code, [BUDGET], EAGER)).toBe(whole);
            expect(await cut("release", name, code, cuts, EAGER)).toBe(whole);
            expect(await cut("debug", name, code, cuts, NEVER)).toBe(whole);
            expect((await stepped("release", name, code)) ?? whole).toBe(whole);
          },
        ),
        { numRuns: RUNS, seed: SEED },
      );
    },
    60_000 + RUNS * 2000,
  );
});
