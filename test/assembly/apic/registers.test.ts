/** Registers: power-up and INIT values, access widths, faults and masks of both interfaces. */
import { beforeEach, describe, expect, it } from "vitest";
import { Apics } from "../../support/apics.js";

const apics = await Apics.create();
const POWER_UP = 0xfee00800n;

const REG = {
  ID: 0x20,
  VERSION: 0x30,
  TPR: 0x80,
  APR: 0x90,
  PPR: 0xa0,
  EOI: 0xb0,
  RRD: 0xc0,
  LDR: 0xd0,
  DFR: 0xe0,
  SVR: 0xf0,
  ISR: 0x100,
  TMR: 0x180,
  IRR: 0x200,
  ESR: 0x280,
  CMCI: 0x2f0,
  ICR_LOW: 0x300,
  ICR_HIGH: 0x310,
  TIMER: 0x320,
  THERMAL: 0x330,
  PERF: 0x340,
  LINT0: 0x350,
  LINT1: 0x360,
  ERROR: 0x370,
  TMICT: 0x380,
  TMCCT: 0x390,
  TDCR: 0x3e0,
  SELF_IPI: 0x3f0,
} as const;

const msrOf = (offset: number): number => 0x800 + (offset >> 4);

beforeEach(() => {
  apics.clear();
});

describe("power-up and INIT", () => {
  // Register, power-up value, value after INIT of a LAPIC that had everything changed.
  const ROWS: [keyof typeof REG, number, number][] = [
    ["ID", 0x23000000, 0x77000000],
    ["VERSION", 0x1050014, 0x1050014],
    ["TPR", 0, 0],
    ["APR", 0, 0],
    ["PPR", 0, 0],
    ["LDR", 0, 0],
    ["DFR", 0xffffffff, 0xffffffff],
    ["SVR", 0xff, 0xff],
    ["ISR", 0, 0],
    ["TMR", 0, 0],
    ["IRR", 0, 0],
    ["ESR", 0, 0],
    ["ICR_LOW", 0, 0],
    ["ICR_HIGH", 0, 0],
    ["TIMER", 0x10000, 0x10000],
    ["THERMAL", 0x10000, 0x10000],
    ["PERF", 0x10000, 0x10000],
    ["LINT0", 0x10000, 0x10000],
    ["LINT1", 0x10000, 0x10000],
    ["ERROR", 0x10000, 0x10000],
    ["TMICT", 0, 0],
    ["TMCCT", 0, 0],
    ["TDCR", 0, 0],
  ];

  it.each(ROWS)("set %s to %i, and INIT to %i", (name, powerUp, afterInit) => {
    const cpu = apics.addFresh(0x123);
    expect(apics.read(cpu, REG[name])).toBe(powerUp);
    apics.write(cpu, REG.SVR, 0x1ff);
    for (const register of Object.values(REG)) {
      if (register !== REG.ICR_LOW) apics.write(cpu, register, 0x77777777);
    }
    apics.write(cpu, REG.ICR_LOW, 0x40044);
    apics.write(cpu, REG.DFR, 0);
    apics.x.apicInit(cpu);
    expect(apics.read(cpu, REG[name])).toBe(afterInit);
  });

  it.each([
    ["kvm", 0x700],
    ["kvm,lint0Reenabled=off", 0x10000],
  ])("under %s give LINT0 of the boot CPU %i, on RESET and INIT", (policy, lint0) => {
    apics.clear(policy);
    const cpu = apics.addFresh(0);
    expect(apics.read(cpu, REG.LINT0)).toBe(lint0);
    apics.write(cpu, REG.LINT0, 0x12345);
    apics.x.apicInit(cpu);
    expect(apics.read(cpu, REG.LINT0)).toBe(lint0);
  });

  it("keep mode, 32-bit ID and LDR of x2APIC mode on INIT, and go back to xAPIC mode on RESET", () => {
    const cpu = apics.add(0x123);
    apics.x.apicInit(cpu);
    expect(apics.msr(cpu, 0x802)).toBe(0x123n);
    expect(apics.msr(cpu, 0x80d)).toBe(0x120008n);
    expect(apics.msr(cpu, 0x80f)).toBe(0xffn);
    apics.x.apicReset(cpu, 0);
    expect(apics.msr(cpu, 0x1b)).toBe(POWER_UP);
    expect(apics.msr(cpu, 0x802)).toBe("#GP");
    expect(apics.read(cpu, REG.ID)).toBe(0x23000000);
    expect(apics.read(cpu, REG.LDR)).toBe(0);
  });

  it("keep APIC_BASE with its BSP bit and address on INIT, disabled or not", () => {
    const cpu = apics.addFresh(0);
    apics.setMsr(cpu, 0x1b, 0x12345900n);
    apics.x.apicInit(cpu);
    expect(apics.msr(cpu, 0x1b)).toBe(0x12345900n);
    apics.setMsr(cpu, 0x1b, 0x12345100n);
    apics.x.apicInit(cpu);
    expect(apics.msr(cpu, 0x1b)).toBe(0x12345100n);
  });
});

