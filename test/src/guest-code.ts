/** Small guests as bytes: real-mode code for a boot sector, one mnemonic a line. */
import { Machine, type MachineOptions } from "../../src/index.js";

/** mov al, value; out port, al */
export function out8(port: number, value: number): number[] {
  return [0xb0, value, 0xe6, port];
}

/** mov dx, port; mov al, value; out dx, al */
export function outDx8(port: number, value: number): number[] {
  return [0xba, port & 0xff, port >> 8, 0xb0, value, 0xee];
}

/** mov dx, port; mov eax, value; out dx, eax */
export function outDx32(port: number, value: number): number[] {
  return [0xba, port & 0xff, port >> 8, 0x66, 0xb8, ...dword(value), 0x66, 0xef];
}

export const CLI = 0xfa;
export const HLT = 0xf4;
export const NOP = 0x90;
/** jmp to itself */
export const SPIN = [0xeb, 0xfe];

/** Sends the text over COM1, a byte at a time. */
export function say(text: string): number[] {
  return [...new TextEncoder().encode(text)].flatMap((byte) => outDx8(0x3f8, byte));
}

/** Ends the run with exit code (value << 1) | 1. */
export function exit(value: number): number[] {
  return out8(0xf4, value);
}

export function bootSector(...code: number[]): Uint8Array {
  const sector = new Uint8Array(512);
  sector.set(code);
  sector.set([0x55, 0xaa], 510);
  return sector;
}

/** A machine of 64 KiB with the code as its boot sector. */
export async function machineWith(
  code: readonly number[],
  options: MachineOptions = {},
): Promise<Machine> {
  const machine = await Machine.create({ memoryBytes: 0x10000, ...options });
  machine.load(bootSector(...code));
  return machine;
}

/** Collects what the guest sends. */
export function serialOf(machine: Machine): { text: string } {
  const output = { text: "" };
  machine.onSerial((byte) => {
    output.text += String.fromCharCode(byte);
  });
  return output;
}

export function dword(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}
