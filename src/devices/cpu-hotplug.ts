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

const COMMAND_NEXT_EVENT = 0;
const COMMAND_OST_EVENT = 1;
const COMMAND_OST_STATUS = 2;
const COMMAND_ARCH_ID = 3;

/** A CPU that the machine has or could have. */
export interface CpuSlot {
  readonly apicId: number;
  /** The CPU is there. */
  isEnabled: boolean;
  /** It was added and the guest has not acknowledged that. */
  isInserting: boolean;
  /** The host asks the guest to give it back. */
  isRemoving: boolean;
  /** The guest handed the ejection over to firmware. */
  isFirmwareEject: boolean;
  ostEvent: number;
  ostStatus: number;
}

/** What the guest's writes cause outside. */
export interface CpuHotplugEvents {
  /** The guest ejects a CPU: it is to go now. */
  eject(slot: number): void;
  /** The guest reported on an event (_OST): status 0 is success. */
  ost(slot: number, event: number, status: number): void;
}

export class CpuHotplugBlock implements Device {
  readonly widest = 4;
  readonly slots: CpuSlot[] = [];
  readonly #events: CpuHotplugEvents;
  readonly #interrupt: () => void;
  #selected = 0;
  #command = COMMAND_NEXT_EVENT;

  /** @param interrupt - tells the guest that a slot has a new event */
  constructor(events: CpuHotplugEvents, interrupt: () => void = () => {}) {
    this.#events = events;
    this.#interrupt = interrupt;
  }

  /** Appends a possible CPU. @param isEnabled - it is there from the start @returns its slot */
  addSlot(apicId: number, isEnabled: boolean): number {
    const flags = { isInserting: false, isRemoving: false, isFirmwareEject: false };
    return this.slots.push({ apicId, isEnabled, ...flags, ostEvent: 0, ostStatus: 0 }) - 1;
  }

  /** Slot of an APIC ID, or -1. */
  slotOf(apicId: number): number {
    return this.slots.findIndex((slot) => slot.apicId === apicId);
  }

  /** A CPU was plugged into the slot: enabled, with an insert event. */
  insert(slot: number): void {
    const cpu = this.slots[slot]!;
    cpu.isEnabled = true;
    cpu.isInserting = true;
    cpu.isRemoving = false;
    cpu.isFirmwareEject = false;
    this.#interrupt();
  }

  /** Asks the guest to give the CPU back: a remove event. */
  requestRemoval(slot: number): void {
    this.slots[slot]!.isRemoving = true;
    this.#interrupt();
  }

  /** The CPU is gone: the slot is free, its events are void. */
  clear(slot: number): void {
    const cpu = this.slots[slot]!;
    cpu.isEnabled = false;
    cpu.isInserting = false;
    cpu.isRemoving = false;
    cpu.isFirmwareEject = false;
  }

  read(offset: number, _size: AccessSize): number {
    const slot = this.slots[this.#selected];
    if (slot === undefined) return 0;
    switch (offset) {
      case FLAGS:
        return (
          (slot.isEnabled ? FLAG_ENABLED : 0) |
          (slot.isInserting ? FLAG_INSERT : 0) |
          (slot.isRemoving ? FLAG_REMOVE : 0) |
          (slot.isFirmwareEject ? FLAG_FIRMWARE_EJECT : 0)
        );
      case DATA:
        if (this.#command === COMMAND_NEXT_EVENT) return this.#selected;
        return this.#command === COMMAND_ARCH_ID ? slot.apicId : 0;
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
    const slot = this.slots[this.#selected];
    if (slot === undefined) return;
    if (offset === FLAGS) this.#act(slot, value);
    else if (offset === COMMAND) this.#takeCommand(value);
    else if (offset === DATA) this.#takeData(slot, value);
  }

  state(): DeviceState {
    return {
      selected: this.#selected,
      command: this.#command,
      slots: this.slots.map((slot) => ({ ...slot })),
    };
  }

  fromState(state: DeviceState): void {
    this.#selected = state["selected"] as number;
    this.#command = state["command"] as number;
    this.slots.splice(
      0,
      Infinity,
      ...(state["slots"] as unknown as CpuSlot[]).map((slot) => ({ ...slot })),
    );
  }

  /** One action for each write: the first bit that is set, in this order. */
  #act(slot: CpuSlot, value: number): void {
    if ((value & FLAG_INSERT) !== 0) {
      slot.isInserting = false;
    } else if ((value & FLAG_REMOVE) !== 0) {
      slot.isRemoving = false;
    } else if ((value & (FLAG_EJECT | FLAG_FIRMWARE_EJECT)) !== 0) {
      if (!slot.isEnabled || this.#selected === 0) return;
      if ((value & FLAG_EJECT) !== 0) {
        slot.isFirmwareEject = false;
        this.#events.eject(this.#selected);
      } else {
        slot.isFirmwareEject = true;
      }
    }
  }

  #takeCommand(command: number): void {
    if (command > COMMAND_ARCH_ID) return;
    this.#command = command;
    if (command !== COMMAND_NEXT_EVENT) return;
    for (let i = 0; i < this.slots.length; i++) {
      const candidate = (this.#selected + i) % this.slots.length;
      const slot = this.slots[candidate]!;
      if (slot.isInserting || slot.isRemoving || slot.isFirmwareEject) {
        this.#selected = candidate;
        return;
      }
    }
  }

  #takeData(slot: CpuSlot, value: number): void {
    if (this.#command === COMMAND_OST_EVENT) {
      slot.ostEvent = value;
    } else if (this.#command === COMMAND_OST_STATUS) {
      slot.ostStatus = value;
      this.#events.ost(this.#selected, slot.ostEvent, value);
    }
  }
}
