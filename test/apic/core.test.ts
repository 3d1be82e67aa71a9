/** The core's APICs against the recorded KVM, the decision tables, the properties and the model. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createApicCore } from "../../src/apic-machine.js";
import { conform, differingFields } from "../../src/conform/conform.js";
import { coreTarget } from "../../src/conform/core-target.js";
import { parseVectors } from "../../src/conform/scenario.js";
import { anyPolicy, stateOf } from "./arbitraries.js";
import { CoreDriver, knobsOf } from "./core-driver.js";
import { compareWalk, walk } from "./differential.js";
import { compareRegisters, registerWalk } from "./differential-registers.js";
import type { Lapic, Message } from "./model-types.js";
import { FIXED, INIT, NMI, STARTUP } from "./model-types.js";
import type { Receipt } from "./driver.js";
import { MODEL_POLICIES, type ModelPolicyName } from "./presets.js";
import * as properties from "./properties.js";
import { scenario } from "./scenarios.js";
import { modelTarget } from "./model-target.js";
import { CASE_ROWS } from "./rows-cases.js";
import { MIXED_ROWS } from "./rows-mixed.js";
import { expectations, machineOf, messageIn, type Expectation } from "./rows.js";

const CAPACITY = 256;
const SEED = 20161206;
const core = await createApicCore({ vcpuCapacity: CAPACITY });

/** Builds the machine in the core and sends one message. */
function sendOnce(cpus: readonly Lapic[], msg: Message, policy: ModelPolicyName): Receipt {
  const driver = new CoreDriver(core, knobsOf(MODEL_POLICIES[policy]));
  cpus.forEach((cpu) => driver.addVcpu(cpu.x2id, cpu.x2id === 0, true));
  cpus.forEach((cpu, n) => driver.setState(n, stateOf(cpu, cpu.x2id === 0 ? 0 : 1)));
  const fields = {
    dest: msg.dest,
    logical: msg.logical ? 1 : 0,
    mode: msg.mode,
    vector: msg.vector,
    trigger: msg.levelTriggered ? 1 : 0,
    level: msg.assert ? 1 : 0,
  };
  return msg.from === null
    ? driver.sendMsi({ ...fields, hint: msg.hint ? 1 : 0 })
    : driver.sendIpi({ ...fields, from: msg.from, shorthand: msg.shorthand });
}

const send: properties.Send = (cpus, msg, policy) =>
  sendOnce(cpus, msg, policy).accepted.map((n) => cpus[n]!.x2id);

const sorted = (ids: readonly number[]): number[] => [...ids].sort((a, b) => a - b);

describe("the core and the recorded KVM", () => {
  it.each(["release", "debug"] as const)("agree on all 3200 vectors (%s build)", async (build) => {
    const text = readFileSync(new URL("kvm-apic.jsonl", import.meta.url), "utf8");
    const fresh = await createApicCore({ vcpuCapacity: CAPACITY, build });
    const report = conform(parseVectors(text, "kvm-apic.jsonl"), coreTarget(fresh), 3);
    expect(report.disagreements).toEqual([]);
    expect(report.agreed).toBe(3200);
  });
});

describe("decision tables, by the core", () => {
  const cells = expectations([...MIXED_ROWS, ...CASE_ROWS]).map(
    (cell) => [`${cell.row.name} under ${cell.policy}`, cell] as [string, Expectation],
  );

  it.each(cells)("%s", (_, { row, policy, ids, path }) => {
    for (const mode of [NMI, INIT, STARTUP, FIXED]) {
      const cpus = machineOf(row, policy);
      const got = sendOnce(cpus, messageIn(row, cpus, mode), policy);
      const takes = (id: number): boolean =>
        mode !== FIXED || cpus.find((cpu) => cpu.x2id === id)!.sw;
      expect(sorted(got.accepted.map((n) => cpus[n]!.x2id))).toEqual(sorted(ids.filter(takes)));
      if (path !== null) expect(got.path).toBe(path);
    }
  });
});

describe("delivery, by the core", () => {
  const runs = { numRuns: 2000, seed: SEED };

  it("is the same by map and by scan on an orderly machine", () => {
    fc.assert(properties.mapEqualsScan(send), runs);
  });

  it("reaches one LAPIC at most by a physical destination that is no broadcast", () => {
    fc.assert(properties.oneReceiver(send), runs);
  });

  it("never depends on an 8-bit ID when the physical destination is above 0xff", () => {
    fc.assert(properties.longIgnoresXid(send), runs);
  });

  it("reaches an x2APIC-mode CPU whatever CPU is added", () => {
    fc.assert(properties.addingKeepsX2apic(send), runs);
  });

  it("changes an owner when a CPU is added under kvm-legacy, as a search finds", () => {
    expect(fc.check(properties.addingKeepsOwners(send, "kvm-legacy"), runs).failed).toBe(true);
  });

  it("depends on the creation order only for aliased IDs of xAPIC-mode CPUs", () => {
    fc.assert(properties.orderChangesOnlyAliases(send), runs);
  });
});

describe("random machines, messages and changes, core against model", () => {
  const policies = Object.values(MODEL_POLICIES).map((policy) => [policy.name, policy] as const);

  it.each(policies)("agree under %s", (_, policy) => {
    fc.assert(
      fc.property(walk, (steps) => compareWalk(core, steps, policy)),
      { numRuns: 800, seed: SEED },
    );
  });

  it.each(["hash", "counter", "tpr"] as const)("agree with lowest priority by %s", (lowest) => {
    const chosen = fc.constantFrom(...Object.values(MODEL_POLICIES));
    fc.assert(
      fc.property(walk, chosen, (steps, policy) => compareWalk(core, steps, { ...policy, lowest })),
      { numRuns: 800, seed: SEED },
    );
  });

  it("agree under any combination of knobs", () => {
    fc.assert(
      fc.property(walk, anyPolicy, (steps, policy) => compareWalk(core, steps, policy)),
      { numRuns: 3000, seed: SEED },
    );
  });
});

describe("random scenarios in the form of the recordings, core against model", () => {
  it("give the same outcome", () => {
    const target = coreTarget(core);
    fc.assert(
      fc.property(scenario, (each) => {
        const fields = differingFields(modelTarget.run(each), target.run(each));
        if (fields.length > 0) throw new Error(fields.join(", "));
      }),
      { numRuns: 10_000, seed: SEED },
    );
  });
});

describe("random register accesses, core against model", () => {
  it("give the same answers, faults and registers", () => {
    fc.assert(
      fc.property(registerWalk, (steps) => compareRegisters(core, steps)),
      { numRuns: 6000, seed: SEED },
    );
  });
});
