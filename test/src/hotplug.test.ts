import { describe, expect, it } from "vitest";
import { Machine, type MachineOptions, type OstReport } from "../../src/index.js";
import { SPIN, exit, machineWith, outDx32, outDx8 } from "./guest-code.js";

const SELECT = 0xcd8, FLAGS = 0xcdc, COMMAND = 0xcdd, DATA = 0xce0; // prettier-ignore

/** mov dx, port; in eax, dx; mov [address], eax */
function inDx32(port: number, address: number): number[] {
  return [0xba, port & 0xff, port >> 8, 0x66, 0xed, 0x66, 0xa3, address & 0xff, address >> 8];
}

function dwords(machine: Machine, gpa: number, count: number): number[] {
  const view = new DataView(machine.readMemory(gpa, count * 4).buffer);
  return Array.from({ length: count }, (_, i) => view.getUint32(i * 4, true));
}

describe("Machine.hotplug", () => {
  it("adds a CPU that waits for INIT, and shows it to the guest by an insert event", async () => {
    const machine = await machineWith(
      [
        ...outDx8(COMMAND, 0),
        ...inDx32(DATA, 0x2000), // the slot with an event
        ...inDx32(FLAGS, 0x2004),
        ...outDx8(COMMAND, 3),
        ...inDx32(DATA, 0x2008), // its APIC ID
        ...outDx8(FLAGS, 0x02),
        ...inDx32(FLAGS, 0x200c),
        ...exit(0),
      ],
      { apicIds: [0, 0x23] },
    );
    const vcpu = machine.hotplug({ apicId: 0x123 });
    expect([vcpu.vcpuIndex, vcpu.apicId, vcpu.runState]).toEqual([2, 0x123, "uninitialized"]);
    expect(machine.vcpus[2]).toBe(vcpu);
    machine.run();
    expect(dwords(machine, 0x2000, 4)).toEqual([2, 0x03, 0x123, 0x01]);
  });

  it("happens at a given virtual time of a run", async () => {
    const machine = await machineWith(SPIN);
    machine.at(2e6, () => machine.hotplug({ apicId: 0x123 }));
    machine.run({ untilNs: 2e6 - 1 });
    expect(machine.cpuSlots).toHaveLength(1);
    machine.run({ untilNs: 2e6 + 1 });
    expect(machine.cpuSlots.map(({ apicId, isInserting }) => [apicId, isInserting])).toEqual([
      [0, false],
      [0x123, true],
    ]);
  });

  // machine, request, code, words of the sentence
  it.each<[MachineOptions, { apicId: number; force?: boolean }, string, string]>([
    [{ apicIds: [0, 0x23] }, { apicId: 0x23 }, "APIC_ID_TAKEN", "0x23 belongs to a CPU"],
    [{ apicIds: [0, 0x23] }, { apicId: 0x23, force: true }, "APIC_ID_TAKEN", "0x23"],
    [{}, { apicId: 0xffffffff }, "APIC_ID_RANGE", "addresses all CPUs"],
    [{}, { apicId: 0xffffffff, force: true }, "APIC_ID_RANGE", "addresses all CPUs"],
    [{}, { apicId: 2 ** 32 }, "APIC_ID_RANGE", "not a 32-bit APIC ID"],
    [{}, { apicId: -1 }, "APIC_ID_RANGE", "-1"],
    [{}, { apicId: 1.5 }, "APIC_ID_RANGE", "1.5"],
    [
      { possibleApicIds: [0x123] },
      { apicId: 0x124 },
      "APIC_ID_NOT_POSSIBLE",
      "0x124 is not among the possible CPUs: 0x0, 0x123",
    ],
    [{ vcpuCapacity: 1 }, { apicId: 1 }, "VCPU_CAPACITY", "All 1 vCPU slots"],
  ])("on %j refuses %j, and nothing has changed", async (options, request, code, words) => {
    const machine = await machineWith(SPIN, options);
    const before = machine.stateHash();
    expect(() => machine.hotplug(request)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(words) }),
    );
    expect(machine.stateHash()).toBe(before);
  });

  // an ID above 255, policy, whether a careful userspace adds it
  it.each([
    ["kvm", true],
    ["kvm,ids32=off", false],
    ["kvm-f0", false],
    ["kvm-legacy", false],
    ["knl", false],
    ["strict8", false],
    ["x2apic-reset", true],
    ["knl,hotplugX2apic=on", true],
    ["kvm,x2apic=off", false],
  ])("under policy %s adds CPU 0x123: %s; by force always", async (policy, isAdded) => {
    const machine = await machineWith(SPIN, { policy });
    const before = machine.stateHash();
    const add = () => machine.hotplug({ apicId: 0x123 }).apicId;
    if (isAdded) {
      expect(add()).toBe(0x123);
    } else {
      expect(add).toThrow(
        expect.objectContaining({
          code: "APIC_ID_UNREACHABLE",
          message: expect.stringContaining("CPU 0x123 could never be woken"),
        }),
      );
      expect(machine.stateHash()).toBe(before);
      expect(machine.hotplug({ apicId: 0x123, force: true }).apicId).toBe(0x123);
    }
  });

  it.each(["kvm-legacy", "knl", "strict8"])("adds an ID up to 255 under %s", async (policy) => {
    const machine = await machineWith(SPIN, { policy });
    expect(machine.hotplug({ apicId: 0xff }).apicId).toBe(0xff);
  });

  // IA32_APIC_BASE of the new CPU
  it.each([
    ["kvm", 0xfee00800n],
    ["x2apic-reset", 0xfee00c00n],
  ])("under policy %s a new CPU has APIC_BASE %d", async (policy, base) => {
    const machine = await machineWith(SPIN, { policy });
    expect(machine.hotplug({ apicId: 0x123 }).readMsr(0x1b)).toBe(base);
  });

  it("fills a slot of the possible CPUs", async () => {
    const machine = await Machine.create({ memoryBytes: 4096, possibleApicIds: [0x100, 0x123] });
    machine.hotplug({ apicId: 0x123 });
    expect(machine.cpuSlots.map(({ apicId, isEnabled }) => [apicId, isEnabled])).toEqual([
      [0, true],
      [0x100, false],
      [0x123, true],
    ]);
  });
});

