import { describe, expect, it } from "vitest";
import { I8042 } from "../../../src/devices/i8042.js";

const OUTPUT_FULL = 0x01;
const SYSTEM = 0x04;
const WAS_COMMAND = 0x08;

class Wired {
  readonly levels: boolean[] = [];
  resets = 0;
  readonly device = new I8042({ set: (level) => this.levels.push(level) }, () => this.resets++);

  command(value: number, parameter?: number): this {
    this.device.command.write(0, 1, value);
    if (parameter !== undefined) this.data(parameter);
    return this;
  }

  data(...values: readonly number[]): this {
    for (const value of values) this.device.data.write(0, 1, value);
    return this;
  }

  get status(): number {
    return this.device.command.read(0, 1);
  }

  /** Reads while the output buffer is full. */
  answers(): number[] {
    const bytes: number[] = [];
    while ((this.status & OUTPUT_FULL) !== 0) bytes.push(this.device.data.read(0, 1));
    return bytes;
  }
}

describe("the keyboard controller", () => {
  it.each([
    ["its self-test", 0xaa, 0x55],
    ["the test of the keyboard line", 0xab, 0x00],
    ["the test of the mouse line, which has no mouse", 0xa9, 0x01],
    ["its input port: not locked", 0xc0, 0x80],
    ["its output port: no reset, A20", 0xd0, 0x03],
    ["its configuration", 0x20, 0x65],
  ])("answers %s", (_, command, answer) => {
    expect(new Wired().command(command).answers()).toEqual([answer]);
  });

  it("says whether the last byte was a command, and that it passed its self-test", () => {
    const wired = new Wired();
    expect(wired.status).toBe(0x10 | SYSTEM);
    wired.command(0x60);
    expect(wired.status & WAS_COMMAND).toBe(WAS_COMMAND);
    wired.data(0x00);
    expect(wired.status).toBe(0x10);
    wired.command(0xaa);
    expect(wired.status & (SYSTEM | OUTPUT_FULL)).toBe(SYSTEM | OUTPUT_FULL);
  });

  it("keeps its configuration, with the lines opened and closed", () => {
    const wired = new Wired().command(0x60, 0x03);
    expect(wired.command(0x20).answers()).toEqual([0x03]);
    wired.command(0xad).command(0xa7);
    expect(wired.command(0x20).answers()).toEqual([0x33]);
    expect(wired.command(0xae).command(0x20).answers()).toEqual([0x23]);
  });

  it("returns what is written for it to return", () => {
    expect(new Wired().command(0xd2, 0x1e).answers()).toEqual([0x1e]);
  });

  it("resets the processor by its output port, and by a pulse of that line", () => {
    const wired = new Wired().command(0xd1, 0x03).command(0xff).command(0xf1);
    expect(wired.resets).toBe(0);
    wired.command(0xfe).command(0xf0).command(0xd1, 0x02);
    expect(wired.resets).toBe(3);
  });

  it("has no mouse: what is sent to it gets no answer", () => {
    expect(new Wired().command(0xd4, 0xff).answers()).toEqual([]);
  });

  it("interrupts for every byte, where that is asked for", () => {
    const wired = new Wired().command(0x60, 0x01);
    wired.levels.length = 0;
    wired.data(0xff);
    wired.answers();
    expect(wired.levels.filter((level, i) => level && !wired.levels[i - 1])).toHaveLength(2);
    expect(wired.levels.at(-1)).toBe(false);
    wired.command(0x60, 0x00).data(0xff);
    expect(wired.levels.at(-1)).toBe(false);
  });

  it("puts its state back", () => {
    const wired = new Wired().command(0x60, 0x61).data(0xf2, 0xed).command(0xd1);
    const twin = new Wired();
    twin.device.fromState(wired.device.state());
    expect(twin.device.state()).toEqual(wired.device.state());
    expect(twin.answers()).toEqual([0xfa, 0xab, 0x41, 0xfa]);
    expect(twin.levels.at(-1)).toBe(false);
    expect(() => twin.device.fromState({ ...wired.device.state(), last: 256 })).toThrow(/"last"/);
  });
});

describe("the keyboard", () => {
  it.each([
    ["a reset", [0xff], [0xfa, 0xaa]],
    ["an echo", [0xee], [0xee]],
    ["identification", [0xf2], [0xfa, 0xab, 0x41]],
    ["its lights", [0xed, 0x07], [0xfa, 0xfa]],
    ["its rate", [0xf3, 0x20], [0xfa, 0xfa]],
    ["which scan codes it sends", [0xf0, 0x00], [0xfa, 0xfa, 0x02]],
    ["scanning on and off", [0xf4, 0xf5, 0xf6], [0xfa, 0xfa, 0xfa]],
    ["nonsense", [0x01], [0xfe]],
  ])("answers %s", (_, bytes, answers) => {
    expect(new Wired().data(...bytes).answers()).toEqual(answers);
  });

  it("shows set 2 as it is where nothing is translated", () => {
    const wired = new Wired().command(0x60, 0x00).data(0xf2);
    expect(wired.answers()).toEqual([0xfa, 0xab, 0x83]);
  });

  it("holds no more than its queue for a guest that does not read", () => {
    const wired = new Wired();
    for (let i = 0; i < 100; i++) wired.data(0xee);
    expect(wired.answers()).toHaveLength(16);
  });
});
