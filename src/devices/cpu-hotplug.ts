/**
 * CPU-hotplug register block: how a guest finds CPUs that came or shall go.
 *
 * Source: QEMU docs/specs/acpi_cpu_hotplug, modern interface; hw/acpi/cpu.c. 12 bytes, little-endian:
 *
 *     offset 0, 4 bytes   read: command data 2 · write: select a slot
 *     offset 4, 1 byte    read: flags of the slot · write: one action on it
 *     offset 5, 1 byte    write: command
 *     offset 8, 4 bytes   read: command data · write: argument of commands 1 and 2
 *
 * A slot is a position in the list of possible CPUs, not an APIC ID. While the selected slot does not exist, every read
 * gives 0 and only a new selection is taken. Selection and command survive a reset.
 * Not modelled: the legacy bitmap of 255 CPUs; the block is in modern mode from the start.
 */
import type { AccessSize, Device, DeviceState } from "./device.js";
import { StateReader } from "./state-reader.js";

export const CPU_HOTPLUG_LENGTH = 12;

const SELECT_DATA2 = 0;
const FLAGS = 4;
const COMMAND = 5;
const DATA = 8;

const FLAG_ENABLED = 0x01;
const FLAG_INSERT = 0x02;
const FLAG_REMOVE = 0x04;
const FLAG_EJECT = 0x08; // write only
const FLAG_FIRMWARE_EJECT = 0x10;
const FLAG_EVENTS = FLAG_INSERT | FLAG_REMOVE | FLAG_FIRMWARE_EJECT;

const COMMAND_NEXT_EVENT = 0;
const COMMAND_OST_EVENT = 1;
const COMMAND_OST_STATUS = 2;
const COMMAND_ARCH_ID = 3;

/** A CPU that the machine has or could have. */
export interface CpuSlot {
  readonly apicId: number;
  /** The CPU is there. */
  readonly isEnabled: boolean;
  /** It was added and the guest has not acknowledged that. */
  readonly isInserting: boolean;
  /** The host asks the guest to give it back. */
  readonly isRemoving: boolean;
  /** The guest handed the ejection over to firmware. */
  readonly isFirmwareEject: boolean;
  readonly ostEvent: number;
  readonly ostStatus: number;
}

/** What the guest reported on a slot (_OST). */
interface OstRecord {
  readonly event: number;
  readonly status: number;
}

const NO_REPORT: OstRecord = { event: 0, status: 0 };

/** What the guest's writes cause outside. */
export interface CpuHotplugEvents {
  /** The guest ejects a CPU: it is to go now. */
  eject(slot: number): void;
  /** The guest took note of an insert or remove event. */
  acknowledge(slot: number): void;
  /** The guest reported on an event (_OST): status 0 is success. */
  ost(slot: number, event: number, status: number): void;
}

export class CpuHotplugBlock implements Device {
  readonly widest = 4;
  readonly #events: CpuHotplugEvents;
  readonly #interrupt: () => void;
  // By slot; plain numbers, since there may be a million.
  readonly #apicIds: number[] = [];
  /** What a read of the flags gives. */
  readonly #flags: number[] = [];
  /** Last reports of the slots that had one. */
  readonly #reports = new Map<number, OstRecord>();
  #selected = 0;
  #command = COMMAND_NEXT_EVENT;

  /** @param interrupt - tells the guest that a slot has a new event */
  constructor(events: CpuHotplugEvents, interrupt: () => void = () => {}) {
    this.#events = events;
    this.#interrupt = interrupt;
  }

