import { describe, expect, it } from "vitest";
import { Schedule } from "../../src/schedule.js";

describe("Schedule", () => {
  it("gives actions in order of time, those of one moment in the order of their coming", () => {
    const schedule = new Schedule();
    const done: string[] = [];
    for (const [ns, name] of [
      [30, "c"],
      [10, "a"],
      [30, "d"],
      [20, "b"],
      [10, "a2"],
    ] as const) {
      schedule.add(ns, () => done.push(name));
    }
    for (let action = schedule.takeDue(30); action; action = schedule.takeDue(30)) action();
    expect(done).toEqual(["a", "a2", "b", "c", "d"]);
  });

  it("holds an action back until its time", () => {
    const schedule = new Schedule();
    schedule.add(10, () => {});
    expect(schedule.nextNs).toBe(10);
    expect(schedule.takeDue(9)).toBeUndefined();
    expect(schedule.takeDue(10)).toBeTypeOf("function");
    expect(schedule.nextNs).toBe(Infinity);
  });
});
