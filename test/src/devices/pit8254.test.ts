/** Facts of the Intel 8254 data sheet: mode definitions, read operations, the gate. */
import { describe, expect, it } from "vitest";
import { Oscillator } from "../../../src/devices/oscillator.js";
import { PIT_HERTZ, Pit8254, SpeakerPort } from "../../../src/devices/pit8254.js";
import { TestClock, TestLine } from "./test-clock.js";

const OSCILLATOR = new Oscillator(PIT_HERTZ);
const CONTROL = 3;

function pit() {
  const clock = new TestClock();
  const line = new TestLine(clock);
  const device = new Pit8254(clock, line);
  const speaker = new SpeakerPort(device);
  return {
    clock,
    line,
    device,
    speaker,
    control: (value: number) => device.write(CONTROL, 1, value),
    /** Control word and count, low byte first. */
    program: (channel: number, mode: number, count: number, bcd = 0) => {
      device.write(CONTROL, 1, (channel << 6) | 0x30 | (mode << 1) | bcd);
      device.write(channel, 1, count & 0xff);
      device.write(channel, 1, count >> 8);
    },
    read16: (channel: number) => device.read(channel, 1) | (device.read(channel, 1) << 8),
    toTick: (tick: number) => clock.runTo(OSCILLATOR.ns(tick), device),
    edges: () => line.changes.map(([ns, level]) => [OSCILLATOR.ticks(ns), level]),
  };
}