describe("logical x2APIC ID", () => {
  it.each([
    [0, 0x00000001n],
    [0x0f, 0x00008000n],
    [0x10, 0x00010001n],
    [0x23, 0x00020008n],
    [0xff, 0x000f8000n],
    [0x100, 0x00100001n],
    [0x123, 0x00120008n],
    [0x1ff, 0x001f8000n],
    [0xfffff, 0xffff8000n],
  ])("of ID %i is %i", (id, ldr) => {
    expect(apics.msr(apics.add(id), 0x80d)).toBe(ldr);
  });
});

describe("x2APIC MSR window", () => {
  type Answer = "ok" | "#GP";
  // Readable registers, then what a write of 0 and of all ones (32 bits) does under `kvm` and under `sdm`.
  const FIRST_VECTOR_REGISTER = 0x100;
  // prettier-ignore
  const READABLE = new Set<number>([
    REG.ID, REG.VERSION, REG.TPR, REG.PPR, REG.LDR, REG.SVR, REG.ESR, REG.ICR_LOW,
    REG.TIMER, REG.THERMAL, REG.PERF, REG.LINT0, REG.LINT1, REG.ERROR,
    REG.TMICT, REG.TMCCT, REG.TDCR,
    ...Array.from({ length: 24 }, (_, n) => FIRST_VECTOR_REGISTER + n * 16),
  ]);
  const WRITES = new Map<number, { zero: Answer; kvm: Answer; sdm: Answer }>([
    [REG.TPR, { zero: "ok", kvm: "ok", sdm: "#GP" }],
    [REG.EOI, { zero: "ok", kvm: "ok", sdm: "#GP" }],
    [REG.SVR, { zero: "ok", kvm: "ok", sdm: "#GP" }],
    [REG.ESR, { zero: "ok", kvm: "#GP", sdm: "#GP" }],
    [REG.ICR_LOW, { zero: "ok", kvm: "#GP", sdm: "#GP" }],
    [REG.TIMER, { zero: "ok", kvm: "ok", sdm: "#GP" }],
    [REG.THERMAL, { zero: "ok", kvm: "ok", sdm: "#GP" }],
    [REG.PERF, { zero: "ok", kvm: "ok", sdm: "#GP" }],
    [REG.LINT0, { zero: "ok", kvm: "ok", sdm: "#GP" }],
    [REG.LINT1, { zero: "ok", kvm: "ok", sdm: "#GP" }],
    [REG.ERROR, { zero: "ok", kvm: "ok", sdm: "#GP" }],
    [REG.TMICT, { zero: "ok", kvm: "ok", sdm: "ok" }],
    [REG.TDCR, { zero: "ok", kvm: "ok", sdm: "#GP" }],
    [REG.SELF_IPI, { zero: "ok", kvm: "#GP", sdm: "#GP" }],
  ]);
  const offsets = Array.from({ length: 0x400 }, (_, n) => n * 16);

  it.each(["kvm", "sdm"] as const)("answers every access by the %s table", (model) => {
    const wrong: string[] = [];
    for (const offset of offsets) {
      const cpu = apics.clear(`kvm,reservedBits=${model}`).add(5);
      const msr = msrOf(offset);
      const write = WRITES.get(offset);
      const got = {
        read: apics.msr(cpu, msr) === "#GP" ? "#GP" : "ok",
        zero: apics.setMsr(cpu, msr, 0n),
        ones: apics.setMsr(cpu, msr, 0xffffffffn),
        long: apics.setMsr(cpu, msr, 1n << 32n),
      };
      const want = {
        read: READABLE.has(offset) ? "ok" : "#GP",
        zero: write?.zero ?? "#GP",
        ones: write?.[model] ?? "#GP",
        long: offset === REG.ICR_LOW ? "ok" : "#GP",
      };
      if (JSON.stringify(got) !== JSON.stringify(want))
        wrong.push(`${msr.toString(16)}: ${JSON.stringify(got)}`);
    }
    expect(wrong).toEqual([]);
  });

  it("is closed in xAPIC mode and while disabled", () => {
    for (const mode of ["x", "off"] as const) {
      const cpu = apics.clear().add(5, { mode });
      for (const offset of offsets) {
        expect(apics.msr(cpu, msrOf(offset))).toBe("#GP");
        expect(apics.setMsr(cpu, msrOf(offset), 0n)).toBe("#GP");
      }
    }
  });

  it.each([
    [13, "#GP"],
    [16, "#GP"],
    [17, "#GP"],
    [20, "#GP"],
    [31, "#GP"],
    [12, "ok"],
    [14, "ok"],
    [15, "ok"],
    [19, "ok"],
    [63, "ok"],
  ])("answers ICR bit %i with %s", (bit, answer) => {
    expect(apics.setMsr(apics.add(5), 0x830, 1n << BigInt(bit))).toBe(answer);
  });

  it("gives the ICR back as one 64-bit value without bit 12", () => {
    const cpu = apics.add(5);
    apics.setMsr(cpu, 0x830, 0x89abcdef_000c50fen);
    expect(apics.msr(cpu, 0x830)).toBe(0x89abcdef_000c40fen);
  });

  it("has CMCI only where the policy has it", () => {
    expect(apics.msr(apics.add(5), 0x82f)).toBe("#GP");
    const cpu = apics.clear("kvm,lvtCmci=on").add(5);
    expect(apics.setMsr(cpu, 0x82f, 0xffffffffn)).toBe("ok");
    expect(apics.msr(cpu, 0x82f)).toBe(0x117ffn);
    expect(apics.msr(cpu, 0x803)).toBe(0x1060014n);
  });
});

