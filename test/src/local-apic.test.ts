/** KVM_GET_LAPIC and KVM_SET_LAPIC: the registers of a local APIC as one block. */
import { describe, expect, it } from "vitest";
import { LAPIC_STATE_BYTES, Machine, X2vmError, type Vcpu } from "../../src/index.js";
import { exit, HLT, machineWith } from "./guest-code.js";

const STI = 0xfb;

const X2APIC = 0xfee00c00n;
const XAPIC = 0xfee00800n;
const MSR = { TPR: 0x808, LDR: 0x80d, SVR: 0x80f, ICR: 0x830, TIMER: 0x832, TDCR: 0x83e };

async function cpus(policy = "kvm"): Promise<{ machine: Machine; a: Vcpu; b: Vcpu }> {
  const machine = await Machine.create({
    apicIds: [0, 0x123, 0x223],
    policy,
    memoryBytes: 1 << 20,
  });
  const [, a, b] = machine.vcpus;
  return { machine, a: a!, b: b! };
}

const wordAt = (block: Uint8Array, register: number): number =>
  new DataView(block.buffer).getUint32(register, true);

function withWord(block: Uint8Array, register: number, value: number): Uint8Array {
  const changed = block.slice();
  new DataView(changed.buffer).setUint32(register, value, true);
  return changed;
}