describe("Pit8254", () => {
  // The count is loaded at tick 1, one after its write.
  it.each([
    [
      0,
      5,
      [
        [0, true],
        [0, false],
        [6, true],
      ],
    ],
    [
      2,
      5,
      [
        [0, true],
        [5, false],
        [6, true],
        [10, false],
        [11, true],
        [15, false],
        [16, true],
      ],
    ],
    [
      3,
      6,
      [
        [0, true],
        [4, false],
        [7, true],
        [10, false],
        [13, true],
        [16, false],
      ],
    ],
    [
      3,
      5,
      [
        [0, true],
        [4, false],
        [6, true],
        [9, false],
        [11, true],
        [14, false],
        [16, true],
      ],
    ],
    [
      4,
      5,
      [
        [0, true],
        [6, false],
        [7, true],
      ],
    ],
  ] as const)(
    "in mode %i with count %i drives OUT as the wave forms show",
    (mode, count, edges) => {
      const { program, toTick, edges: seen } = pit();
      program(0, mode, count);
      toTick(16);
      expect(seen()).toEqual(edges);
    },
  );

  it.each([
    // mode, count, counter at ticks 1, 2, 3 ...
    [0, 3, [3, 2, 1, 0, 0xffff, 0xfffe]],
    [2, 3, [3, 2, 1, 3, 2, 1]],
    [3, 4, [4, 2, 4, 2, 4, 2]],
    [3, 5, [4, 2, 0, 4, 2, 4]],
    [4, 2, [2, 1, 0, 0xffff, 0xfffe, 0xfffd]],
    [2, 0, [0, 0xffff, 0xfffe, 0xfffd, 0xfffc, 0xfffb]],
  ])("in mode %i with count %i counts down", (mode, count, values) => {
    const { program, toTick, read16 } = pit();
    program(0, mode, count);
    const seen = values.map((_, n) => {
      toTick(n + 1);
      return read16(0);
    });
    expect(seen).toEqual(values);
  });

  it("counts in BCD", () => {
    const { program, toTick, read16 } = pit();
    program(0, 0, 0x1000, 1);
    toTick(2);
    expect(read16(0)).toBe(0x0999);
    toTick(1002);
    expect(read16(0)).toBe(0x9999);
  });

  it("holds a latched count until it is read, whatever is latched again", () => {
    const { program, control, toTick, read16 } = pit();
    program(0, 2, 1000);
    toTick(101);
    control(0x00);
    toTick(201);
    control(0x00);
    expect(read16(0)).toBe(900);
    expect(read16(0)).toBe(800);
  });

  it("reads back status, then count, of the channels that the command names", () => {
    const { device, program, control, toTick, read16 } = pit();
    program(0, 3, 1000);
    program(2, 0, 500);
    toTick(11);
    control(0xc2); // count and status of channel 0
    expect(device.read(0, 1)).toBe((0xb6 & 0x3f) | 0x80);
    expect(read16(0)).toBe(1000 - 20);
    control(0xe8); // status of channel 2: its gate is low, OUT too
    expect(device.read(2, 1)).toBe(0x30);
    control(0xb4); // mode 2: the count is null until it is written
    control(0xe8);
    expect(device.read(2, 1)).toBe(0x80 | 0x40 | 0x34);
  });

  it("takes only one byte of the count where the control word says so", () => {
    const { device, control, toTick } = pit();
    control(0x14); // channel 0, low byte, mode 2
    device.write(0, 1, 10);
    toTick(4);
    expect(device.read(0, 1)).toBe(7);
    control(0x24); // high byte
    device.write(0, 1, 2);
    toTick(5);
    expect(device.read(0, 1)).toBe(2);
    toTick(6);
    expect(device.read(0, 1)).toBe(1); // 0x1ff
  });

  it("ends the period before mode 2 takes a new count", () => {
    const { device, program, toTick, edges } = pit();
    program(0, 2, 10);
    toTick(3);
    device.write(0, 1, 4);
    device.write(0, 1, 0);
    toTick(15);
    expect(edges().filter(([, level]) => level === true)).toEqual([
      [0, true],
      [11, true],
      [15, true],
    ]);
  });

  it("stops mode 0 at the first byte of a new count, and counts on from the second", () => {
    const { device, program, toTick, edges } = pit();
    program(0, 0, 5);
    toTick(3);
    device.write(0, 1, 7);
    toTick(20);
    expect(edges()).toEqual([
      [0, true],
      [0, false],
    ]);
    device.write(0, 1, 0);
    toTick(40);
    expect(edges().at(-1)).toEqual([28, true]);
  });

  it("counts channel 2 while bit 0 of port 0x61 is set, and shows its OUT in bit 5", () => {
    const { speaker, program, toTick, read16 } = pit();
    program(2, 0, 100);
    toTick(50);
    expect(speaker.read(0, 1) & 0x21).toBe(0x00);
    expect(read16(2)).toBe(100);
    speaker.write(0, 1, 0x01);
    toTick(100);
    expect(read16(2)).toBe(50);
    speaker.write(0, 1, 0x00);
    toTick(200);
    expect(read16(2)).toBe(50);
    speaker.write(0, 1, 0x03);
    toTick(249);
    expect(speaker.read(0, 1) & 0x23).toBe(0x03);
    toTick(250);
    expect(speaker.read(0, 1) & 0x23).toBe(0x23);
  });

  it("starts mode 1 at the rising gate", () => {
    const { speaker, program, toTick } = pit();
    program(2, 1, 10);
    toTick(5);
    expect(speaker.read(0, 1) & 0x20).toBe(0x20);
    speaker.write(0, 1, 0x01); // loads at 6
    toTick(6);
    expect(speaker.read(0, 1) & 0x20).toBe(0);
    toTick(15);
    expect(speaker.read(0, 1) & 0x20).toBe(0);
    toTick(16);
    expect(speaker.read(0, 1) & 0x20).toBe(0x20);
  });

  it("toggles the refresh bit of port 0x61 every 18 ticks", () => {
    const { speaker, toTick } = pit();
    const seen = [17, 18, 35, 36].map((tick) => {
      toTick(tick);
      return speaker.read(0, 1) & 0x10;
    });
    expect(seen).toEqual([0, 0x10, 0x10, 0]);
  });

  it("goes on from its state", () => {
    const first = pit();
    first.program(0, 2, 100);
    first.program(2, 3, 77);
    first.speaker.write(0, 1, 1);
    first.toTick(130);
    first.control(0xc4);
    const second = pit();
    second.device.fromState(JSON.parse(JSON.stringify(first.device.state())));
    second.clock.ns = first.clock.ns;
    expect(second.device.state()).toEqual(first.device.state());
    first.toTick(1000);
    second.toTick(1000);
    expect(second.edges().slice(1)).toEqual(first.edges().filter(([tick]) => Number(tick) > 130));
    expect(second.read16(2)).toBe(first.read16(2));
  });
});
