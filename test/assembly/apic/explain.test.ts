/** Explanations: they agree with the delivery, and they read as sentences. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as abi from "../../../assembly/abi.js";
import { describeApicEvent } from "../../../src/trace/apic-text.js";
import {
  TRACE_MESSAGES,
  TRACE_OTHERS,
  TRACE_TARGETS,
  type ApicTargetEvent,
} from "../../../src/trace/apic.js";
import { Apics, FIXED, INIT, KICK, LOWEST, NMI, STARTUP } from "../../support/apics.js";
import { PRESETS } from "../../../src/policies.js";

const apics = await Apics.create();
const EVERYTHING = TRACE_MESSAGES | TRACE_TARGETS | TRACE_OTHERS;
const REFUSED = [
  abi.OUTCOME_SOFTWARE_DISABLED,
  abi.OUTCOME_DEASSERT,
  abi.OUTCOME_ILLEGAL_VECTOR,
  abi.OUTCOME_EXTINT,
  abi.OUTCOME_SMI,
];

const targets = (): ApicTargetEvent[] =>
  apics.events.flatMap((event) =>
    event.kind === "target" || event.kind === "other" ? [event] : [],
  );

const sentences = (): string[] =>
  apics.events.map((event) => describeApicEvent(event, (n) => apics.apicId(n)));

describe("an explained delivery", () => {
  const cpu = fc.record({
    mode: fc.constantFrom("off" as const, "x" as const, "x2" as const),
    xid: fc.constantFrom(0x20, 0x21, 0x23),
    svr: fc.constantFrom(0x1ff, 0xff),
    logicalId: fc.constantFrom(0, 1, 2, 3, 0x11),
    dfr: fc.constantFrom(0xffffffff, 0x0fffffff, 0x1fffffff),
    runState: fc.constantFrom(0, 1, 2, 3),
  });
  const ipi = fc.record({
    from: fc.integer({ min: -1, max: 4 }),
    dest: fc.constantFrom(
      0x20,
      0x21,
      0x23,
      0x120,
      0x123,
      0xff,
      0x3ff,
      1,
      0x0002ffff,
      0x00120009,
      0xffffffff,
    ),
    logical: fc.boolean(),
    shorthand: fc.integer({ min: 0, max: 3 }),
    mode: fc.integer({ min: 0, max: 7 }),
    vector: fc.constantFrom(3, 0x30, 0x31, 0xf2),
    level: fc.constantFrom(0, 1),
    trigger: fc.constantFrom(0, 1),
    hint: fc.boolean(),
  });
  const IDS = [0x20, 0x21, 0x23, 0x120, 0x123];

  it.each(PRESETS.map(({ name }) => name))(
    "names exactly the LAPICs that accept, under %s",
    (policy) => {
      fc.assert(
        fc.property(
          fc.array(cpu, { minLength: 5, maxLength: 5 }),
          fc.array(ipi, { minLength: 1, maxLength: 4 }),
          (cpus, ipis) => {
            apics.clear(policy);
            cpus.forEach((setup, n) => apics.add(IDS[n]!, setup));
            apics.x.setTraceMask(EVERYTHING);
            for (const { from, hint, ...rest } of ipis) {
              apics.events.length = 0;
              let ret: number;
              if (from < 0) {
                const address =
                  0xfee00000 | ((rest.dest & 0xff) << 12) | (hint ? 8 : 0) | (rest.logical ? 4 : 0);
                const data = rest.vector | (rest.mode << 8) | (rest.trigger << 15);
                ret = apics.x.apicSignalMsi(address, rest.dest & 0xffffff00, data);
              } else {
                apics.send(from, rest.dest, rest);
                ret = 0;
              }
              const took = apics.accepted();
              const explained = targets().filter(
                (t) => t.kind === "target" && !REFUSED.includes(t.outcome),
              );
              expect(explained.map((t) => t.apicId)).toEqual(took);
              expect(targets().length).toBe(IDS.length);
              const result = apics.events.at(-1)!;
              expect(result.kind).toBe("result");
              if (from < 0 && result.kind === "result") expect(result.result).toBe(ret);
              for (const sentence of sentences())
                expect(sentence).not.toMatch(/undefined|reason \d/);
            }
          },
        ),
        { numRuns: 400, seed: 3 },
      );
    },
  );

  it("goes the same way as an unexplained one", () => {
    const run = (mask: number): unknown => {
      apics.clear().add(0);
      const cpus = [apics.add(0x23), apics.addFresh(0x123)];
      apics.x.setTraceMask(mask);
      const took = [NMI, INIT, STARTUP, FIXED, KICK, LOWEST].flatMap((mode) =>
        apics.send(0, 0x123, { mode }),
      );
      return [took, cpus.map((n) => apics.request(n))];
    };
    expect(run(EVERYTHING)).toEqual(run(0));
  });

  it("tells what is asked for and nothing else", () => {
    const kinds = (mask: number): string[] => {
      apics.clear().add(0);
      apics.add(0x23);
      apics.x.setTraceMask(mask);
      apics.send(0, 0x23, { mode: NMI });
      return apics.events.map(({ kind }) => kind);
    };
    expect(kinds(0)).toEqual([]);
    expect(kinds(TRACE_MESSAGES)).toEqual(["message", "result"]);
    expect(kinds(TRACE_TARGETS)).toEqual(["target"]);
    expect(kinds(EVERYTHING)).toEqual(["message", "other", "target", "result"]);
  });
});

describe("the sentences", () => {
  /** The hot-add scene: CPU 0 and 0x23 in x2APIC mode, 0x123 just added. */
  function scene(policy: string, aMode: "x" | "x2" = "x2"): void {
    apics.clear(policy).add(0);
    apics.add(0x23, { mode: aMode });
    apics.addFresh(0x123);
    apics.setRunState(2, abi.UNINITIALIZED);
    apics.x.setTraceMask(EVERYTHING);
  }

  it("tell why the added CPU wakes under kvm", () => {
    scene("kvm");
    apics.send(0, 0x123, { mode: INIT, vector: 0 });
    expect(sentences()).toEqual([
      "#1 0x0: INIT to physical 0x123, by the map",
      "#1 0x0 not selected: its x2APIC ID is 0x0",
      "#1 0x23 not selected: its x2APIC ID is 0x23",
      "#1 0x123 (not started) accepts it: the map has it (xAPIC mode, x2APIC ID 0x123, 8-bit ID 0x23) under this ID",
      "#1 accepted by one",
    ]);
  });

  it("tell why it sleeps under kvm-legacy and its neighbour starves", () => {
    scene("kvm-legacy");
    apics.send(0, 0x123, { mode: INIT, vector: 0 });
    expect(sentences()[3]).toBe(
      "#1 0x123 not selected: the destination came in the other format; its mode is xAPIC",
    );
    apics.events.length = 0;
    apics.send(0, 0x23, { vector: 0x40 });
    expect(sentences().slice(0, 4)).toEqual([
      "#2 0x0: Fixed 0x40 to physical 0x23, by the map",
      "#2 0x0 not selected: its x2APIC ID is 0x0",
      "#2 0x23 not selected: the map gives this ID to another CPU",
      "#2 0x123 (not started) refuses it: software-disabled (SVR bit 8 = 0): the map has it (xAPIC mode, x2APIC ID 0x123, 8-bit ID 0x23) under this ID",
    ]);
  });

  it("tell why a neighbour is reset on Knights Landing", () => {
    scene("knl", "x");
    apics.send(0, 0x123, { mode: INIT, vector: 0 });
    expect(sentences()[2]).toBe(
      "#1 0x23 (running) accepts it: in xAPIC mode the low byte counts, and it is its 8-bit ID 0x23",
    );
  });

  it("tell a device's message, a de-assert and a late STARTUP", () => {
    scene("kvm");
    apics.x.apicSignalMsi(0xfee23008, 0, 0x8041);
    apics.send(0, 0, { mode: INIT, vector: 0, shorthand: 3, trigger: 1, level: 0 });
    apics.send(0, 0x23, { mode: STARTUP, vector: 0x9a });
    const all = sentences();
    expect(all).toContain("#1 device: Fixed 0x41 (redirection hint) to physical 0x23, by the map");
    expect(all).toContain("#2 0x0: INIT de-assert to all but self, by a scan");
    expect(all).toContain(
      "#2 0x23 (running) refuses it: level de-assert: a shorthand compares no ID",
    );
    expect(all).toContain(
      "#3 0x23 (running) accepts it and will discard it: it does not wait for STARTUP: the map has it under this ID",
    );
  });

  it("tell a CPU that the map does not know yet", () => {
    apics.clear().add(0);
    apics.addFresh(0x123, false);
    apics.x.setTraceMask(EVERYTHING);
    apics.send(0, 0x123, { mode: NMI });
    expect(sentences()).toContain(
      "#1 0x123 not selected: it was created after the map was last rebuilt",
    );
    expect(sentences()).toContain("#1 accepted by none");
  });
});
