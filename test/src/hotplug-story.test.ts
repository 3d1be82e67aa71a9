import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { HotplugStory, Machine, type StoryEvent } from "../../src/index.js";
import { SPIN, machineWith } from "./guest-code.js";

const GUEST = readFileSync(new URL("../../guests/hotplug.bin", import.meta.url));

/** CPU 0x123 is added to CPUs 0 and 0x23; the guest wakes it. */
async function storyUnder(policy: string): Promise<StoryEvent[]> {
  const machine = await Machine.create({ apicIds: [0, 0x23], policy });
  machine.load(GUEST);
  const events: StoryEvent[] = [];
  new HotplugStory(machine, (event) => events.push(event));
  machine.at(2e6, () => machine.hotplug({ apicId: 0x123, force: true }));
  machine.run({ maxInstructions: 50e6 });
  return events;
}

describe("HotplugStory", () => {
  it("tells the way of a CPU from the request to its first interrupt", async () => {
    const events = await storyUnder("kvm");
    expect(events.slice(0, 8).map(({ kind }) => kind)).toEqual([
      "added",
      "acknowledged",
      "init",
      "startup",
      "start",
      "mode",
      "startup",
      "online",
    ]);
    expect(events.every(({ apicId }) => apicId === 0x123)).toBe(true);
    const times = events.map(({ virtualNs }) => virtualNs);
    expect(times[0]).toBe(2e6);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    const texts = events.map(({ text }) => text);
    expect(texts[2]).toBe("INIT from 0x0: taken, in xAPIC mode");
    expect(texts[6]).toBe("STARTUP 0x08 from 0x0: discarded: it runs already");
    expect(texts[5]).toBe("its local APIC goes to x2APIC mode");
  });

  it("tells that a policy keeps INIT from the CPU", async () => {
    const events = await storyUnder("kvm-legacy");
    const init = events.find(({ kind }) => kind === "init");
    expect(init?.text).toBe("INIT from 0x0 does not reach it");
    expect(events.some(({ kind }) => kind === "start")).toBe(false);
  });

  it("tells that another CPU takes the INIT too", async () => {
    const machine = await machineWith(SPIN, { apicIds: [0, 0x23], policy: "knl" });
    const events: StoryEvent[] = [];
    new HotplugStory(machine, (event) => events.push(event));
    machine.hotplug({ apicId: 0x123, force: true });
    const boot = machine.vcpus[0]!;
    expect(boot.writeMsr(0x1b, 0xfee00d00n)).toBe(true);
    expect(boot.writeMsr(0x830, 0x123_0000_4500n)).toBe(true);
    expect(events.map(({ text }) => text)).toContain(
      "INIT from 0x0: 0x23 takes it too: in xAPIC mode the low byte counts, and it is its 8-bit ID 0x23",
    );
  });

  it("tells an ejection", async () => {
    const machine = await machineWith(SPIN, { apicIds: [0, 1] });
    const events: StoryEvent[] = [];
    new HotplugStory(machine, (event) => events.push(event));
    machine.unplug({ apicId: 1 });
    machine.unplug({ apicId: 1, force: true });
    expect(events.map(({ kind }) => kind)).toEqual(["removal", "ejected"]);
  });
});