describe("write masks", () => {
  // Register, value read after a write of all ones while software-enabled.
  it.each([
    ["TPR", 0xff],
    ["LDR", 0xff000000],
    ["DFR", 0xffffffff],
    ["SVR", 0x13ff],
    ["ICR_HIGH", 0xff000000],
    ["TDCR", 0xb],
    ["TIMER", 0x710ff],
    ["ERROR", 0x110ff],
    ["THERMAL", 0x117ff],
    ["PERF", 0x117ff],
    ["LINT0", 0x1f7ff],
    ["LINT1", 0x1f7ff],
    ["ID", 0xff000000],
  ] as const)("of %s let %i through under kvm", (name, value) => {
    const cpu = apics.add(5, { mode: "x" });
    apics.write(cpu, REG[name], 0xffffffff);
    expect(apics.read(cpu, REG[name])).toBe(value);
  });

  it("keep DFR's low 28 bits at one", () => {
    const cpu = apics.add(5, { mode: "x" });
    apics.write(cpu, REG.DFR, 0);
    expect(apics.read(cpu, REG.DFR)).toBe(0x0fffffff);
  });

  it("give SVR no bit 12 and the version no bit 24 where EOI broadcasts cannot be suppressed", () => {
    for (const policy of ["kvm,directedEoi=absent", "kvm,x2apic=off"]) {
      const cpu = apics.clear(policy).add(5, { mode: "x" });
      apics.write(cpu, REG.SVR, 0xffffffff);
      expect(apics.read(cpu, REG.SVR)).toBe(0x3ff);
      expect(apics.read(cpu, REG.VERSION)).toBe(0x50014);
    }
  });

  it("give SVR bit 12 and version bit 24 where EOI broadcasts can be suppressed", () => {
    const cpu = apics.clear("kvm,directedEoi=works").add(5, { mode: "x" });
    apics.write(cpu, REG.SVR, 0xffffffff);
    expect(apics.read(cpu, REG.SVR)).toBe(0x13ff);
    expect(apics.read(cpu, REG.VERSION)).toBe(0x1050014);
  });

  it("leave the timer without TSC-deadline bit where CPUID has none", () => {
    const cpu = apics.clear("kvm,tscDeadline=off").add(5, { mode: "x" });
    apics.write(cpu, REG.TIMER, 0xffffffff);
    expect(apics.read(cpu, REG.TIMER)).toBe(0x310ff);
    expect(apics.msr(cpu, 0x6e0)).toBe("#GP");
    expect(apics.setMsr(cpu, 0x6e0, 1n)).toBe("#GP");
  });

  it("hold delivery status and remote IRR at 0 by the manual", () => {
    const cpu = apics.clear("kvm,reservedBits=sdm").add(5, { mode: "x" });
    apics.write(cpu, REG.LINT0, 0xffffffff);
    expect(apics.read(cpu, REG.LINT0)).toBe(0x1a7ff);
  });

  it("keep the 8-bit ID where it is read-only", () => {
    const cpu = apics.clear("kvm,xidWritable=off").add(5, { mode: "x" });
    apics.write(cpu, REG.ID, 0x77000000);
    expect(apics.read(cpu, REG.ID)).toBe(0x05000000);
  });
});

