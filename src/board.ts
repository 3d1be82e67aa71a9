/**
 * The board: which devices a machine has and where they answer. Read it as the memory map of the data sheet.
 *
 * The board knows devices and buses; the machine knows the board. What leaves the board goes through `BoardOutputs`.
 */
import { MmioBus, PortBus } from "./bus.js";
import { ACPI_PM_LENGTH, AcpiPm } from "./devices/acpi-pm.js";
import {
  CPU_HOTPLUG_LENGTH,
  CpuHotplugBlock,
  type CpuHotplugEvents,
} from "./devices/cpu-hotplug.js";
import { DebugConsole } from "./devices/debug-console.js";
import { DebugExit, ShutdownPort } from "./devices/debug-exit.js";
import type {
  Device,
  DeviceClock,
  DeviceState,
  InterruptLine,
  TimedDevice,
} from "./devices/device.js";
import { FwCfg, type FwCfgSource } from "./devices/fw-cfg.js";
import { I8042 } from "./devices/i8042.js";
import { IO_APIC_LENGTH, IoApic } from "./devices/ioapic.js";
import { PicPair } from "./devices/pic8259.js";
import { Pit8254, SpeakerPort } from "./devices/pit8254.js";
import { PostPort } from "./devices/post-port.js";
import { KeyboardReset, ResetRegister } from "./devices/reset-control.js";
import { Rtc } from "./devices/rtc.js";
import { SleepControl } from "./devices/sleep-control.js";
import {
  TEST_LINES,
  TEST_MEMORY_BYTES,
  TEST_REGISTER_LENGTH,
  TestDevice,
} from "./devices/test-device.js";
import { Uart16550 } from "./devices/uart16550.js";
import { X2vmError } from "./errors.js";
import { RTC_GSI, SCI_GSI, TIMER_GSI, type Platform } from "./platform.js";

const TIMER_IRQ = 0;
const KEYBOARD_IRQ = 1;
const COM1_IRQ = 4;
/** I/O APIC pin of the ACPI event device. */
const EVENT_DEVICE_PIN = 9;
const IO_APIC_ADDRESS = 0xfec00000;
const ISA_IRQS = 16;
const CASCADE_IRQ = 2;
const TEST_REGISTER = 0xe0;
const TEST_INTERRUPTS = 0x2000;
const TEST_MEMORY = 0xff000000;

export interface BoardOutputs extends CpuHotplugEvents {
  /** INTR from the PIC pair to the boot CPU's LINT0. */
  extInt(level: boolean): void;
  /** An entry of the I/O APIC fires. */
  ioApicSend(low: number, high: number): void;
  /** It was the ACPI event device's: a CPU came or shall go. */
  hotplugInterrupt(low: number, high: number): void;
  /** A byte that the guest sent over the serial port. */
  serial(byte: number): void;
  /** A character for the debug console. */
  debug(byte: number): void;
  /** A POST code, 0..255. */
  post(code: number): void;
  /** The guest ended the run with this code. */
  exit(code: number): void;
  /** The guest asked for a reset. */
  reset(): void;
}

export interface BoardSetup extends FwCfgSource {
  readonly platform: Platform;
  /** What the real-time clock shows at the start, seconds since 1970. */
  readonly epochSeconds: number;
  readonly clock: DeviceClock;
}

export class Board {
  readonly ports = new PortBus();
  readonly mmio = new MmioBus();
  readonly pics: PicPair;
  readonly ioApic: IoApic;
  readonly uart: Uart16550;
  readonly cpuHotplug: CpuHotplugBlock;
  /** By the names that snapshots give them; the order is that of hashes. */
  readonly #stateful: Map<string, Pick<Device, "state" | "fromState">>;
  readonly #timed: TimedDevice[] = [];

