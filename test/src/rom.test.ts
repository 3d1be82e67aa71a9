/** A ROM in the machine: where it shows, that it cannot be written, that code and page tables in it work. */
import { describe, expect, it } from "vitest";
import { Machine, type LoadOptions, type MachineOptions } from "../../src/index.js";
import { BUILDS } from "../support/machine.js";
import { CLI, dword, exit, HLT, out8 } from "./guest-code.js";

const KiB = 1024;
const MARKER = 0x5a;

/** A ROM of 64 KiB: code at F000:0000, a jump to it at the reset vector, a marker at F000:8000. */
function rom(...code: readonly number[]): Uint8Array {
  const image = new Uint8Array(64 * KiB);
  image.set(code);
  image.set([MARKER], 0x8000);
  image.set([0xea, 0x00, 0x00, 0x00, 0xf0], 0xfff0); // jmp f000:0000
  return image;
}

/** mov ax, cs; mov ds, ax */
const DS_IS_CS = [0x8c, 0xc8, 0x8e, 0xd8];
/** mov byte [8000h], 1 */
const STORE = [0xc6, 0x06, 0x00, 0x80, 0x01];
/** mov al, [8000h]; out 80h, al */
const SHOW = [0xa0, 0x00, 0x80, 0xe6, 0x80];

describe.each(BUILDS)("a ROM (%s core)", (build) => {
  async function machineWith(
    image: Uint8Array,
    options: MachineOptions = {},
    load: LoadOptions = {},
  ): Promise<{ machine: Machine; codes: number[] }> {
    const machine = await Machine.create({ memoryBytes: 1 << 20, build, ...options });
    machine.load(image, load);
    const codes: number[] = [];
    machine.onPost((code) => codes.push(code));
    return { machine, codes };
  }

  it("starts at the reset vector in the state after power-up", async () => {
    const { machine } = await machineWith(rom(CLI, HLT));
    const [cpu] = machine.vcpus;
    expect(cpu!.segment("cs")).toMatchObject({ selector: 0xf000, base: 0xffff0000n });
    expect(cpu!.rip).toBe(0xfff0n);
    expect(cpu!.control.cr0).toBe(0x60000010n);
    expect(cpu!.gpr.rdx & 0xf00n).not.toBe(0n);
    machine.step(0);
    expect(cpu!.segment("cs")).toMatchObject({ selector: 0xf000, base: 0xf0000n });
    expect(cpu!.rip).toBe(0n);
  });

  it("loses stores", async () => {
    const { machine, codes } = await machineWith(rom(...DS_IS_CS, ...STORE, ...SHOW, ...exit(0)));
    expect(machine.run()).toMatchObject({ reason: "exit", exitCode: 1 });
    expect(codes).toEqual([MARKER]);
  });

  it("that is shadowed takes them below 1 MiB", async () => {
    const image = rom(...DS_IS_CS, ...STORE, ...SHOW, ...exit(0));
    const { machine, codes } = await machineWith(image, {}, { isShadowed: true });
    expect(machine.run().reason).toBe("exit");
    expect(codes).toEqual([1]);
  });

  it("loses them in translated code too", async () => {
    // mov cx, 1000; again: store, inc [8000h], loop again
    const loop = [0xb9, 0xe8, 0x03, ...STORE, 0xfe, 0x06, 0x00, 0x80, 0xe2, 0xf5];
    const image = rom(...DS_IS_CS, ...loop, ...SHOW, ...exit(0));
    const { machine, codes } = await machineWith(image, { translateAfter: 2 });
    expect(machine.run().reason).toBe("exit");
    expect(codes).toEqual([MARKER]);
  });

  it("may hold page tables, whose accessed bits stay as they are", async () => {
    const usePse = [0x66, 0x0f, 0x20, 0xe0, 0x0c, 0x10, 0x66, 0x0f, 0x22, 0xe0]; // CR4 |= PSE
    const setRoot = [0x66, 0xb8, ...dword(0xffff9000), 0x66, 0x0f, 0x22, 0xd8]; // CR3 = ffff9000h
    const enable = [
      0x66,
      0x0f,
      0x20,
      0xc0,
      0x66,
      0x0d,
      ...dword(0x80000001),
      0x66,
      0x0f,
      0x22,
      0xc0,
    ]; // CR0 |= PG, PE
    const showEntry = [0xa0, 0x00, 0x90, 0xe6, 0x80]; // mov al, [9000h]; out 80h, al
    const image = rom(...usePse, ...setRoot, ...DS_IS_CS, ...enable, ...showEntry, ...exit(0));
    image.set(dword(0x83), 0x9000); // 4 MiB at 0: present, writable, large
    const { machine, codes } = await machineWith(image);
    expect(machine.run().reason).toBe("exit");
    expect(codes).toEqual([0x83]);
  });

  it("is part of a snapshot, of the hash, and of a fork", async () => {
    const image = rom(...DS_IS_CS, ...out8(0x80, 1), ...SHOW, ...exit(0));
    const { machine } = await machineWith(image);
    machine.run({ maxInstructions: 3 });
    const twin = await Machine.restore(machine.snapshot(), { build });
    expect(twin.stateHash()).toBe(machine.stateHash());
    const codes: number[] = [];
    twin.onPost((code) => codes.push(code));
    expect(twin.run().reason).toBe("exit");
    expect(codes).toEqual([1, MARKER]);
    machine.run();
    expect(twin.stateHash()).toBe(machine.stateHash());

    const other = rom(...DS_IS_CS, ...out8(0x80, 1), ...SHOW, ...exit(0));
    other[0x7000] = 1;
    const changed = (await machineWith(other, {}, { isShadowed: true })).machine;
    changed.writeMemory(0xf7000, Uint8Array.of(0));
    const same = (await machineWith(image, {}, { isShadowed: true })).machine;
    expect(changed.stateHash()).not.toBe(same.stateHash());
  });

  it("is gone when another image is loaded", async () => {
    const { machine } = await machineWith(rom(...DS_IS_CS, ...STORE, ...exit(0)));
    machine.run();
    // mov ax, f800h; mov ds, ax; mov byte [0], 7
    const code = [0xb8, 0x00, 0xf8, 0x8e, 0xd8, 0xc6, 0x06, 0x00, 0x00, 0x07, ...exit(0)];
    machine.load(Uint8Array.from(code), { address: 0x1000 });
    machine.run();
    expect(machine.readMemory(0xf8000, 1)).toEqual(Uint8Array.of(7));
  });
});