describe("Machine.unplug", () => {
  it("asks the guest, which ejects the CPU", async () => {
    const machine = await machineWith(
      [
        ...outDx8(COMMAND, 0),
        ...inDx32(FLAGS, 0x2000),
        ...outDx8(FLAGS, 0x04),
        ...outDx8(FLAGS, 0x08),
        ...inDx32(FLAGS, 0x2004),
        ...exit(0),
      ],
      { apicIds: [0, 0x23] },
    );
    machine.unplug({ apicId: 0x23 });
    expect(machine.vcpus[1]!.runState).toBe("uninitialized");
    machine.run();
    expect(dwords(machine, 0x2000, 2)).toEqual([0x05, 0x00]);
    expect(machine.vcpus[1]!.runState).toBe("absent");
    expect(machine.cpuSlots[1]!.isEnabled).toBe(false);
  });

  it("takes a CPU away at once when forced, and its ID is free again", async () => {
    const machine = await Machine.create({ memoryBytes: 4096, apicIds: [0, 0x23] });
    machine.unplug({ apicId: 0x23, force: true });
    expect(machine.vcpus[1]!.runState).toBe("absent");
    expect(machine.hotplug({ apicId: 0x23 }).runState).toBe("uninitialized");
  });

  it.each([
    [0x24, "NO_VCPU"],
    [0x00, "BOOT_CPU"],
  ])("refuses CPU %#x", async (apicId, code) => {
    const machine = await Machine.create({ memoryBytes: 4096, apicIds: [0, 0x23] });
    expect(() => machine.unplug({ apicId, force: true })).toThrow(
      expect.objectContaining({ code }),
    );
  });
});

describe("Machine.onOst", () => {
  it("tells what the guest reports on an event", async () => {
    const machine = await machineWith(
      [
        ...outDx32(SELECT, 1),
        ...outDx8(COMMAND, 1),
        ...outDx32(DATA, 1),
        ...outDx8(COMMAND, 2),
        ...outDx32(DATA, 0),
        ...exit(0),
      ],
      { apicIds: [0, 0x23] },
    );
    const reports: OstReport[] = [];
    machine.onOst((report) => reports.push(report));
    machine.run();
    expect(reports).toEqual([{ apicId: 0x23, event: 1, status: 0 }]);
  });
});

describe("a CPU that is added again", () => {
  it("has its registers as after power-up", async () => {
    const machine = await Machine.create({ apicIds: [0, 0x23], memoryBytes: 1 << 20 });
    const fresh = (): unknown => {
      const cpu = machine.vcpus[1]!;
      const msrs = [0x10, 0x174, 0x200, 0x277, 0x2ff, 0xc0000081, 0xc0000102, 0xc0000103];
      return [msrs.map((msr) => cpu.readMsr(msr)), { ...cpu.gpr }, cpu.rip, cpu.lapic.state];
    };
    const before = fresh();
    const cpu = machine.vcpus[1]!;
    for (const msr of [0x174, 0x200, 0x2ff, 0xc0000081, 0xc0000102, 0xc0000103, 0x10]) {
      expect(cpu.writeMsr(msr, 6n)).toBe(true);
    }
    cpu.gpr.rbx = 1n;
    machine.unplug({ apicId: 0x23, force: true });
    machine.hotplug({ apicId: 0x23 });
    expect(fresh()).toEqual(before);
  });
});
