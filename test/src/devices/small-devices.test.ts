import { describe, expect, it } from "vitest";
import { DebugConsole } from "../../../src/devices/debug-console.js";
import { DebugExit, ShutdownPort } from "../../../src/devices/debug-exit.js";
import { FwCfg } from "../../../src/devices/fw-cfg.js";
import { PostPort } from "../../../src/devices/post-port.js";
import { KeyboardReset, ResetRegister } from "../../../src/devices/reset-control.js";

describe("DebugExit", () => {
  it.each([
    [0, 1],
    [1, 3],
    [0x10, 0x21],
    [0x7fffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
  ])("ends the run with the code of %#x: %#x", (value, code) => {
    const codes: number[] = [];
    const device = new DebugExit((each) => codes.push(each));
    device.write(0, 4, value);
    expect(codes).toEqual([code]);
    expect(device.read(0, 4)).toBe(0);
  });
});

describe("DebugConsole", () => {
  it("hands out characters, and answers that somebody listens", () => {
    const bytes: number[] = [];
    const device = new DebugConsole((byte) => bytes.push(byte));
    device.write(0, 1, 0x41);
    expect(bytes).toEqual([0x41]);
    expect(device.read(0, 1)).toBe(0xe9);
  });
});

describe("ShutdownPort", () => {
  it.each([
    ["Shutdown", [0]],
    ["ShutdownShutdown", [0, 0]],
    ["ShuShutdown", [0]],
    ["SShutdown", [0]],
    ["shutdown", []],
    ["Shutdow", []],
    ["Shut down", []],
  ])("takes %s", (text, expected) => {
    const codes: number[] = [];
    const port = new ShutdownPort((code) => codes.push(code));
    for (const byte of new TextEncoder().encode(text)) port.write(0, 1, byte);
    expect(codes).toEqual(expected);
  });

  it("goes on in the middle of the word from its state", () => {
    const codes: number[] = [];
    const first = new ShutdownPort(() => {});
    for (const byte of new TextEncoder().encode("Shut")) first.write(0, 1, byte);
    const second = new ShutdownPort((code) => codes.push(code));
    second.fromState(first.state());
    for (const byte of new TextEncoder().encode("down")) second.write(0, 1, byte);
    expect(codes).toEqual([0]);
  });
});

describe("PostPort", () => {
  it("tells each code and reads back the last", () => {
    const codes: number[] = [];
    const port = new PostPort((code) => codes.push(code));
    port.write(0, 1, 0x11);
    port.write(0, 1, 0x22);
    expect(codes).toEqual([0x11, 0x22]);
    expect(port.read(0, 1)).toBe(0x22);
  });
});

describe("reset ports", () => {
  it("resets by keyboard controller command 0xfe only", () => {
    let resets = 0;
    const device = new KeyboardReset(() => resets++);
    device.write(0, 1, 0xd1);
    expect(resets).toBe(0);
    device.write(0, 1, 0xfe);
    expect(resets).toBe(1);
    expect(device.read(0, 1)).toBe(0);
  });

  // register, writes, resets, value read afterwards
  it.each([
    ["chipset", [0x02], 0, 0x02],
    ["chipset", [0x02, 0x06], 1, 0x06],
    ["chipset", [0x06, 0x06], 1, 0x06],
    ["chipset", [0x0e, 0x00, 0x0e], 2, 0x0e],
    ["systemControl", [0x02], 0, 0x02],
    ["systemControl", [0x03], 1, 0x03],
    ["systemControl", [0x00], 0, 0x02],
  ] as const)("%s register after %j: %i resets", (kind, writes, expected, value) => {
    let resets = 0;
    const register = ResetRegister[kind](() => resets++);
    for (const each of writes) register.write(0, 1, each);
    expect(resets).toBe(expected);
    expect(register.read(0, 1)).toBe(value);
  });
});

describe("FwCfg", () => {
  function device(cpus = 2, highest = 0x123) {
    const ramBytes = 0x7fff_f000;
    return new FwCfg({ ramBytes, cpuCount: () => cpus, highestApicId: () => highest });
  }

  function item(fwCfg: FwCfg, key: number, length: number): number[] {
    fwCfg.write(0, 2, key);
    return Array.from({ length }, () => fwCfg.read(1, 1));
  }

  it.each([
    ["signature", 0x00, [0x51, 0x45, 0x4d, 0x55]],
    ["interface", 0x01, [1, 0, 0, 0]],
    ["RAM size", 0x03, [0x00, 0xf0, 0xff, 0x7f, 0, 0, 0, 0]],
    ["CPUs present", 0x05, [2, 0]],
    ["highest APIC ID plus 1", 0x0f, [0x24, 0x01]],
    ["file directory", 0x19, [0, 0, 0, 0]],
    ["an unknown item", 0x1234, [0, 0]],
  ])("gives the %s", (_, key, expected) => {
    expect(item(device(), key, expected.length)).toEqual(expected);
  });

  it("gives 0 past the end of an item and starts over when it is selected again", () => {
    const fwCfg = device();
    expect(item(fwCfg, 0, 6)).toEqual([0x51, 0x45, 0x4d, 0x55, 0, 0]);
    expect(item(fwCfg, 0, 1)).toEqual([0x51]);
  });

  it("gives the largest 16-bit number for counts that have more bits", () => {
    const fwCfg = device(0x20000, 0xfffffffe);
    expect(item(fwCfg, 0x05, 2)).toEqual([0xff, 0xff]);
    expect(item(fwCfg, 0x0f, 2)).toEqual([0xff, 0xff]);
  });

  it("ignores accesses of other widths", () => {
    const fwCfg = device();
    fwCfg.write(0, 2, 0x05);
    fwCfg.write(0, 1, 0x00);
    fwCfg.write(1, 1, 0xff);
    expect(fwCfg.read(0, 2)).toBe(0);
    expect(fwCfg.read(1, 1)).toBe(2);
  });

  it("goes on from its state", () => {
    const first = device();
    item(first, 0, 2);
    const second = device();
    second.fromState(JSON.parse(JSON.stringify(first.state())));
    expect([second.read(1, 1), second.read(1, 1)]).toEqual([0x4d, 0x55]);
  });
});
