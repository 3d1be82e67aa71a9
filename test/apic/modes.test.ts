/** APIC_BASE, the two register windows, RESET and INIT: facts of the manual and of KVM, shown by model and core. */
import { describe, expect, it } from "vitest";
import { BASE, processor, SIDES } from "./sides.js";

describe.each(SIDES)("IA32_APIC_BASE (%s)", (_, make) => {
  // [from, to, a guest may, the VMM may]
  it.each([
    ["off", "OFF", true, true],
    ["off", "XAPIC", true, true],
    ["off", "X2APIC", false, true],
    ["off", "EXTD_ONLY", false, false],
    ["x", "OFF", true, true],
    ["x", "XAPIC", true, true],
    ["x", "X2APIC", true, true],
    ["x", "EXTD_ONLY", false, false],
    ["x2", "OFF", true, true],
    ["x2", "XAPIC", false, true],
    ["x2", "X2APIC", true, true],
    ["x2", "EXTD_ONLY", false, false],
  ] as const)("goes from %s to %s: guest %s, VMM %s", (from, to, byGuest, byHost) => {
    const before = { off: BASE.OFF, x: BASE.XAPIC, x2: BASE.X2APIC }[from];
    const guest = make();
    const n = processor(guest, from);
    expect(guest.writeMsr(n, 0x1b, BASE[to])).toBe(byGuest);
    expect(guest.readMsr(n, 0x1b)).toBe(byGuest ? BASE[to] : before);
    const host = make();
    processor(host, from);
    expect(host.writeBaseByHost(0, BASE[to])).toBe(byHost);
  });

  it.each([0, 1, 2, 3, 4, 5, 6, 7, 9, 46, 51, 63])("refuses reserved bit %i", (bit) => {
    const driver = make({ physicalAddressBits: 46 });
    const n = processor(driver);
    expect(driver.writeMsr(n, 0x1b, BASE.XAPIC | (1n << BigInt(bit)))).toBe(false);
    expect(driver.writeBaseByHost(n, BASE.XAPIC | (1n << BigInt(bit)))).toBe(false);
  });

  it("takes address bits up to the physical address width and the BSP bit", () => {
    const driver = make({ physicalAddressBits: 46 });
    const n = processor(driver);
    expect(driver.writeMsr(n, 0x1b, BASE.XAPIC | (1n << 45n))).toBe(true);
    expect(driver.writeMsr(n, 0x1b, BASE.XAPIC | 0x100n)).toBe(true);
  });

  it("refuses EXTD where CPUID has no x2APIC", () => {
    const driver = make({ x2apic: false });
    const n = processor(driver);
    expect(driver.writeMsr(n, 0x1b, BASE.X2APIC)).toBe(false);
  });

  it("holds 0xfee00900 in the bootstrap processor and 0xfee00800 in others after RESET", () => {
    const driver = make();
    expect(driver.readMsr(driver.addVcpu(0, true, true), 0x1b)).toBe(0xfee00900n);
    expect(driver.readMsr(driver.addVcpu(1, false, true), 0x1b)).toBe(0xfee00800n);
  });

  it("brings the 8-bit ID back when the LAPIC is enabled, and leaves the x2APIC LDR behind", () => {
    const driver = make();
    const n = processor(driver);
    driver.writeMmio(n, 0x20, 4, 0x05000000);
    for (const base of [BASE.X2APIC, BASE.OFF, BASE.XAPIC]) driver.writeMsr(n, 0x1b, base);
    expect(driver.readMmio(n, 0x20, 4)).toBe(0x23000000);
    expect(driver.readMmio(n, 0xd0, 4)).toBe(0x00120008);
    expect(driver.readMmio(n, 0xf0, 4)).toBe(0x1ff);
  });

  it("brings the 8-bit ID back when the VMM goes from x2APIC to xAPIC mode", () => {
    const driver = make();
    const n = processor(driver);
    driver.writeMmio(n, 0x20, 4, 0x05000000);
    driver.writeMsr(n, 0x1b, BASE.X2APIC);
    driver.writeBaseByHost(n, BASE.XAPIC);
    expect(driver.readMmio(n, 0x20, 4)).toBe(0x23000000);
  });
});

