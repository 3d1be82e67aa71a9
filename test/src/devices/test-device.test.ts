import { describe, expect, it } from "vitest";
import { TEST_LINES, TestDevice } from "../../../src/devices/test-device.js";

function wired() {
  const changes: [line: number, level: boolean][] = [];
  const lines = Array.from({ length: TEST_LINES }, (_, n) => ({
    set: (level: boolean) => changes.push([n, level]),
  }));
  return { device: new TestDevice(lines), changes };
}

describe("the test device", () => {
  it("keeps 32 bits in a register of any width", () => {
    const { register } = wired().device;
    register.write(0, 4, 0x12345678);
    register.write(1, 1, 0xab);
    register.write(2, 2, 0xcdef);
    expect(register.read(0, 4)).toBe(0xcdefab78);
    expect([register.read(3, 1), register.read(1, 2)]).toEqual([0xcd, 0xefab]);
  });

  it("has memory behind the bus", () => {
    const { memory } = wired().device;
    memory.write(0xfffc, 4, 0xdeadbeef);
    expect([memory.read(0xfffe, 2), memory.read(0, 4)]).toEqual([0xdead, 0]);
  });

  it("drives each input of the interrupt controllers", () => {
    const { device, changes } = wired();
    device.lines.write(14, 1, 1);
    expect([device.lines.read(14, 1), device.lines.read(15, 1)]).toEqual([1, 0]);
    device.lines.write(14, 1, 0);
    device.lines.write(23, 1, 0x80);
    expect(changes).toEqual([
      [14, true],
      [14, false],
      [23, true],
    ]);
  });

  it("puts its state back, and refuses one that cannot be", () => {
    const { device } = wired();
    device.memory.write(2, 1, 7);
    device.lines.write(3, 1, 1);
    expect(device.memory.state()).toEqual({ bytes: [0, 0, 7] });
    const twin = wired();
    twin.device.memory.write(9, 1, 1);
    twin.device.memory.fromState(device.memory.state());
    twin.device.lines.fromState(device.lines.state());
    expect([twin.device.memory.read(2, 1), twin.device.memory.read(9, 1)]).toEqual([7, 0]);
    expect(twin.device.lines.read(3, 1)).toBe(1);
    expect(twin.changes).toEqual([]);
    expect(() => device.register.fromState({ bytes: [0, 0, 0, 0, 0] })).toThrow(/"bytes"/);
  });
});
