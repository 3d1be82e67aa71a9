/** Messages without a sender: MSI in all formats, I/O APIC entries, hypercalls, paravirtual EOI. */
import { beforeEach, describe, expect, it } from "vitest";
import { Apics, INIT, NMI } from "../../support/apics.js";

const apics = await Apics.create();

function machine(policy: string): void {
  apics.clear(policy).add(0);
  apics.add(0x23);
  apics.add(0x123);
}

describe("KVM_SIGNAL_MSI", () => {
  it.each([
    ["kvm", 0xfee23000, 0, 1, [0x23]],
    ["kvm", 0xfee23000, 0x100, 1, [0x123]],
    ["kvm", 0xfee23000, 0x101, -22, []],
    ["kvm", 0xfee23000, 0x200, 0, []],
    ["kvm", 0xfeeff000, 0xffffff00, 3, [0, 0x23, 0x123]],
    ["kvm-f0", 0xfee23000, 0x100, 1, [0x23]],
    ["kvm-f0", 0xfee23000, 0x101, 1, [0x23]],
    ["kvm-f0", 0xfeeff000, 0, 3, [0, 0x23, 0x123]],
    ["kvm-scan", 0xfee24000, 0, -1, []],
    ["kvm-legacy", 0xfee24000, 0, -1, []],
  ])("under %s to %i:%i returns %i and reaches %j", (policy, low, high, ret, ids) => {
    machine(policy);
    expect(apics.x.apicSignalMsi(low, high, 0x4040)).toBe(ret);
    if (ret !== -22) expect(apics.accepted()).toEqual(ids);
  });

  it("carries level 1 whatever data bit 14 says", () => {
    machine("kvm");
    expect(apics.x.apicSignalMsi(0xfee23000, 0, 0x8000 | (INIT << 8))).toBe(1);
  });

  it("counts a LAPIC whose IRR bit is set already, and not one that refuses", () => {
    machine("kvm");
    expect(apics.x.apicSignalMsi(0xfee23000, 0, 0x40)).toBe(1);
    expect(apics.x.apicSignalMsi(0xfee23000, 0, 0x40)).toBe(1);
    apics.setMsr(1, 0x80f, 0xffn);
    expect(apics.x.apicSignalMsi(0xfee23000, 0, 0x40)).toBe(0);
  });

  it("reads mode, trigger, destination mode and hint from their bits", () => {
    machine("kvm");
    // Logical, with hint: cluster 0 and 2 do not mix, bits 0 and 3 of cluster 2 have 0x23 alone.
    expect(apics.x.apicSignalMsi(0xfee0800c, 0x00020000, 0x8041)).toBe(1);
    expect(apics.accepted()).toEqual([0x23]);
    expect(apics.msr(1, 0x81a)).toBe(2n); // level-triggered
  });
});

describe("an MSI that a device writes", () => {
  it.each([
    ["kvm", 0xfee23000, [0x23]],
    ["kvm", 0xfee23020, [0x23]], // address bits 11:5 are not looked at
    ["kvm,msiExtDest=on", 0xfee23020, [0x123]],
    ["kvm,msiExtDest=on", 0xfee23000, [0x23]],
    ["kvm-f0,msiExtDest=on", 0xfee23020, [0x23]],
  ])("under %s to %i reaches %j", (policy, address, ids) => {
    machine(policy);
    apics.x.apicDeviceMsi(address, 0x40);
    expect(apics.accepted()).toEqual(ids);
  });
});

describe("an I/O APIC entry", () => {
  it.each([
    ["kvm", 0x40, 0x23000000, [0x23]],
    ["kvm", 0x40, 0x23020000, [0x23]],
    ["kvm,msiExtDest=on", 0x40, 0x23020000, [0x123]],
    ["kvm", 0x440, 0x23000000, [0x23]], // NMI
    ["kvm,quirk=on", 0x40, 0xff000000, [0, 0x23, 0x123]],
    ["kvm", 0x40, 0xff000000, []],
  ])("under %s with %i:%i reaches %j", (policy, low, high, ids) => {
    machine(policy);
    apics.x.apicSignalRte(low, high);
    expect(apics.accepted()).toEqual(ids);
  });
});

