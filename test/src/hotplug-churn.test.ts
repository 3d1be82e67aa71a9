/** CPUs that come and go very often: nothing is left behind. */
import { describe, expect, it } from "vitest";
import { Machine } from "../../src/index.js";
import { BUILDS } from "../support/machine.js";

const TIMES = 100_000;
const GONE_WITH_ITS_LAPIC = "kvm,unpluggedIgnores=on";
/** IDs all over the 32 bits, none twice in a row of `TIMES`, never 0xffffffff. */
const strangeId = (n: number) => Math.imul(2 * n + 1, 0x9e3779b1) >>> 0;

describe.each(BUILDS)("a CPU added and removed a hundred thousand times, %s core", (build) => {
  it("takes the same slot every time by the same ID, under every rule for unplugged LAPICs", async () => {
    for (const policy of ["kvm", GONE_WITH_ITS_LAPIC]) {
      const machine = await Machine.create({ build, policy, memoryBytes: 4096, vcpuCapacity: 2 });
      for (let i = 0; i < TIMES / 2; i++) {
        const { vcpuIndex } = machine.hotplug({ apicId: 0x123 });
        if (vcpuIndex !== 1) throw new Error(`slot ${vcpuIndex} at turn ${i}`);
        machine.unplug({ apicId: 0x123, force: true });
      }
      expect(machine.vcpus).toHaveLength(2);
      expect(machine.cpuSlots).toHaveLength(2);
    }
  });

  it("by another ID each time stays within the slots there are", async () => {
    const options = { build, policy: GONE_WITH_ITS_LAPIC, memoryBytes: 4096, vcpuCapacity: 8 };
    const machine = await Machine.create(options);
    for (let i = 0; i < TIMES; i++) {
      machine.hotplug({ apicId: strangeId(i) });
      machine.unplug({ apicId: strangeId(i), force: true });
    }
    expect(machine.vcpus).toHaveLength(8);
    expect(machine.cpuSlots).toHaveLength(8);
    const last = machine.hotplug({ apicId: 0x123 });
    expect([last.apicId, last.runState, last.retired]).toEqual([0x123, "uninitialized", 0n]);
  });

  it("is found by its ID among others that come and go, and those that went are not", async () => {
    const options = { build, policy: GONE_WITH_ITS_LAPIC, memoryBytes: 4096, vcpuCapacity: 64 };
    const machine = await Machine.create(options);
    const present: number[] = [];
    for (let i = 0; i < 5000; i++) {
      if (present.length === 63) {
        const [gone] = present.splice((i * 7) % 63, 1);
        machine.unplug({ apicId: gone!, force: true });
        expect(() => machine.unplug({ apicId: gone! })).toThrow(/No CPU has/);
      }
      present.push(strangeId(i));
      machine.hotplug({ apicId: strangeId(i) });
      for (const apicId of present.slice(0, 5)) {
        expect(() => machine.hotplug({ apicId })).toThrow(/belongs to a CPU/);
      }
    }
    const ids = machine.vcpus.map(({ apicId }) => apicId).slice(1);
    expect(ids.toSorted()).toEqual(present.toSorted());
  });

  it("is refused by another ID while parked LAPICs hold all slots, as KVM's do", async () => {
    const machine = await Machine.create({ build, memoryBytes: 4096, vcpuCapacity: 2 });
    machine.hotplug({ apicId: 1 });
    machine.unplug({ apicId: 1, force: true });
    expect(() => machine.hotplug({ apicId: 2 })).toThrow(
      expect.objectContaining({ code: "VCPU_CAPACITY" }),
    );
    expect(machine.hotplug({ apicId: 1 }).vcpuIndex).toBe(1);
  });
});