describe.each(SIDES)("the logical x2APIC ID (%s)", (_, make) => {
  it.each([
    [0x00, 0x00000001],
    [0x0f, 0x00008000],
    [0x10, 0x00010001],
    [0x23, 0x00020008],
    [0xff, 0x000f8000],
    [0x100, 0x00100001],
    [0x123, 0x00120008],
    [0x1ff, 0x001f8000],
    [0xfffff, 0xffff8000],
  ])("of 0x%x is 0x%x", (apicId, ldr) => {
    const driver = make();
    const n = processor(driver, "x2", apicId);
    expect(driver.readMsr(n, 0x80d)).toBe(BigInt(ldr));
    expect(driver.readMsr(n, 0x802)).toBe(BigInt(apicId));
  });
});

/** What the manual lists for the x2APIC window; everything else faults. */
const READABLE = [
  0x802,
  0x803,
  0x808,
  0x80a,
  0x80d,
  0x80f,
  0x828,
  0x830,
  0x832,
  0x833,
  0x834,
  0x835,
  0x836,
  0x837,
  0x838,
  0x839,
  0x83e,
  ...Array.from({ length: 24 }, (_, n) => 0x810 + n),
];
const WRITABLE = [
  0x808, 0x80b, 0x80f, 0x828, 0x830, 0x832, 0x833, 0x834, 0x835, 0x836, 0x837, 0x838, 0x83e, 0x83f,
];
/** A write of all ones in 31:0: only what has no reserved bit, or masks them, takes it. */
const TAKES_ONES_SDM = [0x838];
const TAKES_ONES_KVM = [
  0x808, 0x80b, 0x80f, 0x832, 0x833, 0x834, 0x835, 0x836, 0x837, 0x838, 0x83e,
];
const WINDOW = Array.from({ length: 0x100 }, (_, n) => 0x800 + n);

describe.each(SIDES)("the x2APIC MSRs 800H to 8FFH (%s)", (_, make) => {
  const accepted = (
    options: Parameters<typeof make>[0],
    attempt: (driver: ReturnType<typeof make>, n: number, msr: number) => boolean,
  ): number[] =>
    WINDOW.filter((msr) => {
      const driver = make(options);
      return attempt(driver, processor(driver, "x2"), msr);
    });
  const sortedHex = (list: readonly number[]): string[] =>
    [...list].sort((a, b) => a - b).map((msr) => msr.toString(16));

  it("can be read where the manual says so", () => {
    const got = accepted({}, (driver, n, msr) => driver.readMsr(n, msr) !== "#GP");
    expect(sortedHex(got)).toEqual(sortedHex(READABLE));
  });

  it("have LVT CMCI only where it exists", () => {
    const driver = make({ cmci: true });
    const n = processor(driver, "x2");
    expect(driver.readMsr(n, 0x82f)).toBe(0x10000n);
    expect(driver.readMsr(n, 0x803)).toBe(0x60014n);
    expect(driver.writeMsr(n, 0x82f, 0xfen)).toBe(true);
  });

  it.each(["sdm", "kvm"] as const)("take 0 where they can be written (%s)", (reservedBits) => {
    const got = accepted({ reservedBits }, (driver, n, msr) => driver.writeMsr(n, msr, 0n));
    expect(sortedHex(got)).toEqual(sortedHex(WRITABLE));
  });

  it.each([
    ["sdm", TAKES_ONES_SDM],
    ["kvm", TAKES_ONES_KVM],
  ] as const)("take all ones in 31:0 only where no bit is reserved (%s)", (reservedBits, list) => {
    const got = accepted({ reservedBits }, (driver, n, msr) =>
      driver.writeMsr(n, msr, 0xffffffffn),
    );
    expect(sortedHex(got)).toEqual(sortedHex(list));
  });

  it.each(["sdm", "kvm"] as const)("fault on bit 32 except in ICR (%s)", (reservedBits) => {
    const got = accepted({ reservedBits }, (driver, n, msr) => driver.writeMsr(n, msr, 1n << 32n));
    expect(sortedHex(got)).toEqual(["830"]);
  });

  it.each(["x", "off"] as const)("all fault in mode %s", (mode) => {
    const driver = make();
    const n = processor(driver, mode);
    for (const msr of WINDOW) {
      expect(driver.readMsr(n, msr)).toBe("#GP");
      expect(driver.writeMsr(n, msr, 0n)).toBe(false);
    }
  });

  it.each(Array.from({ length: 32 }, (_, bit) => bit))("ICR judges bit %i", (bit) => {
    const driver = make();
    const n = processor(driver, "x2");
    const isReserved = bit >= 20 || bit === 17 || bit === 16 || bit === 13;
    expect(driver.writeMsr(n, 0x830, (0x55n << 32n) | (1n << BigInt(bit)))).toBe(!isReserved);
    if (!isReserved) {
      const kept = bit === 12 ? 0n : 1n << BigInt(bit); // the old busy bit
      expect(driver.readMsr(n, 0x830)).toBe((0x55n << 32n) | kept);
    }
  });
});

