import { describe, expect, it } from "vitest";
import { PicPair } from "../../../src/devices/pic8259.js";

/** A pair as an operating system sets it up: vectors 0x20 and 0x28, all inputs open. */
function pair({ autoEoi = false, mask = 0x0000 } = {}) {
  const cpu = { intr: false };
  const pics = new PicPair({ set: (level) => (cpu.intr = level) });
  const icw4 = autoEoi ? 0x03 : 0x01;
  for (const [chip, icws] of [
    [pics.master, [0x20, 0x04, icw4]],
    [pics.slave, [0x28, 0x02, icw4]],
  ] as const) {
    chip.write(0, 1, 0x11);
    for (const icw of icws) chip.write(1, 1, icw);
  }
  pics.master.write(1, 1, mask & 0xff);
  pics.slave.write(1, 1, mask >> 8);
  return { pics, cpu };
}

describe("PicPair", () => {
  it("lets nothing through before it is programmed", () => {
    const cpu = { intr: false };
    const pics = new PicPair({ set: (level) => (cpu.intr = level) });
    pics.line(1).set(true);
    expect(cpu.intr).toBe(false);
  });

  it.each([
    [0, 0x20],
    [1, 0x21],
    [7, 0x27],
    [8, 0x28],
    [15, 0x2f],
  ])("delivers IRQ %i as vector %#x", (irq, vector) => {
    const { pics, cpu } = pair();
    pics.line(irq).set(true);
    expect(cpu.intr).toBe(true);
    expect(pics.acknowledge()).toBe(vector);
    expect(cpu.intr).toBe(false);
  });

  it.each([
    ["all", 0xffff, false],
    ["this one", 0x0010, false],
    ["another", 0xffef, true],
  ])("with %s masked: INTR is right", (_, mask, expected) => {
    const { pics, cpu } = pair({ mask });
    pics.line(4).set(true);
    expect(cpu.intr).toBe(expected);
  });

  it("masks the slave by the master's input 2", () => {
    const { pics, cpu } = pair({ mask: 0x0004 });
    pics.line(12).set(true);
    expect(cpu.intr).toBe(false);
    pics.master.write(1, 1, 0);
    expect(pics.acknowledge()).toBe(0x2c);
  });

  it("latches an edge once, a level again and again", () => {
    const { pics, cpu } = pair();
    pics.line(3).set(true);
    pics.acknowledge();
    pics.master.write(0, 1, 0x20); // EOI
    expect(cpu.intr).toBe(false);
    pics.edgeLevelControl.write(0, 1, 0x08);
    pics.line(3).set(false);
    pics.line(3).set(true);
    pics.acknowledge();
    pics.master.write(0, 1, 0x20);
    expect(cpu.intr).toBe(true);
  });

  it("refuses level mode for IRQs 0, 1, 2, 8 and 13", () => {
    const { pics } = pair();
    pics.edgeLevelControl.write(0, 1, 0xff);
    pics.edgeLevelControl.write(1, 1, 0xff);
    expect([pics.edgeLevelControl.read(0, 1), pics.edgeLevelControl.read(1, 1)]).toEqual([
      0xf8, 0xde,
    ]);
  });

  it("forgets a request that goes before it is acknowledged: spurious vector, no ISR bit", () => {
    const { pics, cpu } = pair();
    pics.line(5).set(true);
    pics.line(5).set(false);
    expect(cpu.intr).toBe(false);
    expect(pics.acknowledge()).toBe(0x27);
    pics.master.write(0, 1, 0x0b); // read ISR
    expect(pics.master.read(0, 1)).toBe(0);
  });

  it("holds lower priorities back until EOI, and lets higher ones in", () => {
    const { pics, cpu } = pair();
    pics.line(3).set(true);
    expect(pics.acknowledge()).toBe(0x23);
    pics.line(5).set(true);
    expect(cpu.intr).toBe(false);
    pics.line(1).set(true);
    expect(pics.acknowledge()).toBe(0x21);
    pics.master.write(0, 1, 0x20);
    pics.master.write(0, 1, 0x20);
    expect(pics.acknowledge()).toBe(0x25);
  });

  it("shows IRR, ISR and IMR", () => {
    const { pics } = pair({ mask: 0x0080 });
    pics.line(3).set(true);
    pics.acknowledge();
    pics.line(5).set(true);
    pics.master.write(0, 1, 0x0a);
    expect(pics.master.read(0, 1)).toBe(0x20);
    pics.master.write(0, 1, 0x0b);
    expect(pics.master.read(0, 1)).toBe(0x08);
    expect(pics.master.read(1, 1)).toBe(0x80);
  });

  it("ends a given interrupt by specific EOI", () => {
    const { pics } = pair();
    pics.line(3).set(true);
    pics.acknowledge();
    pics.line(1).set(true);
    pics.acknowledge();
    pics.master.write(0, 1, 0x60 | 3);
    pics.master.write(0, 1, 0x0b);
    expect(pics.master.read(0, 1)).toBe(0x02);
  });

  it("keeps no ISR bit with automatic EOI", () => {
    const { pics, cpu } = pair({ autoEoi: true });
    pics.line(3).set(true);
    pics.acknowledge();
    pics.line(5).set(true);
    expect(cpu.intr).toBe(true);
  });

  it("rotates priorities by EOI with rotation", () => {
    const { pics } = pair();
    pics.line(3).set(true);
    pics.acknowledge();
    pics.master.write(0, 1, 0xa0);
    pics.line(0).set(true);
    pics.line(4).set(true);
    expect(pics.acknowledge()).toBe(0x24); // 3 is now lowest, 4 highest
  });

  it("answers a poll with the input and takes it in service", () => {
    const { pics, cpu } = pair();
    pics.line(4).set(true);
    pics.master.write(0, 1, 0x0c);
    expect(pics.master.read(0, 1)).toBe(0x84);
    expect(cpu.intr).toBe(false);
    pics.master.write(0, 1, 0x0c);
    expect(pics.master.read(0, 1)).toBe(0);
  });

  it("lets lower priorities in by special mask mode", () => {
    const { pics, cpu } = pair();
    pics.line(1).set(true);
    pics.acknowledge();
    pics.line(5).set(true);
    pics.master.write(1, 1, 0x02);
    expect(cpu.intr).toBe(false);
    pics.master.write(0, 1, 0x68);
    expect(cpu.intr).toBe(true);
  });

  it("goes on from its state", () => {
    const first = pair({ mask: 0x1200 });
    first.pics.line(3).set(true);
    first.pics.acknowledge();
    first.pics.line(1).set(true);
    const second = pair();
    second.pics.master.fromState(JSON.parse(JSON.stringify(first.pics.master.state())));
    second.pics.slave.fromState(JSON.parse(JSON.stringify(first.pics.slave.state())));
    expect(second.cpu.intr).toBe(true);
    expect(second.pics.acknowledge()).toBe(0x21);
  });
});
