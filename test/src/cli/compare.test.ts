/** Messages and texts of two runs, compared. */
import { describe, expect, it } from "vitest";
import * as abi from "../../../assembly/abi.js";
import {
  differenceSentence,
  disputedIds,
  firstDifference,
  firstDifferenceOfAll,
  linesMissingIn,
} from "../../../src/cli/compare.js";
import { parsePolicies } from "../../../src/cli/diff-options.js";
import { messageName, takers, type SentMessage } from "../../../src/cli/messages.js";

interface Sketch {
  readonly dest?: number;
  readonly deliveryMode?: number;
  readonly shorthand?: number;
  readonly senderId?: number;
  /** CPUs that are selected: APIC ID, outcome. */
  readonly selected?: readonly (readonly [apicId: number, outcome: number])[];
}

/** A Fixed 40H from CPU 0 to 0x23; CPUs 0, 0x23 and 0x123 are there. */
function message(sketch: Sketch = {}): SentMessage {
  const { dest = 0x23, deliveryMode = 0, shorthand = 0, senderId = 0 } = sketch;
  const selected = new Map(sketch.selected ?? [[0x23, abi.OUTCOME_ACCEPTED]]);
  return {
    senderId,
    sent: {
      kind: "message",
      number: 1,
      sender: 0,
      now: 0n,
      dest,
      logical: false,
      shorthand,
      deliveryMode,
      vector: 0x40,
      levelTriggered: false,
      assert: true,
      hint: false,
      path: abi.PATH_MAP,
      injected: 0,
      rule: 0,
      result: 0,
    },
    cpus: [0, 0x123, 0x23].map((apicId, vcpuIndex) => ({
      kind: selected.has(apicId) ? "target" : "other",
      number: 1,
      vcpuIndex,
      apicId,
      mode: "x2APIC",
      xid: apicId & 0xff,
      ldr: 0,
      dfr: 0,
      softwareEnabled: true,
      tpr: 0,
      ppr: 0,
      runState: 0,
      reason: selected.has(apicId) ? abi.MATCH_X2ID : abi.MISS_X2ID,
      outcome: selected.get(apicId) ?? abi.OUTCOME_NONE,
    })),
  };
}

const BOTH = message({
  selected: [
    [0x123, abi.OUTCOME_MERGED],
    [0x23, abi.OUTCOME_ACCEPTED],
  ],
});
const NOBODY = message({ selected: [] });

describe("takers", () => {
  it.each([
    [abi.OUTCOME_ACCEPTED, true],
    [abi.OUTCOME_MERGED, true],
    [abi.OUTCOME_BELOW_PPR, true],
    [abi.OUTCOME_NMI_QUEUED, true],
    [abi.OUTCOME_SIPI_LATE, true],
    [abi.OUTCOME_KICK, true],
    [abi.OUTCOME_SOFTWARE_DISABLED, false],
    [abi.OUTCOME_DEASSERT, false],
    [abi.OUTCOME_ILLEGAL_VECTOR, false],
    [abi.OUTCOME_EXTINT, false],
    [abi.OUTCOME_SMI, false],
  ])("with outcome %i count: %s", (outcome, counts) => {
    expect(takers(message({ selected: [[0x123, outcome]] }))).toEqual(counts ? [0x123] : []);
  });

  it("come in the order of their IDs", () => {
    expect(takers(BOTH)).toEqual([0x23, 0x123]);
  });
});

describe("messageName", () => {
  it.each([
    [{}, "Fixed 0x40 to 0x23"],
    [{ dest: 0x123, deliveryMode: 5 }, "INIT to 0x123"],
    [{ deliveryMode: 6 }, "STARTUP 0x40 to 0x23"],
    [{ deliveryMode: 4, shorthand: 3 }, "NMI to all but itself"],
  ])("of %j is %j", (sketch, name) => {
    expect(messageName(message(sketch))).toBe(name);
  });
});

describe("firstDifference", () => {
  it("finds the first pair with other receivers", () => {
    const [same, one] = [message(), message()];
    expect(firstDifference([same, one, BOTH, NOBODY], [one, same, one, one])).toEqual({
      alike: 2,
      message: BOTH,
      base: one,
    });
  });

  it.each<[string, Sketch]>([
    ["another destination", { dest: 0x24 }],
    ["another mode", { deliveryMode: 4 }],
    ["another sender", { senderId: 0x23 }],
    ["a shorthand", { shorthand: 2 }],
  ])("finds %s, with the same receivers", (_name, sketch) => {
    expect(firstDifference([message(sketch)], [message()])).toMatchObject({ alike: 0 });
  });

  it("does not mind when one list goes on; firstDifferenceOfAll does", () => {
    const [one, two] = [message(), message()];
    expect(firstDifference([one, two], [one])).toBeUndefined();
    expect(firstDifferenceOfAll([one, two], [one])).toEqual({
      alike: 1,
      message: two,
      base: undefined,
    });
    expect(firstDifferenceOfAll([one], [two])).toBeUndefined();
  });
});

describe("differenceSentence", () => {
  const one = message();
  it.each([
    [BOTH, one, "Fixed 0x40 to 0x23 reaches 0x23 and 0x123, not 0x23: its x2APIC ID is 0x123"],
    [NOBODY, one, "Fixed 0x40 to 0x23 reaches nobody, not 0x23: its x2APIC ID is 0x23"],
    [message({ dest: 0 }), one, "the guest sends Fixed 0x40 to 0x00, not Fixed 0x40 to 0x23"],
    [one, undefined, "the guest sends more: Fixed 0x40 to 0x23"],
    [undefined, one, "the guest does not send Fixed 0x40 to 0x23"],
  ])("says what it is", (after, before, sentence) => {
    expect(differenceSentence({ alike: 0, message: after, base: before })).toBe(sentence);
  });

  it("is about CPUs that took one message only", () => {
    expect(disputedIds(BOTH, one)).toEqual([0x123]);
    expect(disputedIds(one, BOTH)).toEqual([0x123]);
    expect(disputedIds(BOTH, BOTH)).toEqual([]);
  });
});

describe("linesMissingIn", () => {
  it.each([
    ["a\nb\nc", "a\nc", []],
    ["a\nc", "a\nb\nc", ["b"]],
    ["a\nc", "c\na", []],
    ["a", "a\na\na", ["a", "a"]],
    ["", "x", ["x"]],
  ])("%j lacks of %j: %j", (other, text, missing) => {
    expect(linesMissingIn(other, text)).toEqual(missing);
  });
});

describe("a list of policies", () => {
  it.each([
    ["kvm,knl", ["kvm", "knl"]],
    ["kvm, ids32=off,quirk=on,knl", ["kvm,ids32=off,quirk=on", "knl"]],
    ["kvm,kvm,low=all", ["kvm", "kvm,low=all"]],
  ])("%j is %j", (text, policies) => {
    expect(parsePolicies(text)).toEqual(policies);
  });

  it("can be all presets", () => {
    expect(parsePolicies("all").length).toBeGreaterThan(5);
    expect(parsePolicies("all")[0]).toBe("kvm");
  });

  it.each(["kvm", "", "kvm,low=all"])("%j is refused", (text) => {
    expect(() => parsePolicies(text)).toThrow(expect.objectContaining({ code: "USAGE" }));
  });
});
