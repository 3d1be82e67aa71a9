/** KVM_CHECK_EXTENSION and KVM_ENABLE_CAP, and the userspace that asks before it hot-adds a CPU above 255. */
import { describe, expect, it } from "vitest";
import { KVM_CAP, KVM_X2APIC_API, KVM_X86_QUIRK, Machine, X2vmError } from "../../src/index.js";

const {
  USE_32BIT_IDS,
  DISABLE_BROADCAST_QUIRK,
  ENABLE_SUPPRESS_EOI_BROADCAST,
  DISABLE_SUPPRESS_EOI_BROADCAST,
} = KVM_X2APIC_API;
const machine = (policy: string): Promise<Machine> =>
  Machine.create({ apicIds: [0, 0x23], policy, vcpuCapacity: 8, memoryBytes: 1 << 20 });

describe("checkExtension", () => {
  it.each([
    ["kvm", KVM_CAP.X2APIC_API, 0xf],
    ["kvm,quirk=on", KVM_CAP.X2APIC_API, 0xf],
    ["kvm-legacy", KVM_CAP.X2APIC_API, 3],
    ["knl", KVM_CAP.X2APIC_API, 0],
    ["strict8", KVM_CAP.X2APIC_API, 0],
    ["kvm", KVM_CAP.MAX_VCPUS, 8],
    ["kvm", KVM_CAP.NR_VCPUS, 8],
    ["kvm", KVM_CAP.DISABLE_QUIRKS, 1],
    ["kvm", KVM_CAP.DISABLE_QUIRKS2, 5],
    ["kvm", KVM_CAP.APIC_BUS_CYCLES_NS, 1],
    ["kvm,busCycle=40", KVM_CAP.APIC_BUS_CYCLES_NS, 40],
    ["kvm", KVM_CAP.SET_BOOT_CPU_ID, 1],
    ["kvm", -1, 0],
    ["kvm", NaN, 0],
    ["kvm", KVM_CAP.MAX_VCPU_ID, 0xffffffff],
    ["kvm", KVM_CAP.SPLIT_IRQCHIP, 1],
    ["kvm", 9999, 0],
  ])("under %s answers %i with %i", async (policy, capability, answer) => {
    expect((await machine(policy)).interrupts.checkExtension(capability)).toBe(answer);
  });
});

describe("enableCap", () => {
  it.each([
    ["an unknown flag", "kvm", KVM_CAP.X2APIC_API, 0x10, /0x10 is unknown/],
    ["a known and an unknown one", "kvm", KVM_CAP.X2APIC_API, 0x80000001, /0x80000000 is unknown/],
    [
      "a flag younger than 4.9",
      "kvm-legacy",
      KVM_CAP.X2APIC_API,
      ENABLE_SUPPRESS_EOI_BROADCAST,
      /0x4 is unknown/,
    ],
    [
      "both EOI flags",
      "kvm",
      KVM_CAP.X2APIC_API,
      ENABLE_SUPPRESS_EOI_BROADCAST | DISABLE_SUPPRESS_EOI_BROADCAST,
      /both on and off/,
    ],
    ["another capability", "kvm", KVM_CAP.MAX_VCPUS, 1, /66 cannot be enabled/],
    ["anything on a real part", "knl", KVM_CAP.X2APIC_API, 1, /129 cannot be enabled/],
    ["no number", "kvm", KVM_CAP.X2APIC_API, NaN, /unknown/],
    ["half a flag", "kvm", KVM_CAP.X2APIC_API, 1.5, /1.5 is unknown/],
    ["negative flags", "kvm", KVM_CAP.X2APIC_API, -1, /-1 is unknown/],
    ["a flag above 32 bits", "kvm", KVM_CAP.X2APIC_API, 2 ** 32, /0x100000000 is unknown/],
    ["text", "kvm", KVM_CAP.X2APIC_API, "1" as unknown as number, /1 is unknown/],
    ["an unknown quirk", "kvm", KVM_CAP.DISABLE_QUIRKS2, 7, /0x2 is unknown/],
    ["a second irqchip", "kvm", KVM_CAP.SPLIT_IRQCHIP, 24, /has the split irqchip already/],
    [
      "a bus cycle when vCPUs are there",
      "kvm",
      KVM_CAP.APIC_BUS_CYCLES_NS,
      2,
      /policy to say \(busCycle\)/,
    ],
    ["a limit above all IDs", "kvm", KVM_CAP.MAX_VCPU_ID, 2 ** 32, /to 0xffffffff/],
    ["a capability that is no number", "kvm", NaN, 1, /NaN cannot be enabled/],
  ])("refuses %s", async (_name, policy, capability, flags, sentence) => {
    const target = await machine(policy);
    expect(() => target.interrupts.enableCap(capability, flags)).toThrow(X2vmError);
    expect(() => target.interrupts.enableCap(capability, flags)).toThrow(sentence);
  });

  it("turns flags on and never off", async () => {
    const target = await machine("kvm-f0");
    const hotplug = (): unknown => target.hotplug({ apicId: 0x123 });
    expect(hotplug).toThrow(/USE_32BIT_IDS/);
    target.interrupts.enableCap(KVM_CAP.X2APIC_API, DISABLE_BROADCAST_QUIRK);
    expect(hotplug).toThrow(/USE_32BIT_IDS/);
    target.interrupts.enableCap(KVM_CAP.X2APIC_API, USE_32BIT_IDS);
    target.interrupts.enableCap(KVM_CAP.X2APIC_API, 0);
    expect(hotplug).not.toThrow();
  });

  it("shows in the version register where EOI broadcasts can be suppressed", async () => {
    const target = await machine("kvm");
    const version = (): bigint => target.vcpus[0]!.readMsr(0x803)!;
    target.vcpus[0]!.writeMsr(0x1b, 0xfee00d00n);
    expect(version()).toBe(0x1050014n); // the split irqchip: advertised, without effect
    target.interrupts.enableCap(KVM_CAP.X2APIC_API, ENABLE_SUPPRESS_EOI_BROADCAST);
    expect(version()).toBe(0x1050014n);
    target.interrupts.enableCap(KVM_CAP.X2APIC_API, DISABLE_SUPPRESS_EOI_BROADCAST);
    expect(version()).toBe(0x50014n);
  });
});

