/** What a snapshot holds, how it is put to use, and what becomes of bad ones. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { KVM_CAP, Machine, X2vmError, type RestoreOptions } from "../../../src/index.js";
import { packSnapshot, unpackSnapshot, VERSION } from "../../../src/snapshot/format.js";
import { CLI, exit, HLT, machineWith, out8, outDx8, say, serialOf, SPIN } from "../guest-code.js";

const PAGE = 4096;

/** in al, dx of the UART's receiver, sent back. */
const ECHO = [0xba, 0xf8, 0x03, 0xec, 0xee];

/** A snapshot with another header or other areas, as whole as the first. */
function altered(
  snapshot: Uint8Array,
  change: (header: Record<string, any>, areas: Uint8Array) => void,
): Uint8Array {
  const parts = unpackSnapshot(snapshot);
  const ram = new Uint8Array(parts.ramBytes);
  parts.copyRam(ram);
  const header = JSON.parse(parts.header) as Record<string, any>;
  const areas = parts.areas.slice();
  change(header, areas);
  return packSnapshot({ header: JSON.stringify(header), areas, ram });
}

async function someSnapshot(): Promise<Uint8Array> {
  const machine = await machineWith([...say("hello"), CLI, HLT], { cpus: 3, seed: 7 });
  machine.run({ maxInstructions: 9 });
  return machine.snapshot();
}

const refusal = async (snapshot: Uint8Array, options: RestoreOptions = {}): Promise<X2vmError> => {
  const error: unknown = await Machine.restore(snapshot, options).catch((each: unknown) => each);
  expect(error).toBeInstanceOf(X2vmError);
  return error as X2vmError;
};

describe("a snapshot", () => {
  it("holds the bytes in the FIFO of the serial port, and those that wait before it", async () => {
    const echoes = Array.from({ length: 20 }, () => ECHO).flat();
    const code = [...outDx8(0x3f9, 0x01), ...outDx8(0x3fa, 0x01), CLI, ...echoes, ...exit(0)];
    const machine = await machineWith(code);
    machine.run({ maxInstructions: 7 });
    machine.sendSerial("abcdefghijklmnopqrst");
    machine.run({ maxInstructions: 11 });
    const twin = await Machine.restore(machine.snapshot());
    const [one, two] = [serialOf(machine), serialOf(twin)];
    expect(machine.run().reason).toBe("exit");
    twin.run();
    expect(one.text).toMatch(/qrst$/);
    expect(two.text).toBe(one.text);
    expect(twin.stateHash()).toBe(machine.stateHash());
  });

  it("holds CPUs that were added and that the guest has not taken notice of", async () => {
    const machine = await machineWith([CLI, ...SPIN], { possibleApicIds: [0x23, 0x123] });
    machine.hotplug({ apicId: 0x123 });
    const twin = await machine.fork();
    expect(twin.cpuSlots).toEqual(machine.cpuSlots);
    expect(twin.vcpus.map(({ apicId, runState }) => [apicId, runState])).toEqual([
      [0, "runnable"],
      [0x123, "uninitialized"],
    ]);
    expect(() => twin.hotplug({ apicId: 0x123 })).toThrow(/already there/);
    expect(() => twin.hotplug({ apicId: 0x124 })).toThrow(/not among the possible CPUs/);
    twin.hotplug({ apicId: 0x23 });
    expect(machine.vcpus).toHaveLength(2);
  });

  it("holds the slot of a CPU that was removed", async () => {
    const machine = await machineWith([CLI, ...SPIN], { cpus: 2 });
    machine.unplug({ apicId: 1, force: true });
    const twin = await machine.fork();
    expect(twin.vcpus[1]!.runState).toBe("absent");
    expect(twin.hotplug({ apicId: 1 }).vcpuIndex).toBe(1);
  });

  it("holds the policy with what was enabled since", async () => {
    const machine = await machineWith([CLI, HLT], { policy: "kvm-f0,spurious=on" });
    machine.interrupts.enableCap(KVM_CAP.X2APIC_API, 3);
    machine.interrupts.enableCap(KVM_CAP.MAX_VCPU_ID, 0x100);
    const twin = await machine.fork();
    expect(twin.interrupts.policy.knobs).toEqual(machine.interrupts.policy.knobs);
    expect(twin.interrupts.policy.name).toBe("kvm-f0,spurious=on,quirk=off,ids32=on");
    expect(twin.interrupts.idLimit).toBe(0x100);
    expect((await twin.fork()).interrupts.policy.knobs).toEqual(machine.interrupts.policy.knobs);
  });

  it("goes on under another policy where that is asked for", async () => {
    const machine = await machineWith([CLI, HLT]);
    const twin = await machine.fork({ policy: "knl" });
    expect(twin.interrupts.policy.name).toBe("knl");
    expect(twin.interrupts.longIdObstacle).toMatch(/low byte/);
    expect(machine.interrupts.longIdObstacle).toBeUndefined();
    await expect(machine.fork({ policy: "xyz" })).rejects.toThrow(/no policy "xyz"/);
  });

  it("stores pages of zeros nowhere", async () => {
    const small = await machineWith([CLI, HLT], { memoryBytes: 1 << 20 });
    const large = await machineWith([CLI, HLT], { memoryBytes: 64 << 20 });
    expect(large.snapshot().length - small.snapshot().length).toBeLessThan(2 * PAGE);
  });

  it("is not taken while the machine runs", async () => {
    const machine = await machineWith([...out8(0x80, 1), CLI, HLT]);
    machine.onPost(() => machine.snapshot());
    expect(() => machine.run()).toThrow(/Not while the machine runs/);
  });

  it("may lie anywhere in its buffer", async () => {
    const snapshot = await someSnapshot();
    const buffer = new Uint8Array(snapshot.length + 3);
    buffer.set(snapshot, 3);
    const machine = await Machine.restore(buffer.subarray(3));
    expect(machine.instructions).toBe(9);
  });
});

