/** Random scenarios in the form of the recordings, of every kind that the form allows. */
import fc from "fast-check";
import type { Scenario, ScenarioCpu } from "../../src/conform/scenario.js";
import { message, mixedMachine } from "./arbitraries.js";
import type { Lapic } from "./model-types.js";

/** Beyond the arbitraries' own: IDs of 32 bits, and a second lap of the same low bytes. */
const highId = fc.constantFrom(0x1_0023, 0x7fff_ff23, 0xffff_fffe, 0x8000_0000, 0x00ff_ffff);

function cpuOf({ x2id, mode, xid, sw, ldr, dfr }: Lapic, mp: number): ScenarioCpu {
  return { id: x2id, mode, xid, sw, ldr: mode === "x2" ? 0 : ldr, dfr, mp };
}

/** Machines with up to twelve CPUs, each in any run state, and one message. */
export const scenario: fc.Arbitrary<Scenario> = fc
  .tuple(mixedMachine, fc.uniqueArray(highId, { maxLength: 3 }))
  .map(([cpus, high]) => {
    const ids = cpus.map((cpu) => cpu.x2id);
    const more = high.filter((id) => !ids.includes(id));
    // the new IDs take over the modes and registers of the first CPUs
    return [
      ...cpus,
      ...more.map((x2id, n): Lapic => ({ ...cpus[n % cpus.length]!, x2id, xid: x2id & 0xff })),
    ];
  })
  .chain((lapics) =>
    fc
      .record({
        ids32: fc.boolean(),
        noquirk: fc.boolean(),
        states: fc.array(fc.constantFrom(0, 1, 2, 3), { minLength: 12, maxLength: 12 }),
        vec: fc.nat({ max: 0xff }),
        sent: message(lapics),
      })
      .map(({ ids32, noquirk, states, vec, sent }): Scenario => {
        const isSender = (n: number): boolean => n === sent.from;
        return {
          ids32,
          noquirk,
          cpus: lapics.map((cpu, n) => cpuOf(cpu, isSender(n) ? 0 : states[n]!)),
          from: sent.from,
          dest: sent.dest,
          dm: sent.logical ? 1 : 0,
          sh: sent.shorthand,
          dlv: sent.mode,
          vec,
          trig: sent.levelTriggered ? 1 : 0,
          level: sent.assert ? 1 : 0,
          rh: sent.hint ? 1 : 0,
        };
      }),
  );
