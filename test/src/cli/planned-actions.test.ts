import { describe, expect, it } from "vitest";
import { PlannedActions, type ActionPlan } from "../../../src/cli/planned-actions.js";
import { SPIN, machineWith, say } from "../guest-code.js";

const NOTHING: ActionPlan = { hotplugs: [], unplugs: [], inputs: [], saves: [] };

/** A guest that prints a text and spins; CPUs are not added but written down. */
async function run(text: string, plan: Partial<ActionPlan>, untilNs = 1e5) {
  const machine = await machineWith([...say(text), ...SPIN]);
  const added: number[] = [];
  const actions = new PlannedActions(machine, { ...NOTHING, ...plan }, (id) => added.push(id));
  machine.run({ untilNs });
  return { machine, actions, added };
}

describe("PlannedActions", () => {
  // what the guest prints, the pattern, how often it acts
  it.each([
    ["one\ntwo\n", /two/, 1],
    ["one\ntwo\n", /^t/, 1],
    ["prompt# ", /prompt# /, 1],
    ["prompt# ", /prompt# $/, 0],
    ["cpus 0-1\ncpus 0\n", /cpus 0$/, 1],
    ["costs 5$ ", /5\$/, 1],
    ["one\ntwo\n", /three/, 0],
    ["a\na\na\n", /a/, 1],
  ])("%j and %s act %i times", async (text, line, times) => {
    const { added } = await run(text, { hotplugs: [{ apicId: 5, moment: { line } }] });
    expect(added).toHaveLength(times);
  });

  it("acts at virtual times, in their order", async () => {
    const { added } = await run("", {
      hotplugs: [
        { apicId: 2, moment: { ns: 2000 } },
        { apicId: 1, moment: { ns: 1000 } },
      ],
    });
    expect(added).toEqual([1, 2]);
  });

  it("has the rest left, with times that count from now", async () => {
    const { actions } = await run("one\n", {
      hotplugs: [
        { apicId: 1, moment: { line: /one/ } },
        { apicId: 2, moment: { ns: 150_000 } },
        { apicId: 3, moment: { line: /two/ } },
      ],
      inputs: [{ text: "x", moment: { ns: 250_000 } }],
    });
    expect(actions.remaining()).toEqual({
      hotplugs: [
        { apicId: 2, moment: { ns: 50_000 } },
        { apicId: 3, moment: { line: /two/ } },
      ],
      unplugs: [],
      inputs: [{ text: "x", moment: { ns: 150_000 } }],
      saves: [],
    });
  });
});
