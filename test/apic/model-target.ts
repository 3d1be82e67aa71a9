/** The delivery model as a target of conformance: the model tested by the recorded vectors. */
import type { ApicTarget } from "../../src/conform/conform.js";
import type { Outcome, Scenario } from "../../src/conform/scenario.js";
import { deliver } from "./model.js";
import { INIT, KICK, STARTUP } from "./model-types.js";
import { kvmPolicy, lapicsOf, messageOf } from "./presets.js";

const RUNNABLE = 0;
const INIT_RECEIVED = 2;
const HALTED = 3;

export const modelTarget: ApicTarget = {
  name: "model",

  run(scenario: Scenario): Outcome {
    const policy = kvmPolicy(scenario.ids32, scenario.noquirk);
    const delivery = deliver(lapicsOf(scenario), messageOf(scenario), policy);
    const took = new Set(delivery.accepted);
    const started: [number, number][] = [];
    const mpAfter = scenario.cpus.map((cpu, position) => {
      if (!took.has(position)) return cpu.mp;
      if (scenario.dlv === INIT) return cpu.id === 0 ? RUNNABLE : INIT_RECEIVED;
      if (scenario.dlv === KICK) return cpu.mp === HALTED ? RUNNABLE : cpu.mp;
      if (scenario.dlv !== STARTUP || cpu.mp !== INIT_RECEIVED) return cpu.mp;
      started.push([cpu.id, scenario.vec << 8]);
      return RUNNABLE;
    });
    return {
      acc: scenario.cpus.filter((_, position) => took.has(position)).map((cpu) => cpu.id),
      ret: scenario.from === null ? delivery.ret : null,
      mpAfter,
      cs: scenario.dlv === STARTUP ? started : null,
    };
  },

  explain(scenario: Scenario): string[] {
    const policy = kvmPolicy(scenario.ids32, scenario.noquirk);
    const { path, selected } = deliver(lapicsOf(scenario), messageOf(scenario), policy);
    return scenario.cpus.map((cpu, position) => {
      const verdict = selected.includes(position) ? "selected" : "not selected";
      return `0x${cpu.id.toString(16)}: ${verdict} (${path})`;
    });
  },
};
