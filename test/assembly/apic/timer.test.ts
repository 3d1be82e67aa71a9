/** The LVT timer: modes, divisors, changes in flight. Bus and TSC tick at 1 GHz. */
import { beforeEach, describe, expect, it } from "vitest";
import { REQ_TIMER, VCPU_REQUEST } from "../../../assembly/abi.js";
import { Apics } from "../../support/apics.js";

const apics = await Apics.create();
const LVT = 0x832;
const TMICT = 0x838;
const TMCCT = 0x839;
const TDCR = 0x83e;
const DEADLINE = 0x6e0;
const VECTOR = 0xe0n;
const PERIODIC = 1n << 17n;
const TSC_DEADLINE = 2n << 17n;
const MASKED = 1n << 16n;
let cpu = 0;

function start(policy: string, lvt: bigint): void {
  cpu = apics.clear(policy).add(5);
  apics.now = 1000n;
  apics.setMsr(cpu, LVT, lvt);
  apics.setMsr(cpu, TDCR, 0xbn); // divide by 1
}

/** Takes the timer interrupt if it is there. */
function fired(): boolean {
  const vector = apics.x.apicAcknowledge(cpu);
  if (vector >= 0) apics.x.apicEoi(cpu);
  return vector === Number(VECTOR);
}

beforeEach(() => start("kvm,periodMin=0", VECTOR));

describe("TDCR", () => {
  it.each([
    [0x0, 2],
    [0x1, 4],
    [0x2, 8],
    [0x3, 16],
    [0x8, 32],
    [0x9, 64],
    [0xa, 128],
    [0xb, 1],
  ])("value %i divides by %i", (value, divisor) => {
    apics.setMsr(cpu, TDCR, BigInt(value));
    apics.setMsr(cpu, TMICT, 1000n);
    expect(apics.deadline(cpu)).toBe(1000n + 1000n * BigInt(divisor));
    apics.now += BigInt(divisor) * 300n;
    expect(apics.msr(cpu, TMCCT)).toBe(700n);
  });

  it("keeps the count of a running timer and changes its speed", () => {
    apics.setMsr(cpu, TMICT, 1000n);
    apics.now += 400n;
    apics.setMsr(cpu, TDCR, 0x1n); // divide by 4
    expect(apics.msr(cpu, TMCCT)).toBe(600n);
    expect(apics.deadline(cpu)).toBe(1400n + 2400n);
  });
});

describe("one-shot mode", () => {
  it("counts down, interrupts once and stops", () => {
    apics.setMsr(cpu, TMICT, 500n);
    expect(apics.msr(cpu, TMCCT)).toBe(500n);
    apics.advance(cpu, 499n);
    expect(apics.msr(cpu, TMCCT)).toBe(1n);
    expect(fired()).toBe(false);
    apics.advance(cpu, 1n);
    expect(fired()).toBe(true);
    expect(apics.msr(cpu, TMCCT)).toBe(0n);
    expect(apics.deadline(cpu)).toBeNull();
    expect(apics.msr(cpu, TMICT)).toBe(500n);
  });

  it("stops on TMICT 0 and starts again on a new count", () => {
    apics.setMsr(cpu, TMICT, 500n);
    apics.setMsr(cpu, TMICT, 0n);
    expect(apics.deadline(cpu)).toBeNull();
    expect(apics.msr(cpu, TMCCT)).toBe(0n);
    apics.setMsr(cpu, TMICT, 300n);
    apics.now += 100n;
    apics.setMsr(cpu, TMICT, 300n);
    expect(apics.deadline(cpu)).toBe(1400n);
  });

  it("counts while masked, without interrupt", () => {
    apics.setMsr(cpu, LVT, VECTOR | MASKED);
    apics.setMsr(cpu, TMICT, 500n);
    apics.advance(cpu, 600n);
    expect(fired()).toBe(false);
    expect(apics.deadline(cpu)).toBeNull();
  });

  it("takes the largest count with the largest divisor", () => {
    apics.setMsr(cpu, TDCR, 0xan);
    apics.setMsr(cpu, TMICT, 0xffffffffn);
    expect(apics.deadline(cpu)).toBe(1000n + 0xffffffffn * 128n);
    expect(apics.msr(cpu, TMCCT)).toBe(0xffffffffn);
  });
});

describe("periodic mode", () => {
  it("reloads, and merges the periods that were missed", () => {
    start("kvm,periodMin=0", VECTOR | PERIODIC);
    apics.setMsr(cpu, TMICT, 100n);
    apics.advance(cpu, 100n);
    expect(fired()).toBe(true);
    expect(apics.deadline(cpu)).toBe(1200n);
    apics.advance(cpu, 570n); // 1670: expiries at 1200, 1300, ... 1600
    expect(fired()).toBe(true);
    expect(fired()).toBe(false);
    expect(apics.deadline(cpu)).toBe(1700n);
    expect(apics.msr(cpu, TMCCT)).toBe(30n);
  });

  it("is not faster than the policy allows", () => {
    start("kvm", VECTOR | PERIODIC);
    apics.setMsr(cpu, TMICT, 100n);
    expect(apics.deadline(cpu)).toBe(1000n + 200_000n);
  });

  it("does not limit one-shot mode", () => {
    start("kvm", VECTOR);
    apics.setMsr(cpu, TMICT, 100n);
    expect(apics.deadline(cpu)).toBe(1100n);
  });
});

