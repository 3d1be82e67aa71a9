/** ICR, priorities, INIT and STARTUP, timers, arbitration: facts shown by model and core. */
import { describe, expect, it } from "vitest";
import type { ApicDriver } from "./driver.js";
import { HALTED, RUNNABLE, UNINITIALIZED, WAIT_FOR_SIPI } from "./machine-model.js";
import { BASE, processor, SIDES } from "./sides.js";

const ICR = 0x300;
const ICR2 = 0x310;
const SELF = 0x40000;

/** A fixed interrupt of a LAPIC to itself. */
function selfIpi(driver: ApicDriver, n: number, vector: number): void {
  driver.writeMmio(n, ICR, 4, SELF | vector);
}

const fields = { logical: 0, shorthand: 0, trigger: 0, level: 1 };

describe.each(SIDES)("ICR (%s)", (_, make) => {
  it("sends to the destination written before, in xAPIC mode", () => {
    const driver = make();
    const [a, b] = [processor(driver, "x", 1), processor(driver, "x", 2)];
    driver.writeMmio(a, ICR2, 4, 0x02000000);
    expect(driver.pending(b)).toBe(-1);
    driver.writeMmio(a, ICR, 4, 0x4041);
    expect([driver.pending(a), driver.pending(b)]).toEqual([-1, 0x41]);
    expect(driver.readMmio(a, ICR2, 4)).toBe(0x02000000);
  });

  it("sends by one 64-bit write in x2APIC mode", () => {
    const driver = make();
    const [a, b] = [processor(driver, "x2", 1), processor(driver, "x2", 0x123)];
    driver.writeMsr(a, 0x830, (0x123n << 32n) | 0x4041n);
    expect([driver.pending(a), driver.pending(b)]).toEqual([-1, 0x41]);
  });

  it("sets IRR of the sender before the next instruction: self IPI", () => {
    const driver = make();
    const n = processor(driver, "x2");
    driver.writeMsr(n, 0x83f, 0x52n);
    expect(driver.pending(n)).toBe(0x52);
  });

  it("sends from a software-disabled LAPIC, too", () => {
    const driver = make();
    const [a, b] = [driver.addVcpu(1, false, true), processor(driver, "x", 2)];
    driver.writeMmio(a, ICR2, 4, 0x02000000);
    driver.writeMmio(a, ICR, 4, 0x4041);
    expect(driver.pending(b)).toBe(0x41);
  });
});

describe.each(SIDES)("priorities (%s)", (_, make) => {
  // [TPR, vector in service or -1, PPR]
  it.each([
    [0x00, -1, 0x00],
    [0x05, -1, 0x05],
    [0x31, -1, 0x31],
    [0x00, 0x41, 0x40],
    [0x3f, 0x41, 0x40],
    [0x4f, 0x41, 0x4f],
    [0x40, 0x4f, 0x40],
    [0x52, 0x41, 0x52],
    [0xff, 0xf1, 0xff],
  ])("TPR %x with vector %x in service give PPR %x", (tpr, serviced, ppr) => {
    const driver = make();
    const n = processor(driver);
    if (serviced >= 0) {
      selfIpi(driver, n, serviced);
      driver.acknowledge(n);
    }
    driver.writeMmio(n, 0x80, 4, tpr);
    expect(driver.readMmio(n, 0xa0, 4)).toBe(ppr);
  });

  it("deliver only a class above PPR's", () => {
    const driver = make();
    const n = processor(driver);
    selfIpi(driver, n, 0x4f);
    for (const [tpr, pending] of [
      [0x40, -1],
      [0x4f, -1],
      [0x3f, 0x4f],
      [0x00, 0x4f],
    ] as const) {
      driver.writeMmio(n, 0x80, 4, tpr);
      expect(driver.pending(n)).toBe(pending);
    }
  });

  it("nest, and EOI ends the highest", () => {
    const driver = make();
    const n = processor(driver);
    const taken: number[] = [];
    for (const vector of [0x31, 0x81, 0x55]) {
      selfIpi(driver, n, vector);
      taken.push(driver.acknowledge(n));
    }
    expect(taken).toEqual([0x31, 0x81, -1]);
    expect(driver.readMmio(n, 0xa0, 4)).toBe(0x80);
    driver.writeMmio(n, 0xb0, 4, 0);
    expect(driver.acknowledge(n)).toBe(0x55);
    driver.writeMmio(n, 0xb0, 4, 0);
    expect(driver.readMmio(n, 0xa0, 4)).toBe(0x30);
    driver.writeMmio(n, 0xb0, 4, 0);
    driver.writeMmio(n, 0xb0, 4, 0); // nothing left: no effect
    expect(driver.readMmio(n, 0xa0, 4)).toBe(0);
  });

  it("keep two of one vector, and merge a third", () => {
    const driver = make();
    const n = processor(driver);
    selfIpi(driver, n, 0x61);
    expect(driver.acknowledge(n)).toBe(0x61);
    selfIpi(driver, n, 0x61);
    selfIpi(driver, n, 0x61);
    driver.writeMmio(n, 0xb0, 4, 0);
    expect(driver.acknowledge(n)).toBe(0x61);
    driver.writeMmio(n, 0xb0, 4, 0);
    expect(driver.acknowledge(n)).toBe(-1);
  });

  it("store a vector below 16 that can never win, by KVM's rule", () => {
    const driver = make();
    const n = processor(driver);
    selfIpi(driver, n, 0x0e);
    expect(driver.readMmio(n, 0x200, 4)).toBe(1 << 0x0e);
    expect(driver.pending(n)).toBe(-1);
  });

  it("set and clear TMR on acceptance", () => {
    const driver = make();
    const n = processor(driver);
    driver.writeMmio(n, ICR, 4, SELF | 0xc000 | 0x45);
    expect(driver.readMmio(n, 0x1a0, 4)).toBe(0x20);
    selfIpi(driver, n, 0x45);
    expect(driver.readMmio(n, 0x1a0, 4)).toBe(0);
  });

  it("hold what is pending over a software-disable", () => {
    const driver = make();
    const n = processor(driver);
    selfIpi(driver, n, 0x45);
    driver.writeMmio(n, 0xf0, 4, 0xff);
    selfIpi(driver, n, 0x55); // dropped
    driver.writeMmio(n, 0xf0, 4, 0x1ff);
    expect(driver.acknowledge(n)).toBe(0x45);
    expect(driver.pending(n)).toBe(-1);
  });
});

