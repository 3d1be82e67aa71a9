/** INIT and STARTUP: pending events, their order, and the run states. */
import { beforeEach, describe, expect, it } from "vitest";
import {
  ABSENT,
  HALTED,
  REQ_KICK,
  REQ_NMI,
  RUNNABLE,
  SHUTDOWN,
  UNINITIALIZED,
  WAIT_FOR_SIPI,
} from "../../../assembly/abi.js";
import { Apics, EXTINT, INIT, KICK, NMI, SMI, STARTUP } from "../../support/apics.js";

const apics = await Apics.create();
const VCPU_NMI = 196;
const VCPU_SIPI_VECTOR = 224;
const TARGET = 0x123;
const DO_INIT = 1;
const DO_START = 2;
let target = 0;

beforeEach(() => {
  apics.clear().add(0);
  target = apics.addFresh(TARGET);
  apics.setRunState(target, UNINITIALIZED);
});

/** Sends INIT ("I"), de-assert ("d") and STARTUP ("10", a vector), in this order. */
function send(...events: string[]): void {
  for (const event of events) {
    if (event === "I") apics.send(0, TARGET, { mode: INIT, vector: 0 });
    else if (event === "d") apics.send(0, TARGET, { mode: INIT, vector: 0, trigger: 1, level: 0 });
    else apics.send(0, TARGET, { mode: STARTUP, vector: parseInt(event, 16) });
  }
}

describe("pending INIT and STARTUP", () => {
  // Events before the CPU looks, run state before, policy; then what is done, run state, vector.
  it.each([
    [["I"], UNINITIALIZED, "kvm", DO_INIT, WAIT_FOR_SIPI, null],
    [["10"], UNINITIALIZED, "kvm", 0, UNINITIALIZED, null],
    [["I", "10"], UNINITIALIZED, "kvm", DO_INIT | DO_START, RUNNABLE, 0x10],
    [["I", "10", "20"], UNINITIALIZED, "kvm", DO_INIT | DO_START, RUNNABLE, 0x20],
    [["I", "10", "20"], UNINITIALIZED, "kvm,firstSipi=on", DO_INIT | DO_START, RUNNABLE, 0x10],
    [["10", "I"], UNINITIALIZED, "kvm", DO_INIT, WAIT_FOR_SIPI, null],
    [["I", "d", "10"], UNINITIALIZED, "kvm", DO_INIT | DO_START, RUNNABLE, 0x10],
    [["d"], UNINITIALIZED, "kvm", 0, UNINITIALIZED, null],
    [["10"], WAIT_FOR_SIPI, "kvm", DO_START, RUNNABLE, 0x10],
    [["9a"], WAIT_FOR_SIPI, "kvm", DO_START, RUNNABLE, 0x9a],
    [["0"], WAIT_FOR_SIPI, "kvm", DO_START, RUNNABLE, 0],
    [["ff"], WAIT_FOR_SIPI, "kvm", DO_START, RUNNABLE, 0xff],
    [["I"], WAIT_FOR_SIPI, "kvm", DO_INIT, WAIT_FOR_SIPI, null],
    [["10"], RUNNABLE, "kvm", 0, RUNNABLE, null],
    [["I"], RUNNABLE, "kvm", DO_INIT, WAIT_FOR_SIPI, null],
    [["10"], HALTED, "kvm", 0, HALTED, null],
    [["I"], HALTED, "kvm", DO_INIT, WAIT_FOR_SIPI, null],
    [["I"], SHUTDOWN, "kvm", DO_INIT, WAIT_FOR_SIPI, null],
    [["I", "10"], ABSENT, "kvm", 0, ABSENT, null],
  ] as const)("%j in state %i under %s", (events, before, policy, done, after, vector) => {
    apics.clear(policy).add(0);
    target = apics.addFresh(TARGET);
    apics.setRunState(target, before);
    send(...events);
    expect(apics.x.apicProcessEvents(target)).toBe(done);
    expect(apics.runState(target)).toBe(after);
    if (vector !== null) expect(apics.field(target, VCPU_SIPI_VECTOR)).toBe(vector);
    expect(apics.x.apicProcessEvents(target)).toBe(0);
  });

  it("restart a boot CPU at once, which takes no STARTUP", () => {
    apics.send(0, 0, { mode: INIT, vector: 0 });
    apics.send(0, 0, { mode: STARTUP, vector: 0x10 });
    expect(apics.x.apicProcessEvents(0)).toBe(DO_INIT);
    expect(apics.runState(0)).toBe(RUNNABLE);
  });

  it("make the BSP bit decide, not the APIC ID", () => {
    apics.setRunState(target, RUNNABLE);
    apics.hostBase(target, 0xfee00900n);
    send("I");
    apics.x.apicProcessEvents(target);
    expect(apics.runState(target)).toBe(RUNNABLE);
  });

  it("clear what was pending in the LAPIC", () => {
    const cpu = apics.add(7);
    apics.send(0, 7, { vector: 0x55 });
    apics.send(0, 7, { mode: INIT, vector: 0 });
    apics.x.apicProcessEvents(cpu);
    expect(apics.x.apicHighestPending(cpu)).toBe(-1);
    expect(apics.msr(cpu, 0x802)).toBe(7n); // still in x2APIC mode
  });
});

describe("NMI", () => {
  it("is queued twice, and once while NMIs are blocked", () => {
    const queued = (): number => apics.field(target, VCPU_NMI) >> 8;
    for (let n = 0; n < 5; n++) expect(apics.send(0, TARGET, { mode: NMI })).toEqual([TARGET]);
    expect(queued()).toBe(2);
    expect(apics.request(target) & REQ_NMI).not.toBe(0);
    apics.setField(target, VCPU_NMI, 1); // blocked until IRET
    for (let n = 0; n < 3; n++) apics.send(0, TARGET, { mode: NMI });
    expect(queued()).toBe(1);
  });

  it("is accepted by a CPU that waits for STARTUP, software-disabled as it is", () => {
    apics.setRunState(target, WAIT_FOR_SIPI);
    expect(apics.send(0, TARGET, { mode: NMI })).toEqual([TARGET]);
    expect(apics.send(0, TARGET, { vector: 0x40 })).toEqual([]);
  });
});

describe("other delivery modes", () => {
  it("kick a CPU out of HLT and leave no interrupt", () => {
    expect(apics.send(0, TARGET, { mode: KICK })).toEqual([TARGET]);
    expect(apics.request(target) & REQ_KICK).not.toBe(0);
    expect(apics.x.apicHighestPending(target)).toBe(-1);
  });

  it.each([SMI, EXTINT])("refuse mode %i", (mode) => {
    const before = apics.request(target);
    expect(apics.send(0, TARGET, { mode })).toEqual([]);
    expect(apics.request(target)).toBe(before);
  });
});