describe("TSC-deadline mode", () => {
  beforeEach(() => start("kvm", VECTOR | TSC_DEADLINE));

  it("fires when the TSC gets there, then reads 0", () => {
    apics.setMsr(cpu, DEADLINE, 5000n);
    expect(apics.msr(cpu, DEADLINE)).toBe(5000n);
    expect(apics.deadline(cpu)).toBe(5000n);
    apics.advance(cpu, 3999n);
    expect(fired()).toBe(false);
    apics.advance(cpu, 1n);
    expect(fired()).toBe(true);
    expect(apics.msr(cpu, DEADLINE)).toBe(0n);
    expect(apics.deadline(cpu)).toBeNull();
  });

  it.each([1n, 999n, 1000n])("fires at once for %i, in the past", (deadline) => {
    apics.setMsr(cpu, DEADLINE, deadline);
    expect(fired()).toBe(true);
    expect(apics.msr(cpu, DEADLINE)).toBe(0n);
  });

  it("is disarmed by 0 and replaced by a later write", () => {
    apics.setMsr(cpu, DEADLINE, 5000n);
    apics.setMsr(cpu, DEADLINE, 9000n);
    expect(apics.deadline(cpu)).toBe(9000n);
    apics.setMsr(cpu, DEADLINE, 0n);
    expect(apics.deadline(cpu)).toBeNull();
  });

  it("holds a deadline that lies centuries away", () => {
    apics.setMsr(cpu, DEADLINE, 0xffffffffffffffffn);
    expect(fired()).toBe(false);
    expect(apics.msr(cpu, DEADLINE)).toBe(0xffffffffffffffffn);
  });

  it("ignores TMICT, and TMCCT reads 0", () => {
    apics.setMsr(cpu, TMICT, 500n);
    expect(apics.msr(cpu, TMICT)).toBe(0n);
    expect(apics.msr(cpu, TMCCT)).toBe(0n);
    expect(apics.deadline(cpu)).toBeNull();
  });

  it("fires masked without interrupt", () => {
    apics.setMsr(cpu, LVT, VECTOR | TSC_DEADLINE | MASKED);
    apics.setMsr(cpu, DEADLINE, 1n);
    expect(fired()).toBe(false);
    expect(apics.msr(cpu, DEADLINE)).toBe(0n);
  });

  it("is ignored in the other modes", () => {
    apics.setMsr(cpu, LVT, VECTOR);
    expect(apics.setMsr(cpu, DEADLINE, 1n)).toBe("ok");
    expect(apics.msr(cpu, DEADLINE)).toBe(0n);
    expect(fired()).toBe(false);
  });
});

describe("a change of the timer's mode", () => {
  const MODES = { "one-shot": 0n, periodic: PERIODIC, deadline: TSC_DEADLINE } as const;

  it.each([
    ["kvm,periodMin=0", "one-shot", "periodic", true],
    ["kvm,periodMin=0", "periodic", "one-shot", true],
    ["kvm,periodMin=0", "one-shot", "deadline", false],
    ["kvm,periodMin=0", "periodic", "deadline", false],
    ["kvm,periodMin=0", "deadline", "one-shot", false],
    ["kvm,periodMin=0", "deadline", "periodic", false],
    ["kvm,periodMin=0,timerModeDisarms=on", "one-shot", "periodic", false],
    ["kvm,periodMin=0,timerModeDisarms=on", "periodic", "one-shot", false],
  ] as const)("under %s from %s to %s keeps it running: %s", (policy, from, to, runs) => {
    start(policy, VECTOR | MODES[from]);
    if (from === "deadline") apics.setMsr(cpu, DEADLINE, 5000n);
    else apics.setMsr(cpu, TMICT, 4000n);
    apics.setMsr(cpu, LVT, VECTOR | MODES[to]);
    expect(apics.deadline(cpu)).toBe(runs ? 5000n : null);
    expect(apics.msr(cpu, TMICT)).toBe(runs ? 4000n : 0n);
  });

  it("to periodic reloads at the end of the running count", () => {
    apics.setMsr(cpu, TMICT, 400n);
    apics.setMsr(cpu, LVT, VECTOR | PERIODIC);
    apics.advance(cpu, 400n);
    expect(fired()).toBe(true);
    expect(apics.deadline(cpu)).toBe(1800n);
  });

  it("to the reserved mode 3 runs no timer", () => {
    start("kvm", VECTOR | (3n << 17n));
    apics.setMsr(cpu, TMICT, 400n);
    expect(apics.deadline(cpu)).toBeNull();
  });
});

describe("the request for the timer queue", () => {
  it("is raised whenever the deadline changes, and only then", () => {
    const changed = (): boolean => {
      const isSet = (apics.request(cpu) & REQ_TIMER) !== 0;
      apics.setField(cpu, VCPU_REQUEST, apics.request(cpu) & ~REQ_TIMER);
      return isSet;
    };
    changed();
    apics.setMsr(cpu, TMICT, 400n);
    expect(changed()).toBe(true);
    apics.setMsr(cpu, LVT, 0xe1n);
    expect(changed()).toBe(false);
    apics.setMsr(cpu, TMICT, 0n);
    expect(changed()).toBe(true);
    apics.setMsr(cpu, TMICT, 0n);
    expect(changed()).toBe(false);
    apics.setMsr(cpu, TMICT, 9n);
    changed();
    apics.x.apicInit(cpu);
    expect(changed()).toBe(true);
    expect(apics.deadline(cpu)).toBeNull();
  });

  it("comes with a silent timer when the LAPIC is software-disabled", () => {
    apics.setMsr(cpu, TMICT, 400n);
    apics.setMsr(cpu, 0x80f, 0xffn);
    apics.advance(cpu, 400n);
    expect(fired()).toBe(false);
  });
});