describe("KVM_CAP_MAX_VCPU_ID", () => {
  it("bounds the IDs of CPUs that are added, once", async () => {
    const target = await machine("kvm");
    target.interrupts.enableCap(KVM_CAP.MAX_VCPU_ID, 0x124);
    const add = (apicId: number): unknown => target.hotplug({ apicId, force: true });
    expect(() => add(0x124)).toThrow(expect.objectContaining({ code: "APIC_ID_RANGE" }));
    expect(() => add(0x124)).toThrow(/0x124 is not below 0x124/);
    expect(() => add(0x123)).not.toThrow();
    target.interrupts.enableCap(KVM_CAP.MAX_VCPU_ID, 0x124);
    expect(() => target.interrupts.enableCap(KVM_CAP.MAX_VCPU_ID, 0x200)).toThrow(/0x124 already/);
    expect(() => add(0x150)).toThrow(/not below 0x124/);
  });

  // KVM kvm_vm_ioctl_enable_cap: refused only where bsp_vcpu_id is above it
  it.each([
    [0x22, /from 0x23, the boot CPU/],
    [0x23, /not below 0x23/],
    [0x24, /not below 0x24/],
  ])("set to %i beside boot CPU 0x23", async (limit, sentence) => {
    const target = await Machine.create({ apicIds: [0x23], memoryBytes: 1 << 20 });
    const limitThenAdd = (): void => {
      target.interrupts.enableCap(KVM_CAP.MAX_VCPU_ID, limit);
      target.hotplug({ apicId: 0x24 });
    };
    expect(limitThenAdd).toThrow(sentence);
  });

  it("stays unset by 0", async () => {
    const target = await machine("kvm");
    target.interrupts.enableCap(KVM_CAP.MAX_VCPU_ID, 0);
    target.interrupts.enableCap(KVM_CAP.MAX_VCPU_ID, 0x200);
    expect(() => target.interrupts.enableCap(KVM_CAP.MAX_VCPU_ID, 0)).toThrow(/0x200 already/);
  });
});

describe("quirks", () => {
  const knobs = (target: Machine): (number | undefined)[] =>
    ["lint0Reenabled", "mmioHole"].map((name) => target.interrupts.policy.knobs.get(name));

  it.each([
    [KVM_CAP.DISABLE_QUIRKS2, KVM_X86_QUIRK.LAPIC_MMIO_HOLE, [1, 0]],
    [KVM_CAP.DISABLE_QUIRKS2, KVM_X86_QUIRK.LINT0_REENABLED, [0, 1]],
    [KVM_CAP.DISABLE_QUIRKS, 0xff, [0, 0]],
    [KVM_CAP.DISABLE_QUIRKS, 2, [1, 1]],
  ])("of capability %i, disabled by %i, leave %j", async (capability, quirks, left) => {
    const target = await machine("kvm");
    target.interrupts.enableCap(capability, quirks);
    target.interrupts.enableCap(capability, 0);
    expect(knobs(target)).toEqual(left);
  });
});

describe("a careful userspace", () => {
  it.each([
    ["kvm", true],
    ["x2apic-reset", true],
    ["kvm-f0", false],
    ["kvm-legacy", false],
    ["knl", false],
    ["strict8", false],
  ])("under %s hot-adds CPU 0x123: %s", async (policy, allowed) => {
    const target = await machine(policy);
    const add = (): unknown => target.hotplug({ apicId: 0x123 });
    if (allowed) {
      expect(add).not.toThrow();
      return;
    }
    expect(add).toThrow(/CPU 0x123 could never be woken/);
    expect(target.vcpus.length).toBe(2); // the guest saw nothing of it
    expect(() => target.hotplug({ apicId: 0x45 })).not.toThrow();
    expect(() => target.hotplug({ apicId: 0x123, force: true })).not.toThrow();
  });
});