describe("the state of a local APIC", () => {
  it("is as after RESET on a new CPU", async () => {
    const { a } = await cpus();
    const block = a.lapic.state;
    expect(block.length).toBe(LAPIC_STATE_BYTES);
    const words = Array.from({ length: 64 }, (_, n) => [n * 16, wordAt(block, n * 16)] as const);
    expect(Object.fromEntries(words.filter(([, value]) => value !== 0))).toEqual({
      0x20: 0x23000000,
      0x30: 0x1050014,
      0xe0: 0xffffffff,
      0xf0: 0xff,
      ...Object.fromEntries([0x320, 0x330, 0x340, 0x350, 0x360, 0x370].map((n) => [n, 0x10000])),
    });
  });

  // KVM kvm_apic_state_fixup
  it.each([
    ["kvm", XAPIC, 0x23000000],
    ["kvm", X2APIC, 0x123],
    ["kvm,ids32=off", X2APIC, 0x23000000],
    ["kvm,ids32=off", XAPIC, 0x23000000],
  ])("under %s with base %i holds ID %i", async (policy, base, id) => {
    const { a } = await cpus(policy);
    a.lapic.base = base;
    expect(wordAt(a.lapic.state, 0x20)).toBe(id);
  });

  it("splits the ICR of x2APIC mode in two words", async () => {
    const { a, b } = await cpus();
    a.lapic.base = X2APIC;
    a.writeMsr(MSR.ICR, 0x456_0000_0431n);
    const block = a.lapic.state;
    expect([wordAt(block, 0x300), wordAt(block, 0x310)]).toEqual([0x431, 0x456]);
    b.lapic.base = X2APIC;
    b.lapic.state = withWord(block, 0x20, 0x223);
    expect(b.readMsr(MSR.ICR)).toBe(0x456_0000_0431n);
  });

  it("comes back as it was", async () => {
    const { machine, a } = await cpus();
    a.lapic.base = X2APIC;
    for (const [msr, value] of [
      [MSR.SVR, 0x1ff],
      [MSR.TPR, 0x31],
      [MSR.TDCR, 3],
      [MSR.TIMER, 0x20040],
      [0x838, 100_000],
      [0x83f, 0x55], // SELF IPI
      [0x83f, 0x20],
    ] as const)
      expect(a.writeMsr(msr, BigInt(value))).toBe(true);
    machine.run({ untilNs: 5_000 });
    const block = a.lapic.state;
    expect(wordAt(block, 0x390)).toBeGreaterThan(0); // TMCCT
    expect(wordAt(block, 0x390)).toBeLessThan(100_000);
    a.lapic.base = XAPIC;
    a.lapic.base = X2APIC;
    a.writeMsr(MSR.SVR, 0n);
    a.writeMsr(0x838, 0n);
    a.lapic.state = block;
    expect(a.lapic.state).toEqual(block);
  });

  it("takes the 8-bit ID in xAPIC mode, and keeps the logical ID that follows from the ID in x2APIC mode", async () => {
    const { a } = await cpus();
    const block = withWord(withWord(a.lapic.state, 0x20, 0x42000000), 0xd0, 0x08000000);
    a.lapic.state = block;
    expect(wordAt(a.lapic.state, 0x20)).toBe(0x42000000);
    expect(wordAt(a.lapic.state, 0xd0)).toBe(0x08000000);
    a.lapic.base = X2APIC;
    a.lapic.state = withWord(block, 0x20, 0x123);
    expect(a.readMsr(MSR.LDR)).toBe(0x120008n);
  });

  it("moves the owner of an ID at once", async () => {
    const { a, b } = await cpus();
    a.lapic.state = withWord(a.lapic.state, 0x20, 0x77000000);
    b.lapic.state = withWord(b.lapic.state, 0x20, 0x78000000);
    expect([wordAt(a.lapic.state, 0x20), wordAt(b.lapic.state, 0x20)]).toEqual([
      0x77000000, 0x78000000,
    ]);
  });

  it("drops the bits that a register does not have, and masks the LVT while SVR[8] is 0", async () => {
    const { a } = await cpus();
    const ones = new Uint8Array(LAPIC_STATE_BYTES).fill(0xff);
    a.lapic.state = withWord(ones, 0xf0, 0xfffffeff);
    const block = a.lapic.state;
    expect(wordAt(block, 0x80)).toBe(0xff);
    expect(wordAt(block, 0xf0)).toBe(0x12ff);
    expect(wordAt(block, 0x320)).toBe(0x710ff);
    expect(wordAt(block, 0x350)).toBe(0x1f7ff);
    expect(wordAt(block, 0x3e0)).toBe(0xb);
    expect(wordAt(block, 0x30)).toBe(0x1050014);
  });

  it.each([
    ["one-shot, counting", 0x40, 1000, 600, 600],
    ["one-shot, run out", 0x40, 1000, 0, 0],
    ["one-shot, beyond its start", 0x40, 1000, 5000, 1000],
    ["periodic, counting", 0x20040, 500_000, 300_000, 300_000],
    ["periodic, at its end", 0x20040, 500_000, 0, 500_000],
    ["TSC-deadline", 0x40040, 1000, 600, 0],
    ["in the reserved mode", 0x60040, 1000, 600, 0],
  ])("has the timer go on: %s", async (_, lvt, initial, current, left) => {
    const { a } = await cpus();
    let block = withWord(a.lapic.state, 0xf0, 0x1ff);
    block = withWord(withWord(block, 0x320, lvt), 0x3e0, 0xb); // divide by 1
    a.lapic.state = withWord(withWord(block, 0x380, initial), 0x390, current);
    expect(wordAt(a.lapic.state, 0x390)).toBe(left);
  });

  it.each<[string, (cpu: Vcpu) => void]>([
    [
      "the block",
      (cpu) => {
        const counting = withWord(withWord(cpu.lapic.state, 0x380, 1000), 0x390, 1000);
        cpu.lapic.state = counting;
      },
    ],
    ["TMICT", (cpu) => expect(cpu.writeMsr(0x838, 1000n)).toBe(true)],
  ])("wakes a halted CPU when a timer runs out that the host set by %s", async (_, set) => {
    const machine = await machineWith([STI, HLT, ...exit(1)]);
    const [cpu] = machine.vcpus;
    const HANDLER = 0x7d00;
    machine.writeMemory(0x40 * 4, Uint8Array.of(HANDLER & 0xff, HANDLER >> 8, 0, 0));
    machine.writeMemory(HANDLER, Uint8Array.from(exit(2)));
    cpu!.lapic.base = 0xfee00d00n;
    for (const [msr, value] of [
      [MSR.SVR, 0x1ffn],
      [MSR.TIMER, 0x40n],
    ] as const) {
      cpu!.writeMsr(msr, value);
    }
    expect(machine.run().reason).toBe("idle");
    set(cpu!);
    expect(machine.run().exitCode).toBe((2 << 1) | 1);
  });

  it.each<[string, unknown, RegExp]>([
    ["that is too short", new Uint8Array(1023), /1024 bytes, not 1023 bytes/],
    ["that is too long", new Uint8Array(4096), /not 4096 bytes/],
    ["that is empty", new Uint8Array(0), /not 0 bytes/],
    ["that is no bytes", "state", /not string/],
    ["that is nothing", undefined, /not undefined/],
    ["of words", new Uint32Array(256), /not object/],
  ])("%s is refused", async (_, block, sentence) => {
    const { a } = await cpus();
    const before = a.lapic.state;
    const set = (): void => {
      a.lapic.state = block as Uint8Array;
    };
    expect(set).toThrow(X2vmError);
    expect(set).toThrow(sentence);
    expect(a.lapic.state).toEqual(before);
  });

  it("of another x2APIC ID is refused with 32-bit IDs, and nothing has changed", async () => {
    const { a, b } = await cpus();
    a.lapic.base = X2APIC;
    b.lapic.base = X2APIC;
    b.writeMsr(MSR.SVR, 0x1ffn);
    const before = a.lapic.state;
    expect(() => (a.lapic.state = b.lapic.state)).toThrow(/x2APIC ID 0x223; this is CPU 0x123/);
    expect(a.lapic.state).toEqual(before);
  });

  it("of another x2APIC ID is taken without them, all but the ID", async () => {
    const { a, b } = await cpus("kvm,ids32=off");
    a.lapic.base = X2APIC;
    b.lapic.base = X2APIC;
    b.writeMsr(MSR.TPR, 0x20n);
    a.lapic.state = b.lapic.state;
    expect(a.readMsr(0x802)).toBe(0x123n);
    expect(a.readMsr(MSR.TPR)).toBe(0x20n);
  });

  it("of a CPU that was removed is refused", async () => {
    const { machine, a } = await cpus();
    const block = a.lapic.state;
    machine.unplug({ apicId: 0x123, force: true });
    expect(() => (a.lapic.state = block)).toThrow(/CPU 0x123 was removed/);
    expect(() => (a.lapic.base = XAPIC)).toThrow(/CPU 0x123 was removed/);
  });
});

describe("the base of a local APIC", () => {
  // KVM __kvm_apic_set_base: host writes
  it.each([
    [XAPIC, X2APIC],
    [X2APIC, XAPIC],
    [0xfee00000n, X2APIC],
    [X2APIC, 0xfee00000n],
    [0xfee00000n, XAPIC],
    [XAPIC, 0xfed00900n],
  ])("goes from %i to %i", async (from, to) => {
    const { a } = await cpus();
    a.lapic.base = from;
    a.lapic.base = to;
    expect(a.lapic.base).toBe(to);
  });

  it.each([0xfee00400n, 0xfee00801n, 0xfee00a00n, 1n << 40n, 1n << 64n, -1n])(
    "refuses %i",
    async (value) => {
      const { a } = await cpus();
      expect(() => (a.lapic.base = value)).toThrow(/no value of IA32_APIC_BASE/);
      expect(a.lapic.base).toBe(XAPIC);
    },
  );
});
