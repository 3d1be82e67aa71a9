/** KVM's hypercalls that send interrupts, on the core: SEND_IPI looks at the physical map alone. */
import { describe, expect, it } from "vitest";
import { createApicCore } from "../../src/apic-machine.js";
import { CoreDriver, knobsOf } from "./core-driver.js";
import { MODEL_POLICIES, type ModelPolicyName } from "./presets.js";
import { processor } from "./sides.js";

const core = await createApicCore();
const NMI = 0x4400;
const FIXED_40 = 0x4040;

/** x2APIC-mode CPUs; the one that is last stays as created: xAPIC mode, software-disabled. */
function machine(
  running: readonly number[],
  fresh: readonly number[],
  policy: ModelPolicyName = "kvm",
): CoreDriver {
  const driver = new CoreDriver(core, knobsOf(MODEL_POLICIES[policy]));
  running.forEach((id) => processor(driver, "x2", id));
  fresh.forEach((id) => driver.addVcpu(id, false, true));
  return driver;
}

/** @param words - bitmap in 32-bit words, lowest first */
function sendIpi(words: readonly number[], lowest: number, icr: number, is64 = true): number {
  const [a = 0, b = 0, c = 0, d = 0] = words;
  return core.exports.apicPvSendIpi(a, b, c, d, lowest, icr, is64 ? 1 : 0);
}

describe("SEND_IPI", () => {
  it("counts who accepted, bit by bit from the lowest ID", () => {
    const driver = machine([0, 1, 2, 5], []);
    expect(sendIpi([0b100111], 0, FIXED_40)).toBe(4);
    expect([0, 1, 2, 3].map((n) => driver.pending(n))).toEqual([0x40, 0x40, 0x40, 0x40]);
  });

  it("puts the second word 64 IDs up, for a 32-bit caller 32", () => {
    const driver = machine([0x20, 0x40], []);
    expect(sendIpi([0, 0, 1], 0, FIXED_40, true)).toBe(1);
    expect([driver.pending(0), driver.pending(1)]).toEqual([-1, 0x40]);
    const other = machine([0x20, 0x40], []);
    expect(sendIpi([0, 0, 1], 0, FIXED_40, false)).toBe(1);
    expect([other.pending(0), other.pending(1)]).toEqual([0x40, -1]);
  });

  it("ignores the upper halves of a 32-bit caller's registers", () => {
    machine([0x20], []);
    expect(sendIpi([0, 1], 0, FIXED_40, false)).toBe(0);
    expect(sendIpi([0, 1], 0, FIXED_40, true)).toBe(1);
  });

  it.each([0x0800, 0x40000, 0x80000, 0xc0000])("refuses ICR bit %x", (bit) => {
    machine([0], []);
    expect(sendIpi([1], 0, FIXED_40 | bit)).toBe(-22);
  });

  it("reaches nobody beyond the map", () => {
    machine([0], []);
    expect(sendIpi([1], 0xffffffff, FIXED_40)).toBe(0);
    expect(sendIpi([0xffffffff, 0xffffffff], 0x1000, FIXED_40)).toBe(0);
  });

  it("reaches a CPU in xAPIC mode by its 32-bit ID; Fixed counts only where SVR[8] is set", () => {
    machine([0, 0x23], [0x123]);
    expect(sendIpi([0, 0, 1], 0xe3, NMI)).toBe(1);
    expect(sendIpi([0, 0, 1], 0xe3, FIXED_40)).toBe(0);
  });

  it("knows no broadcast", () => {
    const driver = machine([0, 0xff], []);
    expect(sendIpi([1], 0xff, FIXED_40)).toBe(1);
    expect([driver.pending(0), driver.pending(1)]).toEqual([-1, 0x40]);
  });

  it("has no answer without a map", () => {
    machine([0, 0x23], [0x123], "kvm-f0");
    expect(sendIpi([1], 0, FIXED_40)).toBe(-95);
    machine([0, 0x23], [], "kvm-f0");
    expect(sendIpi([1], 0, FIXED_40)).toBe(1);
  });
});

describe("KICK_CPU", () => {
  it("goes to a physical ID as a message without a sender does", () => {
    machine([0, 0x23], [0x123]);
    expect(core.exports.apicPvKick(0x123)).toBe(1);
    expect(core.exports.apicPvKick(0x77)).toBe(0);
    expect(core.exports.apicPvKick(0xff)).toBe(3); // the broadcast quirk
  });
});