describe.each(SIDES)("INIT and STARTUP (%s)", (_, make) => {
  type Event = "init" | "sipi 10" | "sipi 20" | "process" | "de-assert";

  /** Sends events to an AP and tells the run state and, when it started, the page. */
  function play(from: number, events: readonly Event[]): [state: number, page: number | null] {
    const driver = make();
    const sender = processor(driver, "x", 1);
    const n = processor(driver, "x", 2);
    driver.setState(n, { mode: "x", xid: 2, svr: 0x1ff, ldr: 0, dfr: 0xffffffff, runState: from });
    let page: number | null = null;
    const look = (): void => {
      if ((driver.processEvents(n) & 2) !== 0) page = driver.sipiVector(n);
    };
    for (const event of events) {
      const message = { ...fields, from: sender, dest: 2, vector: 0 };
      if (event === "process") look();
      else if (event === "init") driver.sendIpi({ ...message, mode: 5 });
      else if (event === "de-assert") driver.sendIpi({ ...message, mode: 5, trigger: 1, level: 0 });
      else driver.sendIpi({ ...message, mode: 6, vector: parseInt(event.slice(5), 16) });
    }
    look();
    return [driver.runState(n), page];
  }

  it.each<[string, number, Event[], number, number | null]>([
    ["a lone STARTUP is discarded", UNINITIALIZED, ["sipi 10"], UNINITIALIZED, null],
    ["INIT waits for STARTUP", UNINITIALIZED, ["init"], WAIT_FOR_SIPI, null],
    [
      "INIT and STARTUP in one batch both count",
      UNINITIALIZED,
      ["init", "sipi 10"],
      RUNNABLE,
      0x10,
    ],
    [
      "the last of two STARTUPs counts",
      UNINITIALIZED,
      ["init", "sipi 10", "sipi 20"],
      RUNNABLE,
      0x20,
    ],
    ["STARTUP, then INIT, waits", UNINITIALIZED, ["sipi 10", "init"], WAIT_FOR_SIPI, null],
    [
      "a second STARTUP to a running CPU is ignored",
      WAIT_FOR_SIPI,
      ["sipi 10", "process", "sipi 20"],
      RUNNABLE,
      0x10,
    ],
    ["INIT stops a running CPU", RUNNABLE, ["init"], WAIT_FOR_SIPI, null],
    ["INIT stops a halted CPU", HALTED, ["init"], WAIT_FOR_SIPI, null],
    ["INIT waits again", WAIT_FOR_SIPI, ["init", "process", "sipi 20"], RUNNABLE, 0x20],
    ["INIT de-assert is ignored", RUNNABLE, ["de-assert"], RUNNABLE, null],
    [
      "INIT de-assert keeps a pending STARTUP",
      WAIT_FOR_SIPI,
      ["sipi 10", "de-assert"],
      RUNNABLE,
      0x10,
    ],
  ])("%s", (_name, from, events, state, page) => {
    expect(play(from, events)).toEqual([state, page]);
  });

  it("restart the bootstrap processor at the reset vector, where STARTUP finds it running", () => {
    const driver = make();
    const bsp = driver.addVcpu(0, true, true);
    const ap = processor(driver, "x", 1);
    driver.sendIpi({ ...fields, from: ap, dest: 0, mode: 5, vector: 0 });
    driver.sendIpi({ ...fields, from: ap, dest: 0, mode: 6, vector: 0x10 });
    expect([driver.processEvents(bsp), driver.runState(bsp)]).toEqual([1, RUNNABLE]);
  });

  it("INIT clears IRR and ISR", () => {
    const driver = make();
    const n = processor(driver);
    selfIpi(driver, n, 0x61);
    driver.acknowledge(n);
    selfIpi(driver, n, 0x71);
    driver.sendIpi({ ...fields, from: n, dest: 0, shorthand: 1, mode: 5, vector: 0 });
    driver.processEvents(n);
    expect([driver.readMmio(n, 0x130, 4), driver.readMmio(n, 0x230, 4)]).toEqual([0, 0]);
  });
});

