/** Messages to a CPU that was unplugged while they were on their way, by the knob `unpluggedIgnores`. */
import { beforeEach, describe, expect, it } from "vitest";
import { Machine } from "../../src/index.js";
import { BUILDS } from "../support/machine.js";
import { SPIN, bootSector } from "./guest-code.js";

const TARGET = 0x23;
const VECTOR = 0x40;
const FIXED = 0x4000 | VECTOR;
const NMI = 0x4400;
const INIT = 0x4500;
const STARTUP = 0x4608;
const APIC_BASE = 0x1b;
const APIC_BASE_EXTD = 0x400n;
const X2APIC_SVR = 0x80f;
const X2APIC_ICR = 0x830;
/** IRR word with VECTOR, in the block of KVM_GET_LAPIC. */
const IRR_WORD = 0x220;
const IRR_BIT = 1;
const DELAY_NS = 10_000;

// policy, whether an unplugged LAPIC still takes messages
const POLICIES: [policy: string, isParked: boolean][] = [
  ["kvm", true],
  ["kvm-scan", true],
  ["kvm,unpluggedIgnores=on", false],
  ["kvm-scan,unpluggedIgnores=on", false],
  ["strict8", false],
];

describe.each(BUILDS)("a message to an unplugged CPU, %s core", (build) => {
  let machine: Machine;
  let results: number[] = [];

  beforeEach(() => {
    results = [];
  });

  /** 0x00 spins, 0x23 is halted by INIT; both in x2APIC mode and on. */
  async function begin(policy: string): Promise<void> {
    machine = await Machine.create({ build, policy, memoryBytes: 1 << 20, apicIds: [0, TARGET] });
    machine.load(bootSector(...SPIN));
    for (const cpu of machine.vcpus) {
      cpu.writeMsr(APIC_BASE, cpu.readMsr(APIC_BASE)! | APIC_BASE_EXTD);
      cpu.writeMsr(X2APIC_SVR, 0x1ffn);
    }
    machine.trace((event) => {
      if (event.kind === "result") results.push(event.result);
    });
  }

  const send = (low: number) =>
    machine.vcpus[0]!.writeMsr(X2APIC_ICR, (BigInt(TARGET) << 32n) | BigInt(low));
  const isPending = () => (machine.vcpus[1]!.lapic.state[IRR_WORD]! & IRR_BIT) !== 0;
  const removeTarget = () => machine.unplug({ apicId: TARGET, force: true });

  it.each(POLICIES)("under %s is taken by the LAPIC that stays: %s", async (policy, isParked) => {
    await begin(policy);
    removeTarget();
    for (const low of [FIXED, NMI, INIT, STARTUP]) send(low);
    expect(results.map((accepted) => accepted > 0)).toEqual(Array(4).fill(isParked));
    machine.run({ maxInstructions: 10_000 });
    expect(machine.vcpus[1]!.runState).toBe("absent");
  });

  it.each(POLICIES)("under %s, sent before and held on the way: %s", async (policy, isParked) => {
    await begin(policy);
    machine.interrupts.injectFault({ action: "delay", delayNs: DELAY_NS, modes: ["FIXED"] });
    send(FIXED);
    removeTarget();
    results.length = 0;
    machine.run({ untilNs: 2 * DELAY_NS });
    expect(results.map((accepted) => accepted > 0)).toEqual([isParked]);
    expect(machine.vcpus[1]!.runState).toBe("absent");
  });

  it.each(POLICIES)("under %s leaves nothing for a CPU that is added later", async (policy) => {
    await begin(policy);
    send(FIXED);
    expect(isPending()).toBe(true);
    removeTarget();
    for (const low of [FIXED, NMI, INIT, STARTUP]) send(low);
    machine.hotplug({ apicId: TARGET });
    expect(isPending()).toBe(false);
    machine.run({ maxInstructions: 10_000 });
    expect(machine.vcpus[1]!.runState).toBe("uninitialized");
  });

  it.each(POLICIES)("under %s, INIT before and STARTUP after, starts nobody", async (policy) => {
    await begin(policy);
    send(INIT);
    machine.run({ maxInstructions: 10_000 });
    expect(machine.vcpus[1]!.runState).toBe("wait-for-sipi");
    removeTarget();
    send(STARTUP);
    machine.hotplug({ apicId: TARGET });
    send(STARTUP);
    machine.run({ maxInstructions: 10_000 });
    expect(machine.vcpus[1]!.runState).toBe("uninitialized");
  });

  it("does not fire the timer of the CPU that is gone", async () => {
    await begin("kvm");
    const target = machine.vcpus[1]!;
    target.writeMsr(0x832, 0x40000n | BigInt(VECTOR)); // LVT timer: TSC-deadline mode
    target.writeMsr(0x6e0, BigInt(DELAY_NS));
    removeTarget();
    machine.run({ untilNs: 2 * DELAY_NS });
    expect(isPending()).toBe(false);
  });
});
