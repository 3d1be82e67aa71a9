/** The recorded answers of a real KVM, run through the model. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { conform } from "../../src/conform/conform.js";
import { parseVectors } from "../../src/conform/scenario.js";
import { modelTarget } from "./model-target.js";

const vectors = parseVectors(
  readFileSync(new URL("kvm-apic.jsonl", import.meta.url), "utf8"),
  "kvm-apic.jsonl",
);

describe("recorded KVM vectors", () => {
  it("are 3200 machines with one message each", () => {
    expect(vectors.length).toBe(3200);
  });

  it("all agree with the model: accepted set, return value, run states, CS", () => {
    const report = conform(vectors, modelTarget, 3);
    expect(report.disagreements).toEqual([]);
    expect(report.agreed).toBe(3200);
  });
});
