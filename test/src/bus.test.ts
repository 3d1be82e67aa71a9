import { describe, expect, it } from "vitest";
import { MmioBus, PortBus } from "../../src/bus.js";
import type { AccessSize, Device } from "../../src/devices/device.js";

/** Answers with the offset in every byte and keeps what it is asked. */
class Recorder implements Device {
  readonly log: string[] = [];
  readonly widest: AccessSize;

  constructor(widest: AccessSize = 1) {
    this.widest = widest;
  }

  read(offset: number, size: AccessSize): number {
    this.log.push(`r${offset}/${size}`);
    return 0x01010101 * (offset + 1);
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.log.push(`w${offset}/${size}=${value.toString(16)}`);
  }

  state() {
    return {};
  }

  fromState(): void {}
}

describe("PortBus", () => {
  it.each([
    [1, 0xff],
    [2, 0xffff],
    [4, 0xffffffff],
  ] as const)("reads all ones of %i bytes from a port that nobody claims", (size, expected) => {
    expect(new PortBus().read(0x70, size)).toBe(expected);
  });

  it("drops writes to a port that nobody claims", () => {
    const device = new Recorder(4);
    const bus = new PortBus();
    bus.register("device", 0x10, 4, device);
    bus.write(0x14, 4, 1);
    bus.write(0x0c, 4, 1);
    expect(device.log).toEqual([]);
  });

  // widest access of the device, access, what the device sees
  it.each([
    [4, "write 0x10 4 11223344", ["w0/4=11223344"]],
    [2, "write 0x10 4 11223344", ["w0/2=3344", "w2/2=1122"]],
    [1, "write 0x10 4 11223344", ["w0/1=44", "w1/1=33", "w2/1=22", "w3/1=11"]],
    [4, "write 0x12 4 11223344", ["w2/1=44", "w3/1=33"]], // runs past the end of the range
    [4, "write 0x11 1 ff", ["w1/1=ff"]],
  ] as const)("gives a device of %i-byte registers %s as %j", (widest, access, expected) => {
    const [, address, size, value] = access.split(" ");
    const device = new Recorder(widest);
    const bus = new PortBus();
    bus.register("device", 0x10, 4, device);
    bus.write(Number(address), Number(size) as AccessSize, parseInt(value!, 16));
    expect(device.log).toEqual(expected);
  });

  it("puts a wide read together from narrow registers, with ones behind the range", () => {
    const bus = new PortBus();
    bus.register("device", 0x10, 3, new Recorder(1));
    expect(bus.read(0x10, 2)).toBe(0x0201);
    expect(bus.read(0x10, 4)).toBe(0xff030201);
  });

  it("cuts a device's answer to the access size", () => {
    const bus = new PortBus();
    bus.register("device", 0x10, 4, new Recorder(4));
    expect(bus.read(0x13, 1)).toBe(4);
    expect(bus.read(0x10, 4)).toBe(0x01010101);
  });

  it.each([
    ["first address inside", 0x13, 2],
    ["last address inside", 0x0f, 2],
    ["around", 0x00, 0x100],
    ["the same", 0x10, 4],
  ])("refuses a range that overlaps another: %s", (_, first, length) => {
    const bus = new PortBus();
    bus.register("first device", 0x10, 4, new Recorder());
    expect(() => bus.register("second device", first, length, new Recorder())).toThrow(
      expect.objectContaining({
        code: "RANGE_OVERLAP",
        message: expect.stringContaining("first device"),
      }),
    );
    expect(bus.ranges()).toEqual([{ name: "first device", first: 0x10, length: 4 }]);
  });

  it.each([
    [-1, 1],
    [0, 0],
    [0xffff, 2],
    [0x10000, 1],
    [1.5, 1],
    [Number.NaN, 1],
  ])("refuses the range %d of length %d", (first, length) => {
    expect(() => new PortBus().register("device", first, length, new Recorder())).toThrow(
      expect.objectContaining({ code: "RANGE_INVALID" }),
    );
  });

  it("finds the right one of many ranges", () => {
    const bus = new PortBus();
    const devices = Array.from({ length: 20 }, () => new Recorder());
    const order = devices.map((_, i) => (i * 7) % 20);
    order.forEach((i) => bus.register(`device ${i}`, i * 16, 8, devices[i]!));
    order.forEach((i) => bus.write(i * 16 + 7, 1, i));
    devices.forEach((device, i) => expect(device.log).toEqual([`w7/1=${i.toString(16)}`]));
    expect(bus.read(8, 1)).toBe(0xff);
  });
});

describe("MmioBus", () => {
  it("reaches addresses above 4 GiB and not the ports", () => {
    const bus = new MmioBus();
    const device = new Recorder(4);
    bus.register("device", 0xfd_0000_0000, 0x1000, device);
    bus.write(0xfd_0000_0010, 4, 5);
    expect(device.log).toEqual(["w16/4=5"]);
    expect(bus.read(0x10, 4)).toBe(0xffffffff);
  });
});
