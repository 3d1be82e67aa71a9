/** Every experiment under every policy on record. */
import { describe, expect, it } from "vitest";
import { createApicCore } from "../../../src/apic-machine.js";
import {
  differing,
  EXPERIMENTS,
  runExperiment,
  runMatrix,
} from "../../../src/experiments/index.js";

const core = await createApicCore();

describe("experiments", () => {
  it("are numbered 1 to 36", () => {
    expect(EXPERIMENTS.map((experiment) => experiment.number)).toEqual(
      Array.from({ length: 36 }, (_, n) => n + 1),
    );
  });

  it.each(
    EXPERIMENTS.map(
      (experiment) => [`${experiment.number}: ${experiment.title}`, experiment] as const,
    ),
  )("%s", (_, experiment) => {
    const outcomes = runMatrix(core, experiment).map(({ policy, outcome }) => [policy, outcome]);
    expect(Object.fromEntries(outcomes)).toEqual(experiment.expected);
  });

  it("say why they need more than local APICs", () => {
    const idle = EXPERIMENTS.filter((experiment) => experiment.play === null);
    expect(idle.map((experiment) => experiment.number)).toEqual([33, 34]);
    for (const experiment of idle) {
      expect(runExperiment(core, experiment, "kvm")).toBeNull();
      expect(experiment.note).toMatch(/Not modelled|Needs/);
    }
  });

  it("are the same when run again", () => {
    const once = EXPERIMENTS.map((experiment) => runMatrix(core, experiment));
    expect(EXPERIMENTS.map((experiment) => runMatrix(core, experiment))).toEqual(once);
  });

  it("tell which policies differ from the first", () => {
    const waking = runMatrix(core, EXPERIMENTS[0]!);
    expect(differing(waking).map((result) => result.policy)).toEqual(["kvm-legacy"]);
  });

  it("refuse a policy that does not exist", () => {
    expect(() => runExperiment(core, EXPERIMENTS[0]!, "vax")).toThrow(/vax/);
  });
});