describe("software disable", () => {
  it("masks every LVT entry, and enabling again leaves them masked", () => {
    const cpu = apics.add(5, { mode: "x" });
    for (let offset = REG.TIMER; offset <= REG.ERROR; offset += 16) apics.write(cpu, offset, 0x40);
    apics.write(cpu, REG.SVR, 0xff);
    for (let offset = REG.TIMER; offset <= REG.ERROR; offset += 16) {
      expect(apics.read(cpu, offset)).toBe(0x10040);
      apics.write(cpu, offset, 0x41);
      expect(apics.read(cpu, offset)).toBe(0x10041);
    }
    apics.write(cpu, REG.SVR, 0x1ff);
    expect(apics.read(cpu, REG.LINT1)).toBe(0x10041);
  });
});

describe("xAPIC page", () => {
  const SIZES = [1, 2, 4] as const;

  it("gives a slice of the register inside its first four bytes, and 0 elsewhere", () => {
    const cpu = apics.add(0x35, { mode: "x" });
    const wrong: string[] = [];
    const register = new Map<number, number>();
    for (const offset of Object.values(REG)) register.set(offset, apics.read(cpu, offset));
    for (let offset = 0; offset < 0x1000; offset++) {
      const base = offset & ~15;
      const value = register.get(base) ?? (base >= REG.ISR && base < REG.ESR ? 0 : undefined);
      for (const size of SIZES) {
        const inside = value !== undefined && (offset & 15) + size <= 4;
        const mask = size === 4 ? 0xffffffff : (1 << (size * 8)) - 1;
        const want = inside ? ((value >>> ((offset & 15) * 8)) & mask) >>> 0 : 0;
        if (apics.read(cpu, offset, size) !== want)
          wrong.push(`${offset.toString(16)} size ${size}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(apics.read(cpu, REG.ID + 3, 1)).toBe(0x35);
    expect(apics.read(cpu, REG.ID + 2, 2)).toBe(0x3500);
  });

  it("ignores writes that are not four aligned bytes, and writes to read-only registers", () => {
    const cpu = apics.add(5, { mode: "x" });
    apics.write(cpu, REG.TPR, 0x20);
    apics.write(cpu, REG.TPR, 0x55, 1);
    apics.write(cpu, REG.TPR, 0x55, 2);
    apics.write(cpu, REG.TPR + 1, 0x55, 4);
    expect(apics.read(cpu, REG.TPR)).toBe(0x20);
    for (const offset of [REG.VERSION, REG.PPR, REG.APR, REG.ISR, REG.TMR, REG.IRR, REG.TMCCT]) {
      const before = apics.read(cpu, offset);
      apics.write(cpu, offset, 0xffffffff);
      expect(apics.read(cpu, offset)).toBe(before);
    }
  });

  it.each(["x2", "off"] as const)("reads all ones and drops writes in mode %s", (mode) => {
    const cpu = apics.add(5, { mode });
    expect(apics.read(cpu, REG.ID)).toBe(0xffffffff);
    expect(apics.read(cpu, REG.ID, 2)).toBe(0xffff);
    expect(apics.read(cpu, REG.ID, 1)).toBe(0xff);
    apics.write(cpu, REG.SVR, 0xff);
    expect(apics.x.apicHighestPending(cpu)).toBe(-1);
    if (mode === "x2") expect(apics.msr(cpu, 0x80f)).toBe(0x1ffn);
  });

  it("sends to the destination in ICR high when ICR low is written", () => {
    apics.add(0, { mode: "x" });
    apics.add(1, { mode: "x" });
    const target = apics.add(2, { mode: "x" });
    apics.write(0, REG.ICR_HIGH, 0x02000000);
    apics.write(0, REG.ICR_LOW, 0x5044);
    expect(apics.accepted()).toEqual([2]);
    expect(apics.read(0, REG.ICR_LOW)).toBe(0x4044);
    expect(apics.read(0, REG.ICR_HIGH)).toBe(0x02000000);
    expect(apics.x.apicHighestPending(target)).toBe(0x44);
  });
});

describe("SELF IPI", () => {
  it("sets IRR at once", () => {
    const cpu = apics.add(5);
    apics.setMsr(cpu, 0x83f, 0x91n);
    expect(apics.msr(cpu, 0x820 + (0x91 >> 5))).toBe(1n << 17n);
  });
});

describe("ESR", () => {
  it("is constant 0 under kvm", () => {
    const cpu = apics.add(5, { mode: "x" });
    apics.read(cpu, 0x40);
    apics.write(cpu, REG.ICR_LOW, 0x40005);
    apics.write(cpu, REG.ESR, 0);
    expect(apics.read(cpu, REG.ESR)).toBe(0);
  });

  it("shows at a write what came up since the last one", () => {
    const cpu = apics.clear("kvm,errors=on").add(5, { mode: "x" });
    apics.read(cpu, 0x40); // no such register
    expect(apics.read(cpu, REG.ESR)).toBe(0);
    apics.write(cpu, REG.ESR, 0x1234);
    expect(apics.read(cpu, REG.ESR)).toBe(0x80);
    apics.write(cpu, REG.ICR_LOW, 0x40005); // vector 5
    apics.write(cpu, REG.ESR, 0);
    expect(apics.read(cpu, REG.ESR)).toBe(0x20);
    apics.write(cpu, REG.ESR, 0);
    expect(apics.read(cpu, REG.ESR)).toBe(0);
  });

  it("records a received vector below 16, which is not delivered", () => {
    apics.clear("kvm,errors=on");
    const cpu = apics.add(5);
    apics.x.apicSignalMsi(0xfee05000, 0, 0x4005);
    expect(apics.accepted()).toEqual([]);
    apics.setMsr(cpu, 0x828, 0n);
    expect(apics.msr(cpu, 0x828)).toBe(0x40n);
    expect(apics.msr(cpu, 0x820)).toBe(0n);
  });

  it("raises the LVT error interrupt for the first error after a write", () => {
    const cpu = apics.clear("kvm,errors=on").add(5, { mode: "x" });
    apics.write(cpu, REG.ERROR, 0xfe);
    apics.read(cpu, 0x40);
    expect(apics.x.apicAcknowledge(cpu)).toBe(0xfe);
    apics.x.apicEoi(cpu);
    apics.read(cpu, 0x40);
    expect(apics.x.apicAcknowledge(cpu)).toBe(-1);
    apics.write(cpu, REG.ESR, 0);
    apics.read(cpu, 0x40);
    expect(apics.x.apicAcknowledge(cpu)).toBe(0xfe);
  });

  it("stores vectors below 16 under kvm, where they never win", () => {
    const cpu = apics.add(5);
    expect(apics.send(cpu, 5, { vector: 5 })).toEqual([5]);
    expect(apics.msr(cpu, 0x820)).toBe(0x20n);
    expect(apics.x.apicHighestPending(cpu)).toBe(-1);
  });
});

describe("LVT", () => {
  it.each([
    ["Fixed", 0x0f1, 0xf1],
    ["masked", 0x100f1, -1],
    ["ExtINT", 0x7f1, -1],
  ])("LINT0 as %s delivers the vector or not", (_name, entry, vector) => {
    const cpu = apics.add(5, { mode: "x" });
    apics.write(cpu, REG.LINT0, entry);
    apics.x.apicRaiseLint(cpu, 0);
    expect(apics.x.apicHighestPending(cpu)).toBe(vector);
  });

  it.each([
    ["disabled", "off", 0x10000, true],
    ["an open ExtINT", "x", 0x700, true],
    ["a masked ExtINT", "x", 0x10700, false],
    ["a Fixed LINT0", "x", 0x0f1, false],
  ] as const)("lets the PIC through: %s", (_name, mode, entry, through) => {
    const cpu = apics.add(5, { mode: "x" });
    apics.write(cpu, REG.LINT0, entry);
    if (mode === "off") apics.setMsr(cpu, 0x1b, 0xfee00000n);
    expect(apics.x.apicAcceptsPic(cpu)).toBe(through ? 1 : 0);
  });
});
