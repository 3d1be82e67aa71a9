/** The PC platform with a guest: its interval timer interrupts through the 8259s, in virtual time. */
import { describe, expect, it } from "vitest";
import { Machine, type MachineOptions } from "../../src/index.js";
import { Oscillator } from "../../src/devices/oscillator.js";
import { PIT_HERTZ } from "../../src/devices/pit8254.js";
import { CLI, HLT, bootSector, exit, out8 } from "./guest-code.js";

const STI = 0xfb;
const IRET = 0xcf;
const VECTOR = 0x20;
const COUNT = 1193; // about a millisecond
const TICKS_WANTED = 5;

const PIC_MASTER = 0x20;
const PIT_CHANNEL_0 = 0x40;
const PIT_CONTROL = 0x43;
const POST = 0x80;

/** xor ax, ax; mov ds, ax; mov ss, ax; mov sp, 7c00h; mov bx, 5 */
const SET_UP_CPU = [0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0, 0x7c, 0xbb, TICKS_WANTED, 0];
/** test bx, bx; jnz back to the HLT before */
const UNTIL_DONE = [0x85, 0xdb, 0x75, 0xfb];
const DEC_BX = 0x4b;
const FETCH_COUNTER = [0xe4, PIT_CHANNEL_0];
const POST_AL = [0xe6, POST];

/** mov word [address], value */
function store16(address: number, value: number): number[] {
  return [0xc7, 0x06, address & 0xff, address >> 8, value & 0xff, value >> 8];
}

/**
 * Real mode: IRQ 0 at vector 20H, whose handler writes the counter's low byte to port 0x80 and ends the interrupt; the
 * guest halts in between, and ends the run after five.
 */
function timerGuest(): Uint8Array {
  const setUp = [
    CLI,
    ...SET_UP_CPU,
    ...out8(PIC_MASTER, 0x11), // ICW1..ICW4
    ...out8(PIC_MASTER + 1, VECTOR),
    ...out8(PIC_MASTER + 1, 0x04),
    ...out8(PIC_MASTER + 1, 0x01),
    ...out8(PIC_MASTER + 1, 0xfe), // IRQ 0 alone
    ...out8(PIT_CONTROL, 0x34), // channel 0, mode 2
    ...out8(PIT_CHANNEL_0, COUNT & 0xff),
    ...out8(PIT_CHANNEL_0, COUNT >> 8),
  ];
  const wait = [STI, HLT, ...UNTIL_DONE, ...exit(0)];
  const handlerAt = 0x7c00 + setUp.length + 2 * store16(0, 0).length + wait.length;
  const handler = [
    ...out8(PIT_CONTROL, 0x00), // latch channel 0
    ...FETCH_COUNTER,
    ...POST_AL,
    ...FETCH_COUNTER, // its high byte
    ...out8(PIC_MASTER, 0x20),
    DEC_BX,
    IRET,
  ];
  const vector = [...store16(VECTOR * 4, handlerAt), ...store16(VECTOR * 4 + 2, 0)];
  return bootSector(...setUp, ...vector, ...wait, ...handler);
}

const LIMIT = { maxInstructions: 1_000_000 };

async function timerMachine(options: MachineOptions = {}) {
  const machine = await Machine.create({ machine: "pc", memoryBytes: 1 << 20, ...options });
  machine.load(timerGuest());
  const moments: number[] = [];
  const counters: number[] = [];
  machine.onPost((code) => {
    moments.push(machine.virtualNs);
    counters.push(code);
  });
  return { machine, moments, counters };
}

describe("a machine of kind pc", () => {
  it.each(["release", "debug"] as const)(
    "interrupts a halted CPU at each period of the PIT: %s core",
    async (build) => {
      const { machine, moments, counters } = await timerMachine({ build });
      expect(machine.run(LIMIT)).toMatchObject({ reason: "exit", exitCode: 1 });
      const oscillator = new Oscillator(PIT_HERTZ);
      const first = oscillator.ticks(moments[0]!);
      expect(moments.map((ns) => oscillator.ticks(ns) - first)).toEqual(
        [...Array(TICKS_WANTED).keys()].map((n) => n * COUNT),
      );
      // OUT has just risen: the counter was loaded anew.
      expect(counters).toEqual(Array(TICKS_WANTED).fill(COUNT & 0xff));
    },
  );

  it("runs the same in slices of any size", async () => {
    const whole = await timerMachine();
    whole.machine.run(LIMIT);
    for (const slice of [1, 7, 1000]) {
      const { machine, moments } = await timerMachine();
      let reason = "budget";
      while (reason === "budget") ({ reason } = machine.run({ maxInstructions: slice }));
      expect(reason).toBe("exit");
      expect(moments).toEqual(whole.moments);
      expect(machine.stateHash()).toBe(whole.machine.stateHash());
    }
  });

  it("goes on from a snapshot between two interrupts", async () => {
    const whole = await timerMachine();
    whole.machine.run(LIMIT);
    const { machine } = await timerMachine();
    expect(machine.run({ untilNs: 2_345_678 }).reason).toBe("time");
    const copy = await Machine.restore(machine.snapshot());
    expect(copy.stateHash()).toBe(machine.stateHash());
    expect(copy.run(LIMIT).reason).toBe("exit");
    expect(copy.stateHash()).toBe(whole.machine.stateHash());
  });

  it.each([[0x40], [0x61], [0x71], [0x608]])(
    "has port %#x, which minimal has not",
    async (port) => {
      const ranges = async (options: MachineOptions) =>
        (await Machine.create({ memoryBytes: 1 << 20, ...options })).ports
          .ranges()
          .some(({ first, length }) => first <= port && port < first + length);
      expect(await ranges({ machine: "pc" })).toBe(true);
      expect(await ranges({})).toBe(false);
    },
  );

  it("shows the time that it was made with", async () => {
    const machine = await Machine.create({ machine: "pc", memoryBytes: 1 << 20, epochSeconds: 42 });
    machine.ports.write(0x70, 1, 0);
    expect(machine.ports.read(0x71, 1)).toBe(0x42);
  });

  it("is refused under another name", async () => {
    await expect(Machine.create({ machine: "q35" as "pc" })).rejects.toMatchObject({
      code: "BAD_OPTION",
      message: 'There is no machine "q35"; the machines are minimal and pc.',
    });
  });
});
