/** Priorities: PPR, TPR and CR8, acknowledge, EOI, the queue of IRR and ISR. */
import { beforeEach, describe, expect, it } from "vitest";
import { REQ_INTERRUPT } from "../../../assembly/abi.js";
import { Apics } from "../../support/apics.js";

const apics = await Apics.create();
let cpu = 0;

beforeEach(() => {
  cpu = apics.clear().add(5);
});

/** Puts vectors in service by delivering and acknowledging them in this order. */
function serve(...vectors: number[]): void {
  for (const vector of vectors) {
    apics.send(cpu, 5, { vector });
    expect(apics.x.apicAcknowledge(cpu)).toBe(vector);
  }
}

const setTpr = (value: number): string => apics.setMsr(cpu, 0x808, BigInt(value));
const intr = (): boolean => (apics.request(cpu) & REQ_INTERRUPT) !== 0;

describe("PPR", () => {
  it.each([
    [0x00, [], 0x00],
    [0x35, [], 0x35],
    [0x00, [0x47], 0x40],
    [0x35, [0x47], 0x40],
    [0x45, [0x47], 0x45],
    [0x4f, [0x41], 0x4f],
    [0x50, [0x47], 0x50],
    [0x00, [0x31, 0x92], 0x90],
    [0x95, [0x31, 0x92], 0x95],
    [0xff, [0xf1], 0xff],
  ])("with TPR %i and %j in service is %i", (tpr, vectors, ppr) => {
    serve(...vectors);
    setTpr(tpr);
    expect(apics.msr(cpu, 0x80a)).toBe(BigInt(ppr));
  });
});

describe("the highest vector", () => {
  it.each([0x10, 0x1f, 0x20, 0x3f, 0x40, 0x4a, 0x7f, 0x80, 0xbf, 0xc0, 0xfe, 0xff])(
    "is %i when that is the only one",
    (vector) => {
      apics.send(cpu, 5, { vector });
      expect(apics.x.apicHighestPending(cpu)).toBe(vector);
    },
  );

  it("wins whatever the order of arrival", () => {
    for (const vector of [0x41, 0xf2, 0x90, 0x10]) apics.send(cpu, 5, { vector });
    const taken = [];
    for (let n = 0; n < 4; n++) {
      taken.push(apics.x.apicAcknowledge(cpu));
      apics.x.apicEoi(cpu);
    }
    expect(taken).toEqual([0xf2, 0x90, 0x41, 0x10]);
    expect(apics.x.apicAcknowledge(cpu)).toBe(-1);
  });

  it.each([
    [0x4f, 0x50, 0x50],
    [0x4f, 0x4f, -1],
    [0x50, 0x5f, -1],
    [0x50, 0x60, 0x60],
    [0xf0, 0xff, -1],
    [0x00, 0x0f, -1],
  ])("with TPR %i and vector %i pending is %i", (tpr, vector, want) => {
    setTpr(tpr);
    apics.send(cpu, 5, { vector });
    expect(apics.x.apicHighestPending(cpu)).toBe(want);
    expect(intr()).toBe(want >= 0);
  });
});

describe("nesting", () => {
  it("takes a higher class over one in service, and EOI clears exactly the top one", () => {
    serve(0x31, 0x52);
    apics.send(cpu, 5, { vector: 0x45 });
    expect(apics.x.apicHighestPending(cpu)).toBe(-1);
    expect(apics.x.apicEoi(cpu)).toBe(0x52);
    expect(apics.x.apicAcknowledge(cpu)).toBe(0x45);
    expect(apics.x.apicEoi(cpu)).toBe(0x45);
    expect(apics.x.apicEoi(cpu)).toBe(0x31);
    expect(apics.x.apicEoi(cpu)).toBe(-1);
  });

  it("holds a vector of the same class until EOI", () => {
    serve(0x41);
    apics.send(cpu, 5, { vector: 0x4f });
    expect(apics.x.apicAcknowledge(cpu)).toBe(-1);
    apics.x.apicEoi(cpu);
    expect(intr()).toBe(true);
    expect(apics.x.apicAcknowledge(cpu)).toBe(0x4f);
  });

  it("queues a vector twice, once in ISR and once in IRR, and merges the third", () => {
    serve(0x41);
    expect(apics.send(cpu, 5, { vector: 0x41 })).toEqual([5]);
    expect(apics.send(cpu, 5, { vector: 0x41 })).toEqual([5]);
    apics.x.apicEoi(cpu);
    expect(apics.x.apicAcknowledge(cpu)).toBe(0x41);
    apics.x.apicEoi(cpu);
    expect(apics.x.apicAcknowledge(cpu)).toBe(-1);
  });
});

