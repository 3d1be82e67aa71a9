import { describe, expect, it } from "vitest";
import { CpuHotplugBlock } from "../../../src/devices/cpu-hotplug.js";

/** Slots 0 and 1 are there from the start, 2 and 3 are free. */
function block(ids = [0x00, 0x23, 0x123, 0x124]) {
  const log: string[] = [];
  const registers = new CpuHotplugBlock({
    eject: (slot) => log.push(`eject ${slot}`),
    acknowledge: () => {},
    ost: (slot, event, status) => log.push(`ost ${slot} ${event} ${status}`),
  });
  ids.forEach((apicId, i) => registers.addSlot(apicId, i < 2));
  return {
    registers,
    log,
    select: (slot: number) => registers.write(0, 4, slot),
    command: (code: number) => registers.write(5, 1, code),
    act: (flags: number) => registers.write(4, 1, flags),
    flags: () => registers.read(4, 1),
    data: () => registers.read(8, 4),
    data2: () => registers.read(0, 4),
  };
}

describe("CPU-hotplug block", () => {
  it("is told from the legacy bitmap by firmware: select 0 twice, command 0, offset 0 reads 0", () => {
    const { select, command, data2 } = block();
    select(0);
    select(0);
    command(0);
    expect(data2()).toBe(0);
  });

  it("shows CPUs of the start as enabled without an event", () => {
    const { select, flags } = block();
    expect([0, 1, 2, 3].map((slot) => (select(slot), flags()))).toEqual([1, 1, 0, 0]);
  });

  it("gives the 32-bit APIC ID by command 3, high half 0", () => {
    const { select, command, data, data2 } = block([0, 0xfffffffe]);
    select(1);
    command(3);
    expect([data(), data2()]).toEqual([0xfffffffe, 0]);
  });

  it("shows an inserted CPU until the guest acknowledges it", () => {
    const { registers, select, flags, act } = block();
    registers.insert(2);
    select(2);
    expect(flags()).toBe(0x03);
    act(0x02);
    expect(flags()).toBe(0x01);
  });

  it("shows a removal request until the guest acknowledges it; the CPU stays", () => {
    const { registers, select, flags, act, log } = block();
    registers.requestRemoval(1);
    select(1);
    expect(flags()).toBe(0x05);
    act(0x04);
    expect(flags()).toBe(0x01);
    expect(log).toEqual([]);
  });

  // events on slots, selection, where command 0 leads
  it.each([
    [[], 0, 0],
    [[], 2, 2],
    [[2], 0, 2],
    [[2], 2, 2],
    [[2], 3, 2], // wraps
    [[1, 3], 0, 1],
    [[1, 3], 2, 3],
    [[0, 3], 1, 3],
    [[0], 1, 0],
  ])("with events on %j, command 0 goes from %i to %i", (events, from, to) => {
    const { registers, select, command, data } = block();
    for (const slot of events) registers.requestRemoval(slot);
    select(from);
    command(0);
    expect(data()).toBe(to);
  });

  // flags written, flags afterwards, events outside
  it.each([
    [0x02, 0x15, []],
    [0x04, 0x13, []],
    [0x06, 0x15, []], // the first match wins
    [0x0e, 0x15, []],
    [0x0c, 0x13, []],
    [0x08, 0x07, ["eject 1"]],
    [0x18, 0x07, ["eject 1"]],
    [0x10, 0x17, []],
    [0x01, 0x17, []],
    [0xe0, 0x17, []],
    [0x00, 0x17, []],
  ])("takes one action from a write of %#x", (value, after, expected) => {
    const { registers, select, act, flags, log } = block();
    registers.insert(1);
    registers.requestRemoval(1);
    select(1);
    act(0x10);
    expect(flags()).toBe(0x17);
    act(value);
    expect(flags()).toBe(after);
    expect(log).toEqual(expected);
  });

  it.each([
    ["the first CPU", 0],
    ["an absent CPU", 2],
  ])("does not eject %s nor hand it to firmware", (_, slot) => {
    const { select, act, flags, log } = block();
    select(slot);
    const before = flags();
    act(0x08);
    act(0x10);
    expect(flags()).toBe(before);
    expect(log).toEqual([]);
  });

  it("counts a firmware ejection as an event for command 0", () => {
    const { select, act, command, data } = block();
    select(1);
    act(0x10);
    select(2);
    command(0);
    expect(data()).toBe(1);
  });

  it("reports _OST when the status is written, with the event written before", () => {
    const { select, command, registers, log } = block();
    select(1);
    command(1);
    registers.write(8, 4, 3);
    command(2);
    registers.write(8, 4, 0x84);
    expect(log).toEqual(["ost 1 3 132"]);
  });

  it("ignores data outside commands 1 and 2", () => {
    for (const code of [0, 3]) {
      const { command, registers, log, data } = block();
      command(code);
      const before = data();
      registers.write(8, 4, 7);
      expect(data()).toBe(before);
      expect(log).toEqual([]);
    }
  });

  it("ignores commands above 3", () => {
    const { select, command, data } = block();
    select(1);
    command(3);
    command(4);
    command(0xff);
    expect(data()).toBe(0x23);
  });

  it("reads 0 and takes only a selection while the selected slot does not exist", () => {
    const { registers, select, command, act, flags, data, data2, log } = block();
    command(3);
    registers.insert(2);
    for (const slot of [4, 0xffffffff]) {
      select(slot);
      expect([flags(), data(), data2()]).toEqual([0, 0, 0]);
      command(0);
      act(0x0e);
      registers.write(8, 4, 1);
    }
    select(2);
    expect([flags(), data()]).toEqual([0x03, 0x123]); // the command is still 3
    expect(log).toEqual([]);
  });

  it("reads 0 at the reserved offsets", () => {
    const { registers } = block();
    expect([1, 2, 3, 5, 6, 7, 9, 10, 11].map((offset) => registers.read(offset, 1))).toEqual(
      Array.from({ length: 9 }, () => 0),
    );
  });

  it("goes on from its state", () => {
    const first = block();
    first.registers.insert(2);
    first.select(2);
    first.command(3);
    const second = block([]);
    second.registers.fromState(JSON.parse(JSON.stringify(first.registers.state())));
    expect([second.flags(), second.data()]).toEqual([0x03, 0x123]);
  });
});