describe("what is no snapshot", () => {
  const edit = (at: number, value: number) => (bytes: Uint8Array) => {
    bytes[at] = value;
    return bytes;
  };
  it.each<[string, (bytes: Uint8Array) => Uint8Array, RegExp]>([
    ["nothing", () => new Uint8Array(), /This is not a snapshot/],
    ["another file", () => new TextEncoder().encode("#!/bin/sh\n"), /This is not a snapshot/],
    ["a few bytes", (bytes) => bytes.slice(0, 100), /truncated: 100 of 4096 bytes/],
    ["most of it", (bytes) => bytes.slice(0, -1), /truncated: \d+ of \d+ bytes/],
    ["more than it", (bytes) => new Uint8Array([...bytes, 1]), /1 bytes follow its end/],
    ["another version", edit(8, VERSION + 1), /has version 2 of the format; .* version 1/],
    ["parts that are too long", edit(23, 0x7f), /longer than the whole/],
    ["a changed header", edit(PAGE + 3, 0x58), /damaged/],
    ["a changed last page", (bytes) => edit(bytes.length - 7, 1)(bytes), /damaged/],
    ["another amount of RAM", edit(24, 0x11), /damaged/],
  ])("%s is refused", async (_, change, sentence) => {
    const error = await refusal(change((await someSnapshot()).slice()));
    expect(error.code).toBe("BAD_SNAPSHOT");
    expect(error.message).toMatch(sentence);
  });
});

