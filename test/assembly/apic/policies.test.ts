/** The presets of src/policies.ts in the core: every cell of the decision tables, and every knob on its own. */
import { describe, expect, it } from "vitest";
import { CASE_ROWS } from "../../apic/rows-cases.js";
import { MIXED_ROWS } from "../../apic/rows-mixed.js";
import { expectations, machineOf, messageIn, type Expectation } from "../../apic/rows.js";
import type { ModelPolicyName } from "../../apic/presets.js";
import { Apics, FIXED, INIT, NMI, STARTUP } from "../../support/apics.js";
import { PATH_MAP } from "../../../assembly/abi.js";

const apics = await Apics.create();

/** Column of a decision table, and the policy that a user would name. */
const COLUMNS: Partial<Record<ModelPolicyName, string>> = {
  kvm: "kvm,quirk=on",
  "kvm-noquirk": "kvm",
  "kvm-scan": "kvm-scan,quirk=on",
  "kvm-f0": "kvm-f0",
  "kvm-legacy": "kvm-legacy",
  knl: "knl",
  "x2apic-reset": "x2apic-reset",
  strict8: "strict8",
};

const cells = expectations([...MIXED_ROWS, ...CASE_ROWS])
  .filter((cell) => COLUMNS[cell.policy] !== undefined)
  .map((cell): [string, Expectation] => [`${cell.row.name} under ${cell.policy}`, cell]);

const ascending = (ids: readonly number[]): number[] => [...ids].sort((a, b) => a - b);

describe("decision tables under the presets", () => {
  it("cover all presets", () => {
    expect(new Set(cells.map(([, cell]) => cell.policy)).size).toBe(Object.keys(COLUMNS).length);
    expect(cells.length).toBeGreaterThan(400);
  });

  it.each(cells)("%s", (_name, { row, policy, ids, path }) => {
    for (const mode of [NMI, INIT, STARTUP, FIXED]) {
      apics.clear(COLUMNS[policy]);
      const cpus = machineOf(row, policy);
      for (const { x2id, mode: cpuMode, xid, sw, ldr, dfr } of cpus) {
        apics.add(x2id, { mode: cpuMode, xid, svr: sw ? 0x1ff : 0xff, logicalId: ldr >>> 24, dfr });
      }
      const msg = messageIn(row, cpus, mode);
      const { dest, logical, shorthand, vector } = msg;
      if (msg.from === null) {
        const address = 0xfee00000 | ((dest & 0xff) << 12) | (logical ? 4 : 0);
        apics.x.apicSignalMsi(address, dest & 0xffffff00, (mode << 8) | vector);
      } else {
        apics.send(msg.from, dest, { mode, vector, logical, shorthand });
      }
      const takes = (id: number): boolean =>
        mode !== FIXED || cpus.find((cpu) => cpu.x2id === id)!.sw;
      expect(ascending(apics.accepted())).toEqual(ascending(ids.filter(takes)));
      if (path !== null) expect(apics.x.apicPath() === PATH_MAP ? "map" : "scan").toBe(path);
    }
  });
});

describe("a knob on its own", () => {
  // Policy; who takes an NMI of CPU 0 (x2APIC mode) to the destination, beside 0x23 and 0x123 in xAPIC mode.
  it.each([
    ["kvm-scan,high=hack", 0x123, [0x123]],
    ["kvm-scan,high=drop", 0x123, []],
    ["kvm-scan,high=truncate", 0x123, [0x23, 0x123]],
    ["kvm-scan", 0x23, [0x23, 0x123]],
    ["kvm-scan,low=owner", 0x23, [0x23]],
    ["kvm-scan,low=last", 0x23, [0x123]],
    ["kvm,followIds32=off,low=last", 0x23, [0x123]],
    ["kvm,followIds32=off,low=all", 0x23, [0x23, 0x123]],
    ["kvm,followIds32=off,slot=map-mode", 0x123, []],
    ["kvm-scan,broadcast32=off", 0xffffffff, [0]],
    ["kvm-scan,broadcast32=on", 0xffffffff, [0, 0x23, 0x123]],
    ["kvm-scan,broadcast8=on", 0xff, [0x23, 0x123]],
    ["kvm-scan,broadcast8=off", 0xff, []],
    ["knl,truncatedBroadcast=on", 0x4ff, [0x23, 0x123]],
    ["knl,truncatedBroadcast=off", 0x4ff, []],
  ])("%s sends %i to %j", (policy, dest, ids) => {
    apics.clear(policy);
    apics.add(0);
    apics.add(0x23, { mode: "x" });
    apics.add(0x123, { mode: "x" });
    expect(apics.send(0, dest, { mode: NMI })).toEqual(ids);
  });

  it.each([
    [29, 0],
    [0xffffffff, 0],
    [0, 3],
    [3, 2],
    [25, 31],
    [25, 53],
  ])("refuses knob %i with value %i", (knob, value) => {
    apics.clear();
    const before = apics.x.apicKnob(knob);
    expect(apics.x.apicSetKnob(knob, value)).toBe(0);
    expect(apics.x.apicKnob(knob)).toBe(before);
  });
});
