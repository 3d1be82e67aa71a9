import { describe, expect, it } from "vitest";
import { IoApic } from "../../../src/devices/ioapic.js";

const PIN = 9;
const LEVEL = 0x8000;
const MASKED = 0x10000;
const REMOTE_IRR = 0x4000;

function ioApic() {
  const sent: [low: number, high: number][] = [];
  const device = new IoApic((low, high) => sent.push([low, high]));
  const write = (register: number, value: number) => {
    device.write(0x00, 4, register);
    device.write(0x10, 4, value);
  };
  const read = (register: number) => {
    device.write(0x00, 4, register);
    return device.read(0x10, 4);
  };
  const entry = (low: number, high = 0) => {
    write(0x11 + 2 * PIN, high);
    write(0x10 + 2 * PIN, low);
  };
  return { device, sent, write, read, entry, line: device.line(PIN) };
}

describe("IoApic", () => {
  it("has 24 pins, version 20H, and masked entries at first", () => {
    const { read } = ioApic();
    expect(read(0x01)).toBe(0x170020);
    expect(read(0x10)).toBe(MASKED);
    expect(read(0x10 + 2 * 23)).toBe(MASKED);
    expect(read(0x10 + 2 * 24)).toBe(0);
  });

  it("keeps what can be written of ID and entries", () => {
    const { read, write, entry } = ioApic();
    write(0x00, 0xffffffff);
    expect(read(0x00)).toBe(0x0f000000);
    entry(0xffffffff, 0xffffffff);
    expect(read(0x10 + 2 * PIN)).toBe(0x1afff);
    expect(read(0x11 + 2 * PIN)).toBe(0xffff0000);
  });

  it("sends once for each rising edge, with the destination's upper bits", () => {
    const { sent, line, entry } = ioApic();
    entry(0x31, 0x23020000);
    line.set(true);
    line.set(true);
    line.set(false);
    expect(sent).toEqual([[0x31, 0x23020000]]);
    line.set(true);
    expect(sent.length).toBe(2);
  });

  it("loses an edge that comes while the entry is masked", () => {
    const { sent, line, entry } = ioApic();
    entry(0x31 | MASKED);
    line.set(true);
    entry(0x31);
    expect(sent).toEqual([]);
  });

  it("sends a level once until its vector's EOI, then again while the line is active", () => {
    const { device, sent, line, entry, read } = ioApic();
    entry(0x31 | LEVEL);
    line.set(true);
    line.set(false);
    line.set(true);
    expect(sent.length).toBe(1);
    expect(read(0x10 + 2 * PIN)).toBe(0x31 | LEVEL | REMOTE_IRR);
    device.endOfInterrupt(0x32);
    expect(sent.length).toBe(1);
    device.endOfInterrupt(0x31);
    expect(sent.length).toBe(2);
    line.set(false);
    device.write(0x40, 4, 0x31);
    expect(sent.length).toBe(2);
    expect(read(0x10 + 2 * PIN)).toBe(0x31 | LEVEL);
  });

  it("sends a level that waited behind the mask", () => {
    const { sent, line, entry } = ioApic();
    entry(0x31 | LEVEL | MASKED);
    line.set(true);
    expect(sent).toEqual([]);
    entry(0x31 | LEVEL);
    expect(sent.length).toBe(1);
  });

  it("goes on from its state", () => {
    const one = ioApic();
    one.entry(0x31 | LEVEL, 0x05000000);
    one.line.set(true);
    const two = ioApic();
    two.device.fromState(JSON.parse(JSON.stringify(one.device.state())));
    expect(two.device.state()).toEqual(one.device.state());
    two.device.endOfInterrupt(0x31);
    expect(two.sent).toEqual([[0x31 | LEVEL, 0x05000000]]);
  });
});