describe("PV_SEND_IPI", () => {
  const NMI_ICR = NMI << 8;
  const send = (words: readonly number[], lowest: number, icr: number, is64 = 1): number =>
    apics.x.apicPvSendIpi(words[0]!, words[1]!, words[2]!, words[3]!, lowest, icr, is64);

  // Bitmap words from low to high, lowest ID, 64-bit caller, count.
  it.each([
    [[1, 0, 0, 0], 0x23, 1, 1],
    [[1, 0, 1, 0], 0xe3, 1, 1], // bit 0 of the high word: 0x123
    [[1, 0, 0x1, 0], 0x103, 0, 1], // 32-bit caller: 0x103 + 32 = 0x123
    [[0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], 0, 1, 3],
    [[0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], 0xffffffff, 1, 1], // the second word wraps to 0x3f
    [[1, 0, 0, 0], 0x22, 1, 0],
    [[0, 0, 0, 0], 0x23, 1, 0],
    [[1, 0, 0, 0], 0xffffffff, 1, 0],
  ])("%j from %i (64-bit: %i) reaches %i", (words, lowest, is64, count) => {
    machine("kvm");
    apics.add(0x45);
    expect(send(words, lowest, NMI_ICR, is64)).toBe(count);
  });

  it.each([
    [0x800, -22],
    [0x40000, -22],
    [0xc0000, -22],
  ])("refuses ICR %i with %i", (icr, error) => {
    machine("kvm");
    expect(send([1, 0, 0, 0], 0x23, icr)).toBe(error);
  });

  it("needs a map", () => {
    machine("kvm-f0");
    apics.add(0x223, { mode: "x" }); // aliases 0x23
    expect(send([1, 0, 0, 0], 0x23, NMI_ICR)).toBe(-95);
  });

  it("does not count a software-disabled LAPIC for Fixed, and counts it for NMI", () => {
    machine("kvm");
    apics.setMsr(2, 0x80f, 0xffn);
    expect(send([1, 0, 0, 0], 0x123, 0x40)).toBe(0);
    expect(send([1, 0, 0, 0], 0x123, NMI_ICR)).toBe(1);
  });

  it("does not take 0xff for a broadcast", () => {
    machine("kvm,quirk=on");
    expect(send([1, 0, 0, 0], 0xff, NMI_ICR)).toBe(0);
  });
});

describe("KICK_CPU", () => {
  it.each([
    ["kvm", 0x123, [0x123]],
    ["kvm", 0x124, []],
    ["kvm,quirk=on", 0xff, [0, 0x23, 0x123]],
  ])("under %s to %i wakes %j", (policy, id, ids) => {
    machine(policy);
    apics.x.apicPvKick(id);
    expect(apics.accepted()).toEqual(ids);
  });
});

describe("PV EOI", () => {
  const MSR = 0x4b564d04;
  let cpu = 0;
  beforeEach(() => {
    cpu = apics.clear().add(5);
    apics.setMsr(cpu, MSR, 0x1001n);
  });

  it.each([
    [0x1000n, "ok"],
    [0x1001n, "ok"],
    [0x1002n, "#GP"],
    [0x1003n, "#GP"],
  ])("address %i is answered with %s", (value, answer) => {
    expect(apics.setMsr(cpu, MSR, value)).toBe(answer);
  });

  it("is offered for a lone edge interrupt and counts when the guest cleared the bit", () => {
    apics.send(cpu, 5, { vector: 0x41 });
    apics.x.apicAcknowledge(cpu);
    expect(apics.x.apicWantsPvEoi(cpu)).toBe(1);
    expect(apics.x.apicPvEoiAddress(cpu)).toBe(0x1000);
    apics.x.apicResolvePvEoi(cpu, 0);
    expect(apics.msr(cpu, 0x812)).toBe(0n);
  });

  it("leaves the vector in service when the guest had not come to it", () => {
    apics.send(cpu, 5, { vector: 0x41 });
    apics.x.apicAcknowledge(cpu);
    apics.x.apicWantsPvEoi(cpu);
    apics.x.apicResolvePvEoi(cpu, 1);
    expect(apics.msr(cpu, 0x812)).toBe(2n);
  });

  it("is not offered while another vector waits, for a level interrupt, and when disabled", () => {
    apics.send(cpu, 5, { vector: 0x41 });
    apics.send(cpu, 5, { vector: 0x31 });
    apics.x.apicAcknowledge(cpu);
    expect(apics.x.apicWantsPvEoi(cpu)).toBe(0);
    apics.x.apicInit(cpu); // disables it, too
    apics.setMsr(cpu, 0x80f, 0x1ffn);
    apics.send(cpu, 5, { vector: 0x41 });
    apics.x.apicAcknowledge(cpu);
    expect(apics.x.apicWantsPvEoi(cpu)).toBe(0);
    apics.setMsr(cpu, MSR, 0x1001n);
    expect(apics.x.apicWantsPvEoi(cpu)).toBe(1);
    apics.x.apicResolvePvEoi(cpu, 0);
    apics.send(cpu, 5, { vector: 0x51, trigger: 1 });
    apics.x.apicAcknowledge(cpu);
    expect(apics.x.apicWantsPvEoi(cpu)).toBe(0);
  });

  it("asks the CPU to look when a vector comes that a skipped EOI would let through", () => {
    apics.send(cpu, 5, { vector: 0x41 });
    apics.x.apicAcknowledge(cpu);
    apics.x.apicWantsPvEoi(cpu);
    apics.send(cpu, 5, { vector: 0x31 });
    expect(apics.request(cpu) & 1).toBe(1);
    expect(apics.x.apicHighestPending(cpu)).toBe(-1);
    apics.x.apicResolvePvEoi(cpu, 0);
    expect(apics.x.apicHighestPending(cpu)).toBe(0x31);
  });
});
