/** Facts of the ACPI Specification: PM1 registers and the power management timer. */
import { describe, expect, it } from "vitest";
import { AcpiPm, PM_TIMER_HERTZ } from "../../../src/devices/acpi-pm.js";
import { Oscillator } from "../../../src/devices/oscillator.js";
import { TestClock, TestLine } from "./test-clock.js";

const OSCILLATOR = new Oscillator(PM_TIMER_HERTZ);
const CARRY_NS = OSCILLATOR.ns(2 ** 31);

function acpi() {
  const clock = new TestClock();
  const sci = new TestLine(clock);
  const exits: number[] = [];
  const device = new AcpiPm(clock, sci, (code) => exits.push(code));
  return { clock, sci, exits, device };
}

describe("AcpiPm", () => {
  it.each([
    [0, 0],
    [1e9, 3579545],
    [CARRY_NS, 2 ** 31],
    [OSCILLATOR.ns(2 ** 32) - 1, 2 ** 32 - 1],
    [OSCILLATOR.ns(2 ** 32), 0],
    [OSCILLATOR.ns(2 ** 32 + 77), 77],
  ])("has its timer at %i ns at %i", (ns, ticks) => {
    const { clock, device } = acpi();
    clock.ns = ns;
    expect(device.read(8, 4)).toBe(ticks);
    expect(device.read(8, 2)).toBe(ticks % 0x10000);
    expect(device.read(11, 1)).toBe(Math.floor(ticks / 2 ** 24));
  });

  it("raises the SCI when bit 31 of the timer changes, until the status bit is cleared", () => {
    const { clock, device, sci } = acpi();
    device.write(2, 2, 0x0001);
    clock.runTo(CARRY_NS + 5, device);
    expect(sci.changes).toEqual([[CARRY_NS, true]]);
    expect(device.read(0, 2)).toBe(1);
    device.write(0, 2, 1);
    expect(sci.level).toBe(false);
    clock.runTo(OSCILLATOR.ns(2 ** 32), device);
    expect(sci.level).toBe(true);
  });

  it("sets the status bit alone while the SCI is not enabled", () => {
    const { clock, device, sci } = acpi();
    expect(device.nextNs).toBe(Infinity);
    clock.ns = CARRY_NS;
    expect(device.read(0, 4)).toBe(1);
    device.write(3, 1, 0x04);
    expect(device.read(0, 4)).toBe(0x04000001);
    expect(sci.changes).toEqual([]);
  });

  it("is always in ACPI mode and turns off by SLP_TYP 5 with SLP_EN", () => {
    const { device, exits } = acpi();
    expect(device.read(4, 2)).toBe(1);
    device.write(4, 2, (5 << 10) | 1);
    device.write(4, 2, (1 << 13) | (3 << 10) | 1);
    expect(exits).toEqual([]);
    device.write(4, 2, (1 << 13) | (5 << 10) | 1);
    expect(exits).toEqual([0]);
    expect(device.read(4, 2)).toBe((5 << 10) | 1); // SLP_EN reads 0
  });

  it("goes on from its state", () => {
    const first = acpi();
    first.device.write(2, 2, 0x0001);
    first.clock.runTo(CARRY_NS, first.device);
    const second = acpi();
    second.device.fromState(first.device.state());
    second.clock.ns = CARRY_NS;
    second.device.write(0, 2, 1);
    expect(second.sci.changes).toEqual([[CARRY_NS, false]]);
    expect(second.device.nextNs).toBe(OSCILLATOR.ns(2 ** 32));
  });
});
