import { describe, expect, it } from "vitest";
import { parseVectors } from "../../../src/conform/scenario.js";

const CPU = { id: 0, mode: "x2" };
const RESULT = { acc: [], ret: null, mpAfter: [0] };
const GOOD = { cpus: [CPU], from: 0, dest: 5, dlv: 4, result: RESULT };

const parse = (json: unknown) => parseVectors(JSON.stringify(json), "kvm.jsonl");

describe("a recorded scenario", () => {
  it("takes its defaults for absent fields", () => {
    const [vector] = parse({ ...GOOD, cpus: [{ id: 0x123, mode: "x" }] });
    expect(vector?.scenario).toMatchObject({
      ids32: false,
      noquirk: false,
      dm: 0,
      sh: 0,
      vec: 0,
      trig: 0,
      level: 1,
      rh: 0,
    });
    expect(vector?.scenario.cpus).toEqual([
      { id: 0x123, mode: "x", xid: 0x23, sw: true, ldr: 0, dfr: 0xffffffff, mp: 1 },
    ]);
  });

  it("starts the bootstrap processor RUNNABLE", () => {
    expect(parse(GOOD)[0]?.scenario.cpus[0]?.mp).toBe(0);
  });

  it("keeps its line number over empty lines", () => {
    const text = `\n${JSON.stringify(GOOD)}\n\n${JSON.stringify(GOOD)}\n`;
    expect(parseVectors(text, "kvm.jsonl").map((vector) => vector.line)).toEqual([2, 4]);
  });

  it.each([
    ["no JSON", "{", /^kvm.jsonl:1: not a JSON object$/],
    ["a list", "[]", /^kvm.jsonl:1: not a JSON object$/],
    ["no CPUs", { ...GOOD, cpus: [] }, /cpus is empty/],
    ["cpus that is no list", { ...GOOD, cpus: 3 }, /cpus is 3, not a list/],
    ["two CPUs with one id", { ...GOOD, cpus: [CPU, CPU] }, /same id/],
    [
      "an id that addresses all",
      { ...GOOD, cpus: [{ id: 2 ** 32 - 1, mode: "x2" }] },
      /id is 4294967295/,
    ],
    [
      "a CPU that is a number",
      { ...GOOD, cpus: [5] },
      /^kvm.jsonl:1: cpus\[0\]: not a JSON object/,
    ],
    ["a CPU without id", { ...GOOD, cpus: [{ mode: "x" }] }, /cpus\[0\]: id is absent/],
    ["a mode that is none", { ...GOOD, cpus: [{ id: 1, mode: "y" }] }, /mode is "y"/],
    ["an 8-bit ID of 9 bits", { ...GOOD, cpus: [{ ...CPU, xid: 256 }] }, /xid is 256/],
    ["a run state beyond 3", { ...GOOD, cpus: [{ ...CPU, mp: 4 }] }, /mp is 4/],
    ["a sender that is not there", { ...GOOD, from: 1 }, /from is 1, not an integer in 0\.\.0/],
    ["a destination of 33 bits", { ...GOOD, dest: 2 ** 32 }, /dest is 4294967296/],
    ["a negative destination", { ...GOOD, dest: -1 }, /dest is -1/],
    ["a delivery mode beyond 7", { ...GOOD, dlv: 8 }, /dlv is 8/],
    ["a flag that is a number", { ...GOOD, ids32: 1 }, /ids32 is 1, not true or false/],
    ["a sender that is off", { ...GOOD, cpus: [{ id: 0, mode: "off" }] }, /local APIC is off/],
    [
      "a long destination from xAPIC mode",
      { ...GOOD, cpus: [{ id: 0, mode: "x" }], dest: 0x123 },
      /dest is 291, but .* 8 bits/,
    ],
    ["a shorthand without a sender", { ...GOOD, from: null, sh: 2 }, /sh is 2, but/],
    ["a hint with a sender", { ...GOOD, rh: 1 }, /rh is 1, but/],
    ["a vector of 9 bits", { ...GOOD, vec: 256 }, /vec is 256/],
    ["a trigger that is text", { ...GOOD, trig: "1" }, /trig is "1"/],
    ["half a level", { ...GOOD, level: 0.5 }, /level is 0.5/],
    [
      "a CPU that accepted and is not there",
      { ...GOOD, result: { ...RESULT, acc: [9] } },
      /acc has 9/,
    ],
    [
      "a run state too many",
      { ...GOOD, result: { ...RESULT, mpAfter: [0, 1] } },
      /2 states for 1 cpus/,
    ],
    ["a start that is no pair", { ...GOOD, result: { ...RESULT, cs: [[0]] } }, /cs has \[0\]/],
    ["a start of nobody", { ...GOOD, result: { ...RESULT, cs: [[9, 0]] } }, /cs has \[9,0\]/],
    [
      "a start at a selector of 17 bits",
      { ...GOOD, result: { ...RESULT, cs: [[0, 65536]] } },
      /65536/,
    ],
    ["no result", { ...GOOD, result: undefined }, /result: not a JSON object/],
    ["a result with an error", { ...GOOD, result: { err: "E2BIG" } }, /recording failed: E2BIG/],
    ["a return value that is text", { ...GOOD, result: { ...RESULT, ret: "1" } }, /ret is "1"/],
    ["accepted that is no list", { ...GOOD, result: { ...RESULT, acc: 0 } }, /acc is 0/],
  ])("with %s is refused", (_, json, message) => {
    const text = typeof json === "string" ? json : JSON.stringify(json);
    expect(() => parseVectors(text, "kvm.jsonl")).toThrow(message);
  });
});
