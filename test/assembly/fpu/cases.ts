/**
 * Runs one piece of code over many cases on the exact ways of the core and on its short ones.
 *
 * The same bytes run in flat 32-bit code, which takes the short ways, and in real mode, which never does: [edi] and [bx]
 * have one encoding.
 */
import { expect } from "vitest";
import type { Machine, MachineOptions } from "../../../src/index.js";
import { bootSector, HLT } from "../../src/guest-code.js";
import { BUILDS, machine as machineOf } from "../../support/machine.js";

type Build = (typeof BUILDS)[number];

interface Guest {
  /** Of `loopOverCases`. */
  readonly code: readonly number[];
  /** CASE_COUNT times CASE_BYTES. */
  readonly cases: Uint8Array;
}

/** Small enough for a displacement of eight bits. */
export const CASE_BYTES = 96;
export const CASE_COUNT = 300;

const CASES = 0x8000;
const LOAD_ADDRESS = 0x100000;
const HEADER_BYTES = 32;
const MEMORY_BYTES = 2 << 20;
/** OSFXSR and OSXMMEXCPT. */
const CR4_SSE = 0x600n;

/** @param body - works on the case at [edi], which is [bx] in real mode; short */
export function loopOverCases(body: readonly number[]): number[] {
  // add edi, 96; add ebx, 96
  const whole = [...body, 0x83, 0xc7, CASE_BYTES, 0x83, 0xc3, CASE_BYTES];
  return [...whole, 0xe2, 256 - whole.length - 2, HLT]; // loop
}

/** Random numbers below a limit, and elements of a list; always the same. */
export function chooser(seed: bigint) {
  let state = seed;
  const random = (most: number): number => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n);
    return Number((state >> 33n) % BigInt(most));
  };
  return { random, one: <T>(from: readonly T[]): T => from[random(from.length)]! };
}

function flatImage(code: readonly number[]): Uint8Array {
  const image = new Uint8Array(HEADER_BYTES + code.length);
  const view = new DataView(image.buffer);
  const end = LOAD_ADDRESS + image.length;
  const entry = LOAD_ADDRESS + HEADER_BYTES;
  const words = [
    0x1badb002,
    1 << 16,
    -(0x1badb002 + (1 << 16)),
    LOAD_ADDRESS,
    LOAD_ADDRESS,
    end,
    end,
    entry,
  ];
  words.forEach((word, i) => view.setUint32(i * 4, word, true));
  image.set(code, HEADER_BYTES);
  return image;
}

/** @returns the cases as the code has left them, in hexadecimal */
function results(machine: Machine, cases: Uint8Array): string[] {
  machine.writeMemory(CASES, cases);
  const { gpr, control } = machine.vcpus[0]!;
  control.cr4 |= CR4_SSE;
  gpr.rdi = BigInt(CASES);
  gpr.rbx = BigInt(CASES);
  gpr.rcx = BigInt(CASE_COUNT);
  expect(machine.run({ maxInstructions: 1_000_000 }).reason).toBe("idle");
  const bytes = machine.readMemory(CASES, CASE_COUNT * CASE_BYTES);
  machine.dispose();
  return Array.from({ length: CASE_COUNT }, (_, i) =>
    Buffer.from(bytes.subarray(i * CASE_BYTES, (i + 1) * CASE_BYTES)).toString("hex"),
  );
}

export async function runExact(build: Build, { code, cases }: Guest): Promise<string[]> {
  const machine = await machineOf(build, { memoryBytes: MEMORY_BYTES });
  machine.load(bootSector(...code));
  return results(machine, cases);
}

/** @param how - interpreted or translated */
export async function runShort(build: Build, guest: Guest, how: MachineOptions): Promise<string[]> {
  const machine = await machineOf(build, { memoryBytes: MEMORY_BYTES, ...how });
  machine.load(flatImage(guest.code));
  return results(machine, guest.cases);
}