/** Page offsets that a read gives something for, in xAPIC mode. */
const LISTED = [
  0x20,
  0x30,
  0x80,
  0x90,
  0xa0,
  0xd0,
  0xe0,
  0xf0,
  0x280,
  0x300,
  0x310,
  0x320,
  0x330,
  0x340,
  0x350,
  0x360,
  0x370,
  0x380,
  0x390,
  0x3e0,
  ...Array.from({ length: 24 }, (_, n) => 0x100 + n * 16),
];

describe.each(SIDES)("the xAPIC page (%s)", (_, make) => {
  it("reads 1, 2 and 4 bytes as slices of the register, and 0 elsewhere", () => {
    const driver = make();
    const n = processor(driver);
    driver.writeMmio(n, 0x310, 4, 0xab000000);
    driver.writeMmio(n, 0x380, 4, 0);
    for (const size of [1, 2, 4] as const) {
      for (let offset = 0; offset < 0x1000; offset++) {
        const within = offset & 0xf;
        const register = offset & ~0xf;
        const isInside = within + size <= 4 && LISTED.includes(register);
        const whole = isInside ? driver.readMmio(n, register, 4) : 0;
        const mask = size === 4 ? 0xffffffff : 2 ** (size * 8) - 1;
        const slice = Math.floor(whole / 2 ** (within * 8)) % (mask + 1);
        expect([offset, driver.readMmio(n, offset, size)]).toEqual([offset, slice]);
      }
    }
    expect(driver.readMmio(n, 0x313, 1)).toBe(0xab);
    expect(driver.readMmio(n, 0xe2, 2)).toBe(0xffff);
  });

  it("drops writes that are not 4 bytes or not aligned to 16", () => {
    const driver = make();
    const n = processor(driver);
    driver.writeMmio(n, 0x80, 1, 0x20);
    driver.writeMmio(n, 0x80, 2, 0x20);
    driver.writeMmio(n, 0x84, 4, 0x20);
    driver.writeMmio(n, 0x81, 4, 0x20);
    expect(driver.readMmio(n, 0x80, 4)).toBe(0);
    driver.writeMmio(n, 0x80, 4, 0x120);
    expect(driver.readMmio(n, 0x80, 4)).toBe(0x20);
  });

  it.each(["x2", "off"] as const)("reads all ones and drops writes in mode %s", (mode) => {
    const driver = make();
    const n = processor(driver, mode);
    expect(driver.readMmio(n, 0x20, 4)).toBe(0xffffffff);
    expect(driver.readMmio(n, 0x21, 2)).toBe(0xffff);
    expect(driver.readMmio(n, 0xfff, 1)).toBe(0xff);
    driver.writeMmio(n, 0x80, 4, 0x20);
    driver.reset(n, false);
    expect(driver.readMmio(n, 0x80, 4)).toBe(0);
  });

  it.each([
    [0x20, 0xff000000, 0xff000000],
    [0x80, 0xffffffff, 0xff],
    [0xd0, 0xffffffff, 0xff000000],
    [0xe0, 0, 0x0fffffff],
    [0xf0, 0xffffffff, 0x3ff],
    [0x310, 0xffffffff, 0xff000000],
    [0x320, 0xffffffff & ~0x40000, 0x310ff],
    [0x330, 0xffffffff, 0x117ff],
    [0x340, 0xffffffff, 0x117ff],
    [0x350, 0xffffffff, 0x1f7ff],
    [0x360, 0xffffffff, 0x1f7ff],
    [0x370, 0xffffffff, 0x110ff],
    [0x3e0, 0xffffffff, 0xb],
    [0x30, 0, 0x50014],
  ])("register %x written %x holds %x", (offset, value, held) => {
    const driver = make();
    const n = processor(driver);
    driver.writeMmio(n, offset, 4, value);
    expect(driver.readMmio(n, offset, 4)).toBe(held);
  });

  it("masks every LVT entry while software-disabled, and leaves it masked", () => {
    const driver = make();
    const n = processor(driver);
    driver.writeMmio(n, 0x350, 4, 0x700);
    driver.writeMmio(n, 0xf0, 4, 0xff);
    expect(driver.readMmio(n, 0x350, 4)).toBe(0x10700);
    driver.writeMmio(n, 0x350, 4, 0x400);
    expect(driver.readMmio(n, 0x350, 4)).toBe(0x10400);
    driver.writeMmio(n, 0xf0, 4, 0x1ff);
    expect(driver.readMmio(n, 0x350, 4)).toBe(0x10400);
  });
});