describe("EOI", () => {
  it.each([0x00, 0x85, 0x91, 0xff])("ends the highest vector in service, with TPR %i", (tpr) => {
    serve(0x31, 0x8f, 0x92);
    setTpr(tpr);
    const ended = Array.from({ length: 4 }, () => apics.x.apicEoi(cpu));
    expect(ended).toEqual([0x92, 0x8f, 0x31, -1]);
    expect(apics.msr(cpu, 0x80a)).toBe(BigInt(tpr));
  });

  it("lets in what waited below it, and leaves INTR down where nothing waits", () => {
    serve(0x91);
    apics.send(cpu, 5, { vector: 0x92 });
    expect(intr()).toBe(false);
    apics.setMsr(cpu, 0x80b, 0n);
    expect(intr()).toBe(true);
    expect(apics.x.apicAcknowledge(cpu)).toBe(0x92);
    apics.setMsr(cpu, 0x80b, 0n);
    expect(intr()).toBe(false);
    expect(apics.msr(cpu, 0x80a)).toBe(0n);
  });
});

describe("INTR", () => {
  it("rises when TPR falls below a pending vector, and falls when TPR covers it", () => {
    setTpr(0x80);
    apics.send(cpu, 5, { vector: 0x71 });
    expect(intr()).toBe(false);
    setTpr(0x60);
    expect(intr()).toBe(true);
    setTpr(0x70);
    expect(intr()).toBe(false);
    expect(apics.x.apicAcknowledge(cpu)).toBe(-1);
  });

  it("gives the spurious vector when TPR overtook it, where the policy knows that", () => {
    cpu = apics.clear("kvm,spurious=on").add(5, { svr: 0x1ef });
    apics.send(cpu, 5, { vector: 0x71 });
    setTpr(0x80);
    expect(intr()).toBe(true);
    expect(apics.x.apicAcknowledge(cpu)).toBe(0xef);
    expect(apics.msr(cpu, 0x817)).toBe(0n); // no ISR bit: no EOI is due
    expect(intr()).toBe(false);
    setTpr(0);
    expect(apics.x.apicAcknowledge(cpu)).toBe(0x71);
  });
});

describe("TMR", () => {
  it("follows the trigger mode of the last acceptance", () => {
    apics.send(cpu, 5, { vector: 0x41, trigger: 1 });
    expect(apics.msr(cpu, 0x81a)).toBe(2n);
    apics.send(cpu, 5, { vector: 0x41 });
    expect(apics.msr(cpu, 0x81a)).toBe(0n);
  });

  it("does not change when a level de-assert is refused", () => {
    expect(apics.send(cpu, 5, { vector: 0x41, trigger: 1, level: 0 })).toEqual([]);
    expect(apics.msr(cpu, 0x81a)).toBe(0n);
    expect(apics.msr(cpu, 0x822)).toBe(0n);
  });
});

describe("EOI of a level-triggered vector", () => {
  it.each([
    ["kvm", 0x1ff, 1, [0x41]],
    ["kvm", 0x1ff, 0, []],
    ["kvm,directedEoi=advertised", 0x11ff, 1, [0x41]],
    ["kvm,directedEoi=works", 0x11ff, 1, []],
    ["kvm,directedEoi=works", 0x1ff, 1, [0x41]],
  ])("under %s with SVR %i and trigger %i is announced: %j", (policy, svr, trigger, eois) => {
    cpu = apics.clear(policy).add(5, { svr });
    apics.send(cpu, 5, { vector: 0x41, trigger });
    apics.x.apicAcknowledge(cpu);
    expect(apics.eois).toEqual([]);
    apics.setMsr(cpu, 0x80b, 0n);
    expect(apics.eois).toEqual(eois);
  });
});
