/** The properties of delivery, checked on the model. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { deliver } from "./model.js";
import { MODEL_POLICIES } from "./presets.js";
import * as properties from "./properties.js";

const RUNS = { numRuns: 4000, seed: 20161206 };

const send: properties.Send = (cpus, message, policy) => {
  const copy = cpus.map((cpu) => ({ ...cpu }));
  return deliver(copy, message, MODEL_POLICIES[policy]).accepted.map((n) => cpus[n]!.x2id);
};

describe("delivery, by the model", () => {
  it("is the same by map and by scan on an orderly machine", () => {
    fc.assert(properties.mapEqualsScan(send), RUNS);
  });

  it("reaches one LAPIC at most by a physical destination that is no broadcast", () => {
    fc.assert(properties.oneReceiver(send), RUNS);
  });

  it("never depends on an 8-bit ID when the physical destination is above 0xff", () => {
    fc.assert(properties.longIgnoresXid(send), RUNS);
  });

  it("reaches an x2APIC-mode CPU whatever CPU is added", () => {
    fc.assert(properties.addingKeepsX2apic(send), RUNS);
  });

  it("changes an owner when a CPU is added under kvm-legacy, as a search finds", () => {
    const found = fc.check(properties.addingKeepsOwners(send, "kvm-legacy"), RUNS);
    expect(found.failed).toBe(true);
    expect(found.counterexample).not.toBeNull();
  });

  it("depends on the creation order only for aliased IDs of xAPIC-mode CPUs", () => {
    fc.assert(properties.orderChangesOnlyAliases(send), RUNS);
  });
});