describe.each(SIDES)("the timer (%s)", (_, make) => {
  const START = 1_000_000;
  const LVT = 0x320;
  const TMICT = 0x380;
  const TMCCT = 0x390;
  const TDCR = 0x3e0;

  function timer(lvt: number, options: Parameters<typeof make>[0] = {}): [ApicDriver, number] {
    const driver = make(options);
    const n = processor(driver);
    driver.setNow(START);
    driver.writeMmio(n, LVT, 4, lvt);
    return [driver, n];
  }

  it.each([
    [0, 2],
    [1, 4],
    [2, 8],
    [3, 16],
    [8, 32],
    [9, 64],
    [0xa, 128],
    [0xb, 1],
  ])("TDCR %x divides by %i", (tdcr, divisor) => {
    const [driver, n] = timer(0x40);
    driver.writeMmio(n, TDCR, 4, tdcr);
    driver.writeMmio(n, TMICT, 4, 1000);
    expect(driver.deadline(n)).toBe(START + 1000 * divisor);
    driver.setNow(START + 400 * divisor + divisor - 1);
    expect(driver.readMmio(n, TMCCT, 4)).toBe(divisor === 1 ? 600 : 599);
  });

  it("fires once in one-shot mode", () => {
    const [driver, n] = timer(0x40);
    driver.writeMmio(n, TMICT, 4, 50);
    driver.setNow(START + 100);
    driver.timerExpired(n);
    expect([driver.pending(n), driver.deadline(n), driver.readMmio(n, TMCCT, 4)]).toEqual([
      0x40,
      null,
      0,
    ]);
  });

  it("reloads in periodic mode", () => {
    const [driver, n] = timer(0x20040);
    driver.writeMmio(n, TMICT, 4, 50);
    driver.setNow(START + 100);
    driver.timerExpired(n);
    expect([driver.pending(n), driver.deadline(n)]).toEqual([0x40, START + 200]);
  });

  it("counts without an interrupt while masked", () => {
    const [driver, n] = timer(0x10040);
    driver.writeMmio(n, TMICT, 4, 50);
    driver.setNow(START + 100);
    driver.timerExpired(n);
    expect([driver.pending(n), driver.deadline(n)]).toEqual([-1, null]);
  });

  it("does nothing when it is too early", () => {
    const [driver, n] = timer(0x40);
    driver.writeMmio(n, TMICT, 4, 50);
    driver.setNow(START + 99);
    driver.timerExpired(n);
    expect([driver.pending(n), driver.deadline(n)]).toEqual([-1, START + 100]);
  });

  it("stops by TMICT 0", () => {
    const [driver, n] = timer(0x40);
    driver.writeMmio(n, TMICT, 4, 50);
    driver.writeMmio(n, TMICT, 4, 0);
    expect(driver.deadline(n)).toBeNull();
  });

  it("goes on at the new speed when TDCR changes", () => {
    const [driver, n] = timer(0x40);
    driver.writeMmio(n, TMICT, 4, 1000); // divide by 2
    driver.setNow(START + 500); // 750 left
    driver.writeMmio(n, TDCR, 4, 1); // divide by 4
    expect(driver.deadline(n)).toBe(START + 500 + 750 * 4);
    expect(driver.readMmio(n, TMCCT, 4)).toBe(750);
  });

  it("keeps counting from one-shot to periodic, as KVM; disarms, as the manual", () => {
    for (const [timerModeDisarms, deadline] of [
      [false, START + 100],
      [true, null],
    ] as const) {
      const [driver, n] = timer(0x40, { timerModeDisarms });
      driver.writeMmio(n, TMICT, 4, 50);
      driver.writeMmio(n, LVT, 4, 0x20040);
      expect(driver.deadline(n)).toBe(deadline);
    }
  });

  it("stays stopped when a finished one-shot becomes periodic", () => {
    const [driver, n] = timer(0x40);
    driver.writeMmio(n, TMICT, 4, 50);
    driver.setNow(START + 100);
    driver.timerExpired(n);
    driver.writeMmio(n, LVT, 4, 0x20040);
    expect([
      driver.deadline(n),
      driver.readMmio(n, TMCCT, 4),
      driver.readMmio(n, TMICT, 4),
    ]).toEqual([null, 0, 50]);
  });

  it("disarms and clears TMICT to and from deadline mode", () => {
    const [driver, n] = timer(0x40);
    driver.writeMmio(n, TMICT, 4, 50);
    driver.writeMmio(n, LVT, 4, 0x40040);
    expect([driver.deadline(n), driver.readMmio(n, TMICT, 4)]).toEqual([null, 0]);
    driver.writeMsr(n, 0x6e0, BigInt(START + 70));
    expect(driver.deadline(n)).toBe(START + 70);
    driver.writeMmio(n, LVT, 4, 0x40);
    expect([driver.deadline(n), driver.readMsr(n, 0x6e0)]).toEqual([null, 0n]);
  });

  it("fires when the TSC reaches the deadline, which then reads 0", () => {
    const [driver, n] = timer(0x40041);
    driver.writeMsr(n, 0x6e0, BigInt(START + 70));
    expect(driver.readMsr(n, 0x6e0)).toBe(BigInt(START + 70));
    driver.setNow(START + 70);
    driver.timerExpired(n);
    expect([driver.pending(n), driver.readMsr(n, 0x6e0), driver.deadline(n)]).toEqual([
      0x41,
      0n,
      null,
    ]);
  });

  it("fires at once for a deadline in the past", () => {
    const [driver, n] = timer(0x40041);
    driver.writeMsr(n, 0x6e0, 5n);
    expect([driver.pending(n), driver.readMsr(n, 0x6e0)]).toEqual([0x41, 0n]);
  });

  it("ignores the deadline MSR in other modes, and TMICT in deadline mode", () => {
    const [driver, n] = timer(0x40);
    driver.writeMsr(n, 0x6e0, 5n);
    expect([driver.pending(n), driver.readMsr(n, 0x6e0)]).toEqual([-1, 0n]);
    driver.writeMmio(n, LVT, 4, 0x40040);
    driver.writeMmio(n, TMICT, 4, 77);
    expect([driver.readMmio(n, TMICT, 4), driver.readMmio(n, TMCCT, 4)]).toEqual([0, 0]);
  });

  it.each([
    [1, 11, 1],
    [40, 0, 80],
    [40, 11, 40],
    [10_000, 0xa, 1_280_000],
  ])("counts a bus of %i ns with TDCR %i once in %i ns", (busCycle, tdcr, tick) => {
    const [driver, n] = timer(0x40, { busCycle });
    driver.writeMmio(n, TDCR, 4, tdcr);
    driver.writeMmio(n, TMICT, 4, 50);
    expect(driver.deadline(n)).toBe(START + 50 * tick);
    driver.setNow(START + 20 * tick);
    expect(driver.readMmio(n, TMCCT, 4)).toBe(30);
    driver.writeMmio(n, TMICT, 4, 0xffffffff);
    driver.writeMmio(n, TDCR, 4, 0xa); // by 128
    expect(driver.readMmio(n, TMCCT, 4)).toBe(0xffffffff);
  });

  it("has a shortest period in periodic mode alone", () => {
    const [driver, n] = timer(0x20040, { periodMin: 200_000 });
    driver.writeMmio(n, TMICT, 4, 50);
    expect(driver.deadline(n)).toBe(START + 200_000);
    const [other, m] = timer(0x40, { periodMin: 200_000 });
    other.writeMmio(m, TMICT, 4, 50);
    expect(other.deadline(m)).toBe(START + 100);
  });
});