describe("a forged snapshot", () => {
  type Header = Record<string, any>;
  it.each<[string, (header: Header) => void, RegExp]>([
    [
      "another core",
      (h) => (h["core"] = "0123456789abcdef"),
      /another build of x2vm: core 0123456789abcdef/,
    ],
    ["no options", (h) => delete h["options"], /options is no object/],
    ["no CPU", (h) => (h["options"].apicIds = []), /at least one CPU/],
    ["a CPU twice", (h) => (h["options"].apicIds = [1, 1]), /given twice/],
    ["an ID that is none", (h) => (h["options"].apicIds = [1.5]), /no whole number/],
    ["an unknown policy", (h) => (h["options"].policy = "x"), /no policy "x"/],
    ["no slots", (h) => (h["options"].vcpuCapacity = 0), /vcpuCapacity is 0/],
    ["too few slots", (h) => (h["options"].vcpuCapacity = 2), /vcpuCapacity|3 CPUs in 2 slots/],
    ["a missing variable", (h) => delete h["variables"]["vm/clock/time"], /clock\/time is missing/],
    [
      "a share of nothing",
      (h) => (h["variables"]["vm/clock/perInstruction"] = "0"),
      /perInstruction is 0/,
    ],
    ["a number that is none", (h) => (h["variables"]["vm/clock/time"] = "-1"), /no number/],
    ["no CPU of all", (h) => (h["variables"]["layout/vcpuCount"] = "0"), /vcpuCount is 0/],
    ["more CPUs", (h) => (h["variables"]["layout/vcpuCount"] = "9"), /state areas/],
    ["a CPU beyond", (h) => (h["variables"]["vm/run/current"] = "3"), /beyond the 3/],
    ["timers of nobody", (h) => (h["variables"]["vm/timers/count"] = "4"), /beyond the 3/],
    ["a timer", (h) => (h["variables"]["vm/timers/count"] = "1"), /state areas|timers/],
    ["odd address spaces", (h) => (h["variables"]["mem/tlb/nextAsid"] = "5"), /the TLB/],
    ["an odd topology", (h) => (h["variables"]["cpu/cpuid/threadShift"] = "31"), /CPUID/],
    ["RAM elsewhere", (h) => (h["ramBase"] += 16), /the TLB/],
    ["no devices", (h) => (h["devices"] = []), /its devices are not/],
    ["a renamed device", (h) => (h["devices"][0].name = "x"), /its devices are not/],
    ["a device without state", (h) => delete h["devices"][3].state, /"state" of a device/],
    ["a missing field", (h) => delete h["devices"][3].state.ier, /"ier" of a device is missing/],
    ["a strange field", (h) => (h["devices"][3].state.x = 1), /"x" of a device/],
    ["a long FIFO", (h) => (h["devices"][3].state.fifo = Array(17).fill(0)), /"fifo"/],
    ["a huge register", (h) => (h["devices"][3].state.mcr = 2 ** 40), /"mcr"/],
    ["a register that is text", (h) => (h["devices"][0].state.irr = "1"), /"irr"/],
    ["a slot that is none", (h) => (h["devices"][4].state.slots[0] = 7), /"state"/],
  ])("with %s is refused", async (_, change, sentence) => {
    const machine = await machineWith([CLI, HLT], { cpus: 3 });
    machine.run();
    const error = await refusal(altered(machine.snapshot(), change));
    expect(error.code).toBe("BAD_SNAPSHOT");
    expect(error.message).toMatch(sentence);
  });

  it("is refused, or runs: it never breaks the host", { timeout: 120_000 }, async () => {
    const snapshot = await someSnapshot();
    const areaBytes = unpackSnapshot(snapshot).areas.length;
    const flip = fc.tuple(fc.integer({ min: 0, max: 16_000 }), fc.integer({ min: 0, max: 255 }));
    await fc.assert(
      fc.asyncProperty(fc.array(flip, { minLength: 1, maxLength: 40 }), async (flips) => {
        const bad = altered(snapshot, (_, areas) => {
          for (const [at, value] of flips) areas[at % areaBytes] = value;
        });
        try {
          const machine = await Machine.restore(bad);
          machine.run({ maxInstructions: 20_000, untilNs: 1e9 });
          machine.dispose();
        } catch (error) {
          expect(error).toBeInstanceOf(X2vmError);
        }
      }),
      { numRuns: 300 },
    );
  });
});
