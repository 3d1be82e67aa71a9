/** Policies by name, with knobs changed, and what a careful host makes of them. */
import { describe, expect, it } from "vitest";
import { createApicCore } from "../../src/apic-machine.js";
import { X2vmError } from "../../src/errors.js";
import { KNOBS, knobByName, knobText } from "../../src/knobs.js";
import { longIdObstacle, parsePolicy, PRESETS } from "../../src/policies.js";
import { exit, machineWith } from "./guest-code.js";

const valueOf = (policy: string, knob: string): string =>
  knobText(knobByName(knob), parsePolicy(policy).knobs.get(knob)!);

describe("knobs", () => {
  it("are numbered in order, named once and explained", () => {
    expect(KNOBS.map(({ id }) => id)).toEqual(KNOBS.map((_, n) => n));
    expect(new Set(KNOBS.map(({ name }) => name)).size).toBe(KNOBS.length);
    for (const { meaning } of KNOBS) expect(meaning).toMatch(/^[A-Z0-9a-z].*\.$/);
  });

  it("start in the core as policy kvm sets them", async () => {
    const core = await createApicCore();
    const inCore = KNOBS.map(({ name, id }) => [name, core.exports.apicKnob(id) >>> 0]);
    expect(inCore).toEqual([...parsePolicy("kvm").knobs]);
  });

  it("take every value that they name, and no other", async () => {
    const core = await createApicCore();
    for (const { id, values, range } of KNOBS) {
      const [least, largest] = range ?? [0, values!.length - 1];
      expect(core.exports.apicSetKnob(id, least)).toBe(1);
      expect(core.exports.apicSetKnob(id, largest)).toBe(1);
      if (largest < 0xffffffff) expect(core.exports.apicSetKnob(id, largest + 1)).toBe(0);
      if (least > 0) expect(core.exports.apicSetKnob(id, least - 1)).toBe(0);
    }
  });
});

describe("the knob maxPhyAddr", () => {
  it.each(PRESETS.map(({ name }) => name))("is under %s what CPUID reports", async (policy) => {
    // mov eax, 80000008H; cpuid; mov [2000H], eax
    const code = [0x66, 0xb8, 0x08, 0x00, 0x00, 0x80, 0x0f, 0xa2, 0x66, 0xa3, 0x00, 0x20];
    const machine = await machineWith([...code, ...exit(0)], { policy });
    machine.run({ maxInstructions: 100 });
    expect(machine.readMemory(0x2000, 1)[0]).toBe(parsePolicy(policy).knobs.get("maxPhyAddr"));
  });
});

describe("a policy", () => {
  it.each(PRESETS.map(({ name }) => name))(
    "%s has a value for every knob and one sentence",
    (name) => {
      const policy = parsePolicy(name);
      expect(policy.knobs.size).toBe(KNOBS.length);
      expect(policy.description).toMatch(/^[^.]+(\d\.\d+[^.]*)*\.$/);
    },
  );

  it("takes changes by knob", () => {
    expect(valueOf("kvm, ids32=off ,quirk=on,periodMin=500", "ids32")).toBe("off");
    expect(valueOf("kvm,ids32=off,quirk=on,periodMin=500", "periodMin")).toBe("500");
    expect(valueOf("kvm,ids32=off", "slot")).toBe("map-both");
  });

  it.each([
    ["kvn", /no policy "kvn".*kvm-legacy/],
    ["", /no policy ""/],
    ["kvm,colour=red", /no knob colour/],
    ["kvm,slot", /not of the form knob=value/],
    ["kvm,slot=scan=x", /not of the form knob=value/],
    ["kvm,slot=map", /scan, map-both, map-mode, not map/],
    ["kvm,quirk=1", /off, on, not 1/],
    ["kvm,periodMin=-1", /from 0 to 4294967295, not -1/],
    ["kvm,periodMin=", /not \.$/],
    ["kvm,periodMin=1.5", /not 1\.5/],
    ["kvm,maxPhyAddr=53", /from 32 to 52, not 53/],
  ])("written %j is refused", (text, sentence) => {
    expect(() => parsePolicy(text)).toThrow(X2vmError);
    expect(() => parsePolicy(text)).toThrow(sentence);
  });
});

describe("an ID above 255", () => {
  it.each([
    ["kvm", undefined],
    ["x2apic-reset", undefined],
    ["kvm-scan", undefined],
    ["kvm-f0", /USE_32BIT_IDS/],
    ["kvm,ids32=off", /USE_32BIT_IDS/],
    ["kvm-legacy", /8-bit ID only/],
    ["kvm-legacy,slot=scan", /compares 8 bits/],
    ["knl", /low byte/],
    ["strict8", /ignores destinations/],
    ["kvm,x2apic=off", /no x2APIC mode/],
    ["knl,hotplugX2apic=on", undefined],
  ])("can be hot-added under %s, or there is a reason", (name, reason) => {
    const obstacle = longIdObstacle(parsePolicy(name));
    if (reason === undefined) expect(obstacle).toBeUndefined();
    else expect(obstacle).toMatch(reason);
  });
});