  /** How the slots are now. */
  get slots(): CpuSlot[] {
    return this.#apicIds.map((apicId, slot) => {
      const flags = this.#flags[slot]!;
      const { event, status } = this.#reports.get(slot) ?? NO_REPORT;
      return {
        apicId,
        isEnabled: (flags & FLAG_ENABLED) !== 0,
        isInserting: (flags & FLAG_INSERT) !== 0,
        isRemoving: (flags & FLAG_REMOVE) !== 0,
        isFirmwareEject: (flags & FLAG_FIRMWARE_EJECT) !== 0,
        ostEvent: event,
        ostStatus: status,
      };
    });
  }

  /** APIC IDs by slot. */
  get apicIds(): readonly number[] {
    return this.#apicIds;
  }

  /** CPUs that are there. */
  get enabledCount(): number {
    let count = 0;
    for (const flags of this.#flags) count += flags & FLAG_ENABLED;
    return count;
  }

  /** Appends a possible CPU. @param isEnabled - it is there from the start @returns its slot */
  addSlot(apicId: number, isEnabled: boolean): number {
    this.#flags.push(isEnabled ? FLAG_ENABLED : 0);
    return this.#apicIds.push(apicId) - 1;
  }

  /**
   * A slot for a CPU of an ID that has none: a new one, or in a list that is full the first that its CPU has left.
   *
   * @param most - slots that the list may have; at least one of them is free @returns the slot
   */
  slotFor(apicId: number, most: number): number {
    const free = this.#flags.length < most ? -1 : this.#flags.indexOf(0);
    if (free < 0) return this.addSlot(apicId, false);
    this.#apicIds[free] = apicId;
    this.#reports.delete(free);
    return free;
  }

  /** Slot of an APIC ID, or -1. */
  slotOf(apicId: number): number {
    return this.#apicIds.indexOf(apicId);
  }

  /** The CPU of this slot is there. */
  isEnabled(slot: number): boolean {
    return (this.#flags[slot]! & FLAG_ENABLED) !== 0;
  }

  /** A CPU was plugged into the slot: enabled, with an insert event. */
  insert(slot: number): void {
    this.#flags[slot] = FLAG_ENABLED | FLAG_INSERT;
    this.#interrupt();
  }

  /** Asks the guest to give the CPU back: a remove event. */
  requestRemoval(slot: number): void {
    this.#flags[slot]! |= FLAG_REMOVE;
    this.#interrupt();
  }

  /** The CPU is gone: the slot is free, its events are void. */
  clear(slot: number): void {
    this.#flags[slot] = 0;
  }

  read(offset: number, _size: AccessSize): number {
    const flags = this.#flags[this.#selected];
    if (flags === undefined) return 0;
    switch (offset) {
      case FLAGS:
        return flags;
      case DATA:
        if (this.#command === COMMAND_NEXT_EVENT) return this.#selected;
        return this.#command === COMMAND_ARCH_ID ? this.#apicIds[this.#selected]! : 0;
      // SELECT_DATA2: command 3 gives the high half of the ID, which is 0 on x86, and so do the others
      default:
        return 0;
    }
  }

  write(offset: number, _size: AccessSize, value: number): void {
    if (offset === SELECT_DATA2) {
      this.#selected = value;
      return;
    }
    if (this.#selected >= this.#flags.length) return;
    if (offset === FLAGS) this.#act(value);
    else if (offset === COMMAND) this.#takeCommand(value);
    else if (offset === DATA) this.#takeData(value);
  }

  state(): DeviceState {
    return {
      selected: this.#selected,
      command: this.#command,
      slots: this.slots.map((slot) => ({ ...slot })),
    };
  }

  fromState(state: DeviceState): void {
    const from = new StateReader(state, ["selected", "command", "slots"]);
    const slots = from.list("slots").map(slotFromState);
    this.#selected = from.number("selected");
    this.#command = from.number("command", COMMAND_ARCH_ID);
    this.#apicIds.length = 0;
    this.#flags.length = 0;
    this.#reports.clear();
    for (const [slot, each] of slots.entries()) {
      this.addSlot(each.apicId, each.isEnabled);
      if (each.isInserting) this.#flags[slot]! |= FLAG_INSERT;
      if (each.isRemoving) this.#flags[slot]! |= FLAG_REMOVE;
      if (each.isFirmwareEject) this.#flags[slot]! |= FLAG_FIRMWARE_EJECT;
      const { ostEvent, ostStatus } = each;
      if (ostEvent !== 0 || ostStatus !== 0)
        this.#reports.set(slot, { event: ostEvent, status: ostStatus });
    }
  }

  /** One action for each write: the first bit that is set, in this order. */
  #act(value: number): void {
    const slot = this.#selected;
    const flags = this.#flags[slot]!;
    if ((value & FLAG_INSERT) !== 0) {
      this.#flags[slot] = flags & ~FLAG_INSERT;
      this.#events.acknowledge(slot);
    } else if ((value & FLAG_REMOVE) !== 0) {
      this.#flags[slot] = flags & ~FLAG_REMOVE;
      this.#events.acknowledge(slot);
    } else if ((value & (FLAG_EJECT | FLAG_FIRMWARE_EJECT)) !== 0) {
      if ((flags & FLAG_ENABLED) === 0 || slot === 0) return;
      if ((value & FLAG_EJECT) !== 0) {
        this.#flags[slot] = flags & ~FLAG_FIRMWARE_EJECT;
        this.#events.eject(slot);
      } else {
        this.#flags[slot] = flags | FLAG_FIRMWARE_EJECT;
      }
    }
  }

  #takeCommand(command: number): void {
    if (command > COMMAND_ARCH_ID) return;
    this.#command = command;
    if (command !== COMMAND_NEXT_EVENT) return;
    const count = this.#flags.length;
    for (let i = 0; i < count; i++) {
      const candidate = (this.#selected + i) % count;
      if ((this.#flags[candidate]! & FLAG_EVENTS) !== 0) {
        this.#selected = candidate;
        return;
      }
    }
  }

  #takeData(value: number): void {
    const slot = this.#selected;
    const last = this.#reports.get(slot) ?? NO_REPORT;
    if (this.#command === COMMAND_OST_EVENT) {
      this.#reports.set(slot, { ...last, event: value });
    } else if (this.#command === COMMAND_OST_STATUS) {
      this.#reports.set(slot, { ...last, status: value });
      this.#events.ost(slot, last.event, value);
    }
  }
}

function slotFromState(state: unknown): CpuSlot {
  const flags = ["isEnabled", "isInserting", "isRemoving", "isFirmwareEject"] as const;
  const from = new StateReader(state, ["apicId", ...flags, "ostEvent", "ostStatus"]);
  return {
    apicId: from.number("apicId"),
    isEnabled: from.boolean("isEnabled"),
    isInserting: from.boolean("isInserting"),
    isRemoving: from.boolean("isRemoving"),
    isFirmwareEject: from.boolean("isFirmwareEject"),
    ostEvent: from.number("ostEvent"),
    ostStatus: from.number("ostStatus"),
  };
}