describe.each(SIDES)("lowest priority (%s)", (_, make) => {
  /** 0x120, 0x121 and, when asked for, 0x123 and 0x130, all in x2APIC mode; 0x00 sends to bits 0, 1 and 3. */
  function winners(ids: readonly number[], vectors: readonly number[]): (number | null)[] {
    const driver = make();
    const all = [0x00, ...ids];
    all.forEach((id) => processor(driver, "x2", id));
    return vectors.map((vector) => {
      const message = { ...fields, from: 0, dest: 0x12000b, logical: 1, mode: 1, vector };
      const [winner] = driver.sendIpi(message).accepted;
      return winner === undefined ? null : all[winner]!;
    });
  }

  it("goes by the vector modulo the number of bits", () => {
    expect(winners([0x120, 0x121, 0x123], [48, 49, 50, 51])).toEqual([0x120, 0x121, 0x123, 0x120]);
  });

  it("loses the message to an empty bit within the table", () => {
    expect(winners([0x120, 0x121, 0x130], [48, 49, 50, 51])).toEqual([0x120, 0x121, null, 0x120]);
  });

  it("does not count bits beyond the end of the table", () => {
    expect(winners([0x120, 0x121], [48, 49, 50, 51])).toEqual([0x120, 0x121, 0x120, 0x121]);
  });

  it("loses the message to a software-disabled member", () => {
    const driver = make();
    for (const id of [0x00, 0x120, 0x121]) processor(driver, "x2", id);
    driver.writeMsr(2, 0x80f, 0xffn);
    const message = { ...fields, from: 0, dest: 0x120003, logical: 1, mode: 1, vector: 49 };
    expect(driver.sendIpi(message).accepted).toEqual([]);
  });

  it("turns into Fixed to all by 0xff on a scan", () => {
    const driver = make();
    for (const id of [1, 2, 3]) processor(driver, "x", id);
    const receipt = driver.sendIpi({ ...fields, from: 0, dest: 0xff, mode: 1, vector: 0x40 });
    expect(receipt).toMatchObject({ accepted: [0, 1, 2], path: "scan", mode: 0 });
  });
});