  constructor(outputs: BoardOutputs, setup: BoardSetup) {
    const reset = () => outputs.reset();
    const exit = (code: number) => outputs.exit(code);
    this.pics = new PicPair({ set: (level) => outputs.extInt(level) });
    this.ioApic = new IoApic((low, high, pin) => {
      if (pin === EVENT_DEVICE_PIN) outputs.hotplugInterrupt(low, high);
      outputs.ioApicSend(low, high);
    });
    const eventDevice = this.ioApic.line(EVENT_DEVICE_PIN);
    this.uart = new Uart16550(this.#line(COM1_IRQ, COM1_IRQ), (byte) => outputs.serial(byte));
    this.cpuHotplug = new CpuHotplugBlock(outputs, () => {
      eventDevice.set(true); // edge-triggered
      eventDevice.set(false);
    });
    const post = new PostPort((code) => outputs.post(code));
    const systemControl = ResetRegister.systemControl(reset);
    const chipsetReset = ResetRegister.chipset(reset);
    const fwCfg = new FwCfg(setup);
    const shutdown = new ShutdownPort(exit);

    const { ports } = this;
    ports.register("PIC master", 0x20, 2, this.pics.master);
    ports.register("POST codes", 0x80, 1, post);
    ports.register("system control A", 0x92, 1, systemControl);
    ports.register("PIC slave", 0xa0, 2, this.pics.slave);
    const debugConsole = new DebugConsole((byte) => outputs.debug(byte));
    ports.register("debug console (Bochs)", 0xe9, 1, debugConsole);
    ports.register("debug console (QEMU)", 0x402, 1, debugConsole);
    ports.register("debug exit", 0xf4, 4, new DebugExit(exit));
    ports.register("COM1", 0x3f8, 8, this.uart);
    ports.register("PIC edge/level", 0x4d0, 2, this.pics.edgeLevelControl);
    ports.register("fw_cfg", 0x510, 2, fwCfg);
    ports.register("CPU hotplug", 0xcd8, CPU_HOTPLUG_LENGTH, this.cpuHotplug);
    ports.register("reset control", 0xcf9, 1, chipsetReset);
    ports.register("shutdown", 0x8900, 1, shutdown);
    this.mmio.register("I/O APIC", IO_APIC_ADDRESS, IO_APIC_LENGTH, this.ioApic);
    const test = new TestDevice(this.#testLines(setup.platform));
    ports.register("test register", TEST_REGISTER, TEST_REGISTER_LENGTH, test.register);
    ports.register("test interrupts", TEST_INTERRUPTS, TEST_LINES, test.lines);
    this.mmio.register("test memory", TEST_MEMORY, TEST_MEMORY_BYTES, test.memory);

    const { master, slave } = this.pics;
    this.#stateful = new Map<string, Pick<Device, "state" | "fromState">>([
      ["PIC master", master],
      ["PIC slave", slave],
      ["I/O APIC", this.ioApic],
      ["COM1", this.uart],
      ["CPU hotplug", this.cpuHotplug],
      ["POST codes", post],
      ["system control A", systemControl],
      ["reset control", chipsetReset],
      ["fw_cfg", fwCfg],
      ["shutdown", shutdown],
      ["test register", test.register],
      ["test interrupts", test.lines],
      ["test memory", test.memory],
    ]);
    if (setup.platform === "pc") this.#addPcDevices(setup, exit, reset);
    else {
      ports.register("keyboard controller reset", 0x64, 1, new KeyboardReset(reset));
      ports.register("sleep control", 0x604, 2, new SleepControl(exit));
    }
  }

  /** Virtual time at which a device wants to do something, in nanoseconds; Infinity when none does. */
  get nextNs(): number {
    let next = Infinity;
    for (const device of this.#timed) next = Math.min(next, device.nextNs);
    return next;
  }

  /** Lets devices do what is due at a virtual time. */
  advance(ns: number): void {
    for (const device of this.#timed) if (device.nextNs <= ns) device.advance();
  }

  #addPcDevices(setup: BoardSetup, exit: (code: number) => void, reset: () => void): void {
    const { clock } = setup;
    const pit = new Pit8254(clock, this.#line(TIMER_IRQ, TIMER_GSI));
    const speaker = new SpeakerPort(pit);
    const rtc = new Rtc(clock, this.#line(RTC_GSI, RTC_GSI), setup);
    const acpi = new AcpiPm(clock, this.#line(SCI_GSI, SCI_GSI), exit);
    const keyboard = new I8042(this.#line(KEYBOARD_IRQ, KEYBOARD_IRQ), reset);
    this.ports.register("PIT", 0x40, 4, pit);
    this.ports.register("keyboard data", 0x60, 1, keyboard.data);
    this.ports.register("keyboard controller", 0x64, 1, keyboard.command);
    this.ports.register("speaker control", 0x61, 1, speaker);
    this.ports.register("RTC", 0x70, 2, rtc);
    this.ports.register("ACPI fixed hardware", 0x600, ACPI_PM_LENGTH, acpi);
    this.#timed.push(pit, rtc, acpi);
    this.#stateful.set("PIT", pit);
    this.#stateful.set("speaker control", speaker);
    this.#stateful.set("keyboard controller", keyboard);
    this.#stateful.set("RTC", rtc);
    this.#stateful.set("ACPI fixed hardware", acpi);
  }

  /** As the ISA bus has its interrupts; inputs from 16 are the I/O APIC's alone. */
  #testLines(platform: Platform): InterruptLine[] {
    return Array.from({ length: TEST_LINES }, (_, n) => {
      if (n >= ISA_IRQS || n === CASCADE_IRQ) return this.ioApic.line(n);
      return this.#line(n, n === TIMER_IRQ && platform === "pc" ? TIMER_GSI : n);
    });
  }

  /** A wire to both interrupt controllers. */
  #line(irq: number, pin: number): InterruptLine {
    const lines = [this.pics.line(irq), this.ioApic.line(pin)];
    return { set: (level) => lines.forEach((line) => line.set(level)) };
  }

  /** State of every device of the board, in a fixed order. */
  state(): DeviceState[] {
    return this.save().map(({ state }) => state);
  }

  /** The same with the devices' names, for `load`. */
  save(): { name: string; state: DeviceState }[] {
    return [...this.#stateful].map(([name, device]) => ({ name, state: device.state() }));
  }

  /**
   * Puts back what `save` gave. Devices drive their lines anew, which may reach the core.
   *
   * @throws X2vmError BAD_SNAPSHOT when devices are missing, or unknown, or cannot be in such a state
   */
  load(saved: readonly { readonly name: string; readonly state: DeviceState }[]): void {
    const names = [...this.#stateful.keys()];
    if (saved.map(({ name }) => name).join() !== names.join()) {
      throw new X2vmError(
        "BAD_SNAPSHOT",
        `The snapshot is malformed: its devices are not ${names.join(", ")}.`,
      );
    }
    for (const { name, state } of saved) this.#stateful.get(name)!.fromState(state);
  }
}