// [page offset, after power-up, after INIT]; what INIT keeps is written 1s first.
const RESET_ROWS: readonly [string, number, number, number][] = [
  ["ID", 0x20, 0x23000000, 0x05000000],
  ["TPR", 0x80, 0, 0],
  ["LDR", 0xd0, 0, 0],
  ["DFR", 0xe0, 0xffffffff, 0xffffffff],
  ["SVR", 0xf0, 0xff, 0xff],
  ["ICR low", 0x300, 0, 0],
  ["ICR high", 0x310, 0, 0],
  ["LVT timer", 0x320, 0x10000, 0x10000],
  ["LVT LINT0", 0x350, 0x10000, 0x10000],
  ["TMICT", 0x380, 0, 0],
  ["TMCCT", 0x390, 0, 0],
  ["TDCR", 0x3e0, 0, 0],
];

describe.each(SIDES)("RESET and INIT (%s)", (_, make) => {
  it.each(RESET_ROWS)("set %s", (_name, offset, power, init) => {
    const driver = make();
    const n = driver.addVcpu(0x123, false, true);
    expect(driver.readMmio(n, offset, 4)).toBe(power);
    driver.writeMmio(n, 0xf0, 4, 0x1ff);
    for (const [, register] of RESET_ROWS) {
      const value = register === 0x20 ? 0x05000000 : register === 0x300 ? 0x8500 : 0x11000020;
      driver.writeMmio(n, register, 4, value);
    }
    driver.init(n);
    expect(driver.readMmio(n, offset, 4)).toBe(init);
    driver.reset(n, false);
    expect(driver.readMmio(n, offset, 4)).toBe(power);
  });

  it("INIT keeps x2APIC mode, ID and LDR; RESET goes back to xAPIC mode", () => {
    const driver = make();
    const n = processor(driver, "x2");
    driver.init(n);
    expect(driver.readMsr(n, 0x1b)).toBe(BASE.X2APIC);
    expect([driver.readMsr(n, 0x802), driver.readMsr(n, 0x80d)]).toEqual([0x123n, 0x120008n]);
    driver.reset(n, false);
    expect(driver.readMsr(n, 0x1b)).toBe(BASE.XAPIC);
  });

  it("INIT leaves a disabled LAPIC disabled", () => {
    const driver = make();
    const n = processor(driver, "off");
    driver.init(n);
    expect(driver.readMsr(n, 0x1b)).toBe(BASE.OFF);
  });

  it("the bootstrap processor has LINT0 open for the PIC, by KVM's quirk", () => {
    const on = make({ lint0Reenabled: true });
    expect(on.readMmio(on.addVcpu(0, true, true), 0x350, 4)).toBe(0x700);
    const fresh = make({ lint0Reenabled: false });
    expect(fresh.readMmio(fresh.addVcpu(0, true, true), 0x350, 4)).toBe(0x10000);
  });
});
