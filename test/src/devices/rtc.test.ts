/** Facts of the MC146818A data sheet. */
import { describe, expect, it } from "vitest";
import { Rtc } from "../../../src/devices/rtc.js";
import { TestClock, TestLine } from "./test-clock.js";

/** Friday, 2024-02-28 23:59:58 UTC was a Wednesday. */
const LEAP_EVE = Date.UTC(2024, 1, 28, 23, 59, 58) / 1000;
const SECOND = 1e9;

function rtc(epochSeconds = LEAP_EVE, ramBytes = 256 * 2 ** 20) {
  const clock = new TestClock();
  const line = new TestLine(clock);
  const device = new Rtc(clock, line, { epochSeconds, ramBytes });
  const get = (register: number) => {
    device.write(0, 1, register);
    return device.read(1, 1);
  };
  const put = (register: number, value: number) => {
    device.write(0, 1, register);
    device.write(1, 1, value);
  };
  return { clock, line, device, get, put, to: (ns: number) => clock.runTo(ns, device) };
}

const TIME = [0, 2, 4, 6, 7, 8, 9, 0x32];

describe("Rtc", () => {
  it("shows the time in BCD and goes over a leap day", () => {
    const { get, to } = rtc();
    expect(TIME.map(get)).toEqual([0x58, 0x59, 0x23, 4, 0x28, 0x02, 0x24, 0x20]);
    to(2 * SECOND - 1);
    expect(get(0)).toBe(0x59);
    to(2 * SECOND);
    expect(TIME.map(get)).toEqual([0x00, 0x00, 0x00, 5, 0x29, 0x02, 0x24, 0x20]);
    to(2 * SECOND + 86400 * SECOND);
    expect(TIME.map(get)).toEqual([0x00, 0x00, 0x00, 6, 0x01, 0x03, 0x24, 0x20]);
  });

  it.each([
    [0x02, 0x13, 0x13],
    [0x00, 0x13, 0x81], // 12 hours, PM
    [0x06, 13, 13], // binary
    [0x04, 13, 0x81],
  ])("keeps hours as register B %#x says", (control, _, hours) => {
    const { get, put, to } = rtc(Date.UTC(2025, 0, 1, 13, 0, 0) / 1000);
    put(0x0b, control);
    to(SECOND);
    // The format is that of the next update, from registers that are taken for that format.
    put(0x0b, control | 0x80);
    put(4, hours);
    put(2, 0);
    put(0, 0);
    put(0x0b, control);
    to(2 * SECOND);
    expect([get(4), get(0)]).toEqual([hours, 1]);
  });

  it("stands still while SET is set, and goes on from what was written", () => {
    const { get, put, to } = rtc();
    put(0x0b, 0x82);
    put(0, 0x30);
    put(2, 0x15);
    to(5.5 * SECOND);
    expect([get(0), get(2)]).toEqual([0x30, 0x15]);
    put(0x0b, 0x02);
    to(6 * SECOND);
    expect([get(0), get(2)]).toEqual([0x31, 0x15]);
  });

  it("updates half a second after the divider is let go", () => {
    const { get, put, to } = rtc();
    put(0x0a, 0x76);
    to(10 * SECOND);
    expect(get(0)).toBe(0x58);
    put(0x0a, 0x26);
    to(10.5 * SECOND - 1);
    expect(get(0)).toBe(0x58);
    to(10.5 * SECOND);
    expect(get(0)).toBe(0x59);
  });

  it("sets UIP 244 us before an update", () => {
    const { get, to } = rtc();
    to(SECOND - 245_000);
    expect(get(0x0a)).toBe(0x26);
    to(SECOND - 244_000);
    expect(get(0x0a)).toBe(0xa6);
    to(SECOND);
    expect(get(0x0a)).toBe(0x26);
  });

  it.each([
    [6, 976_563], // 1024 Hz
    [15, 500_000_000],
    [3, 122_071], // 8192 Hz
    [1, 3_906_250], // 256 Hz
    [2, 7_812_500],
  ])("interrupts periodically at rate %i, and again once register C is read", (rate, ns) => {
    const { get, put, to, line } = rtc();
    put(0x0a, 0x20 | rate);
    put(0x0b, 0x42);
    to(ns * 3);
    expect(line.changes).toEqual([[ns, true]]);
    expect(get(0x0c) & 0xc0).toBe(0xc0);
    expect(line.level).toBe(false);
    expect(get(0x0c)).toBe(0);
    to(ns * 4);
    expect(line.level).toBe(true);
  });

  it("interrupts at the end of an update", () => {
    const { get, put, to, line } = rtc();
    put(0x0b, 0x12);
    to(1.5 * SECOND);
    expect(line.changes).toEqual([[SECOND, true]]);
    expect(get(0x0c) & 0xb0).toBe(0x90);
  });

  it("interrupts when the alarm matches, with bytes from C0H on matching all", () => {
    const { get, put, to, line } = rtc();
    put(1, 0x05);
    put(3, 0x00);
    put(5, 0xff);
    put(0x0b, 0x22);
    to(20 * SECOND);
    expect(line.changes).toEqual([[7 * SECOND, true]]);
    expect(get(0x0c) & 0xa0).toBe(0xa0);
  });

  it("sets flags without an interrupt where none is enabled", () => {
    const { get, to, line } = rtc();
    to(SECOND);
    expect(line.changes).toEqual([]);
    expect(get(0x0c)).toBe(0x50);
  });

  it.each([
    [64, [0x80, 0x02], 63 * 1024, 48 * 16],
    [2048, [0x80, 0x02], 0xffff, 2032 * 16],
  ])("tells the size of %i MiB of memory", (mebibytes, base, extended, above) => {
    const { get } = rtc(0, mebibytes * 2 ** 20);
    expect([get(0x15), get(0x16)]).toEqual(base);
    expect(get(0x17) | (get(0x18) << 8)).toBe(extended);
    expect(get(0x30) | (get(0x31) << 8)).toBe(extended);
    expect(get(0x34) | (get(0x35) << 8)).toBe(above);
  });

  it("keeps memory, and valid data in register D; C and D cannot be written", () => {
    const { get, put } = rtc();
    put(0x0f, 0x0a);
    put(0x0d, 0);
    put(0x0c, 0xff);
    expect([get(0x0f), get(0x0d), get(0x0c)]).toEqual([0x0a, 0x80, 0]);
  });

  it("goes on from its state", () => {
    const first = rtc();
    first.put(0x0b, 0x52);
    first.to(0.75 * SECOND);
    const second = rtc(0);
    second.device.fromState(JSON.parse(JSON.stringify(first.device.state())));
    second.clock.ns = first.clock.ns;
    for (const each of [first, second]) each.to(3 * SECOND);
    expect(TIME.map(second.get)).toEqual(TIME.map(first.get));
    expect(second.device.state()).toEqual(first.device.state());
  });
});