describe.each(SIDES)("messages without a sender (%s)", (_, make) => {
  it("return -1 when a scan matches nobody and 0 when the map knows nobody", () => {
    const msi = { dest: 0x77, logical: 0, mode: 4, vector: 0, trigger: 0, level: 1, hint: 0 };
    for (const [policy, ret] of [
      ["kvm", 0],
      ["kvm-scan", -1],
      ["kvm-legacy", -1],
    ] as const) {
      const driver = make({}, policy);
      processor(driver, "x2", 1);
      expect(driver.sendMsi(msi).ret).toBe(ret);
    }
  });

  it("always carry level 1", () => {
    const driver = make();
    processor(driver, "x2", 1);
    const msi = { dest: 1, logical: 0, mode: 0, vector: 0x40, trigger: 1, level: 0, hint: 0 };
    expect(driver.sendMsi(msi)).toMatchObject({ accepted: [0], ret: 1 });
  });

  it("are cut to 8 bits without 32-bit IDs", () => {
    const msi = { dest: 0x123, logical: 0, mode: 4, vector: 0, trigger: 0, level: 1, hint: 0 };
    for (const [policy, accepted] of [
      ["kvm", [1]],
      ["kvm-f0", [0]],
    ] as const) {
      const driver = make({}, policy);
      processor(driver, "x2", 0x23);
      processor(driver, "x2", 0x123);
      expect(driver.sendMsi(msi).accepted).toEqual(accepted);
    }
  });

  it("reach a freshly created vCPU by a scan and not by the map, until a rebuild", () => {
    const driver = make();
    processor(driver, "x2", 0);
    const n = driver.addVcpu(0x123, false, false);
    const ipi = { ...fields, from: 0, dest: 0x123, mode: 4, vector: 0 };
    expect(driver.sendIpi(ipi).accepted).toEqual([]);
    expect(driver.sendIpi({ ...ipi, shorthand: 3 }).accepted).toEqual([n]);
    driver.writeMsr(0, 0x1b, BASE.OFF);
    driver.writeMsr(0, 0x1b, BASE.XAPIC);
    driver.writeMsr(0, 0x1b, BASE.X2APIC);
    expect(driver.sendIpi(ipi).accepted).toEqual([n]);
  });
});
