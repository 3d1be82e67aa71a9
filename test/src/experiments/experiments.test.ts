/** Every experiment under every policy on record. */
import { describe, expect, it } from "vitest";
import { createApicCore } from "../../../src/apic-machine.js";
import { experimentLines } from "../../../src/cli/experiment.js";
import {
  differing,
  EXPERIMENTS,
  runExperiment,
  runMatrix,
} from "../../../src/experiments/index.js";
import { PRESETS } from "../../../src/policies.js";

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
    const results = runMatrix(core, experiment);
    const got = Object.fromEntries(results.map(({ policy, outcome }) => [policy, outcome]));
    const without = Object.entries(experiment.without ?? {});
    const reasons = without.map(([policy, why]) => [policy, `does not apply: ${why}`]);
    expect(got).toEqual({ ...experiment.expected, ...Object.fromEntries(reasons) });
    expect(results.every(({ outcome, expected }) => outcome === expected)).toBe(true);
  });

  it("have an outcome on record for every preset, or say why there is none", () => {
    for (const { number, play, expected, without = {} } of EXPERIMENTS) {
      if (play === null) continue;
      const known = [...Object.keys(expected), ...Object.keys(without)];
      for (const { name } of PRESETS) {
        const isThere = known.some((policy) => policy.split(",")[0] === name);
        expect([number, name, isThere]).toEqual([number, name, true]);
      }
    }
  });

  it("say why they are not run", () => {
    const idle = EXPERIMENTS.filter((experiment) => experiment.play === null);
    expect(idle.map(({ number, instead }) => [number, instead?.split(":")[0]])).toEqual([
      [33, "not modelled"],
      [34, "needs a Linux guest"],
    ]);
    for (const experiment of idle) expect(runExperiment(core, experiment, "kvm")).toBeNull();
  });

  it("are the same when run again", () => {
    const once = EXPERIMENTS.map((experiment) => runMatrix(core, experiment));
    expect(EXPERIMENTS.map((experiment) => runMatrix(core, experiment))).toEqual(once);
  });

  it("tell which policies differ from the first", () => {
    const waking = runMatrix(core, EXPERIMENTS[0]!);
    expect(differing(waking).map((result) => result.policy)).toEqual(["kvm-legacy", "strict8"]);
  });

  it("refuse a policy that does not exist", () => {
    expect(() => runExperiment(core, EXPERIMENTS[0]!, "vax")).toThrow(/vax/);
  });
});

describe("experimentLines", () => {
  const report = {
    number: 1,
    title: "title",
    setup: "setup",
    action: "action",
    note: "note",
    instead: null,
    results: [
      { policy: "kvm", outcome: "a", expected: "a" },
      { policy: "knl", outcome: "b", expected: "c" },
      { policy: "kvm,quirk=on", outcome: "a", expected: undefined },
    ],
  };

  it("show outcomes beside what was expected, and what differs from the first", () => {
    expect(experimentLines(report)).toEqual([
      "1. title",
      "  setup:  setup",
      "  action: action",
      "    kvm           a",
      "  * knl           b  (expected c)",
      "    kvm,quirk=on  a  (nothing on record)",
      "  as expected: 1 of 2",
      "  * differs: note",
      "",
    ]);
  });

  it("say of an experiment that is not run why", () => {
    const lines = experimentLines({ ...report, results: [], instead: "not modelled: SMM" });
    expect(lines.slice(3)).toEqual(["  not run: not modelled: SMM", "  why: note", ""]);
  });
});
