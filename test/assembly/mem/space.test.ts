/** Address spaces that vCPUs share, and what each of them must see: assembly/mem/space.ts. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Machine, type Vcpu } from "../../../src/index.js";
import {
  BUILDS,
  CODE,
  CODE32,
  DATA,
  GDT,
  PT,
  PD,
  enterLongMode,
  hex,
  machine,
  readU64,
  setGate64,
  writeU64,
  type Build,
} from "../../support/machine.js";

// One instruction each; the test puts RIP on it and steps.
const READ = CODE; // mov rax, [rbx]
const INVLPG = CODE + 0x10; // invlpg [rbx]
const LOAD_CR3 = CODE + 0x20; // mov cr3, rcx
const WRITE = CODE + 0x30; // mov [rbx], rax
const LOAD_CR4 = CODE + 0x40; // mov cr4, rdx
const LOAD_CR0 = CODE + 0x50; // mov cr0, rbp
const HANDLER = CODE + 0x80;
const PML4 = 0x1000n;
const FIRST_PAGE = 0x40;
const FIRST_FRAME = 0x50;
const PRESENT = 1n;
const USER = 4n;
const ALL = 7n;
const GLOBAL = 0x100n;
const NX = 1n << 63n;
const PF = 14;

/** Two CPUs that run; where, is the caller's. */
async function twoCpus(build: Build): Promise<Machine> {
  const target = await machine(build, { cpus: 2, memoryBytes: 1 << 20 });
  target.writeMemory(READ, hex("48 8b 03"));
  target.writeMemory(INVLPG, hex("0f 01 3b"));
  target.writeMemory(LOAD_CR3, hex("0f 22 d9"));
  target.writeMemory(WRITE, hex("48 89 03"));
  target.writeMemory(LOAD_CR4, hex("0f 22 e2"));
  target.writeMemory(LOAD_CR0, hex("0f 22 c5"));
  const [first] = target.vcpus;
  const base = first!.readMsr(0x1b)!;
  first!.writeMsr(0x1b, base | 0x400n);
  first!.writeMsr(0x830, 0x1_0000_4500n); // INIT
  first!.writeMsr(0x830, 0x1_0000_4600n | BigInt(CODE >> 12)); // STARTUP
  target.step(1);
  return target;
}

/** The same in 64-bit mode with common page tables; frame n holds the number n. */
async function twoCpusIn64BitMode(build: Build): Promise<Machine> {
  const target = await twoCpus(build);
  setGate64(target, PF, HANDLER);
  for (let frame = 0; frame < 8; frame++)
    writeU64(target, (FIRST_FRAME + frame) << 12, BigInt(FIRST_FRAME + frame));
  for (const vcpu of target.vcpus) enterLongMode(target, vcpu);
  return target;
}

/** Frame 8 is beyond RAM, where reads give all ones. */
const HOLE = 8;

function map(target: Machine, page: number, frame: number, bits = ALL): void {
  const number = frame === HOLE ? 0x10000n : BigInt(FIRST_FRAME + frame);
  writeU64(target, PT + (FIRST_PAGE + page) * 8, (number << 12n) | bits);
}

function stepAt(target: Machine, n: number, rip: number, page = 0) {
  const vcpu = target.vcpus[n]!;
  vcpu.rip = BigInt(rip);
  vcpu.gpr.rbx = BigInt((FIRST_PAGE + page) << 12);
  vcpu.gpr.rcx = PML4;
  return target.step(n);
}

function readPage(target: Machine, n: number, page: number): number {
  expect(stepAt(target, n, READ, page).exception).toBeUndefined();
  const { rax } = target.vcpus[n]!.gpr;
  return rax === 0xffff_ffff_ffff_ffffn ? HOLE : Number(rax) - FIRST_FRAME;
}

interface Action {
  cpu: number;
  page: number;
  kind: "read" | "map" | "invlpg" | "cr3" | "pge";
  frame: number;
  isGlobal: boolean;
}

const anyAction: fc.Arbitrary<Action> = fc.record({
  cpu: fc.integer({ min: 0, max: 1 }),
  page: fc.integer({ min: 0, max: 2 }),
  kind: fc.constantFrom("read", "read", "read", "map", "map", "invlpg", "cr3", "pge"),
  frame: fc.constantFrom(0, 1, 2, 3, HOLE, HOLE),
  isGlobal: fc.boolean(),
});

/**
 * What a CPU may see at a page: the frames that it was mapped to since that CPU flushed it, the present one included.
 * SDM 3A "Details of TLB Use", "Operations that Invalidate TLBs".
 */
class Allowed {
  readonly #frames: { frame: number; isGlobal: boolean }[];

  constructor(frame: number) {
    this.#frames = [{ frame, isGlobal: false }];
  }
  map(frame: number, isGlobal: boolean): void {
    this.#frames.push({ frame, isGlobal });
  }
  flush(keepsGlobal: boolean): void {
    const last = this.#frames.pop()!;
    const kept = keepsGlobal ? this.#frames.filter(({ isGlobal }) => isGlobal) : [];
    this.#frames.splice(0, Infinity, ...kept, last);
  }
  get frames(): number[] {
    return this.#frames.map(({ frame }) => frame);
  }
}

describe.each(BUILDS)("CPUs with one CR3 (%s)", (build) => {
  it("each see no mapping that they have flushed, whatever the other does", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyAction, { minLength: 10, maxLength: 60 }), async (actions) => {
        const target = await twoCpusIn64BitMode(build);
        const allowed = [0, 1].map(() => [0, 1, 2].map(() => new Allowed(0)));
        for (let page = 0; page < 3; page++) map(target, page, 0);
        for (const { cpu, page, kind, frame, isGlobal } of actions) {
          const mine = allowed[cpu]!;
          if (kind === "map") {
            map(target, page, frame, ALL | (isGlobal ? GLOBAL : 0n));
            for (const each of allowed) each[page]!.map(frame, isGlobal);
          } else if (kind === "read") {
            expect(mine[page]!.frames).toContain(readPage(target, cpu, page));
          } else if (kind === "invlpg") {
            stepAt(target, cpu, INVLPG, page);
            mine[page]!.flush(false);
          } else if (kind === "cr3") {
            stepAt(target, cpu, LOAD_CR3);
            for (const each of mine) each.flush(true);
          } else {
            target.vcpus[cpu]!.gpr.rdx = target.vcpus[cpu]!.control.cr4 ^ 0x80n;
            stepAt(target, cpu, LOAD_CR4);
            for (const each of mine) each.flush(false);
          }
        }
        target.dispose();
      }),
      { numRuns: 60, seed: 20161210 },
    );
  });

  it("use what the other has looked up", async () => {
    const target = await twoCpusIn64BitMode(build);
    map(target, 0, 1);
    expect(readPage(target, 0, 0)).toBe(1);
    map(target, 0, 2);
    // Allowed, and the reason why hundreds of CPUs do not take each other's places in the TLB.
    expect(readPage(target, 1, 0)).toBe(1);
  });

  /** Loads CR3 with what is in it. */
  function reload(target: Machine, n: number): void {
    expect(stepAt(target, n, LOAD_CR3).exception).toBeUndefined();
  }

  it("see an accessed bit that was cleared set again, once they have flushed", async () => {
    const target = await twoCpusIn64BitMode(build);
    const entry = PT + FIRST_PAGE * 8;
    const accessed = (): boolean => (readU64(target, entry) & 0x20n) !== 0n;
    for (let i = 0; i < 3; i++) {
      map(target, 0, 1);
      expect(readPage(target, 0, 0)).toBe(1);
      // The walk was the other's in the first round, and is this one's own after that.
      reload(target, 1);
      expect(readPage(target, 1, 0)).toBe(1);
      expect(accessed()).toBe(true);
    }
  });

  it("see a new mapping of the last of many pages, once they have flushed", async () => {
    const target = await twoCpusIn64BitMode(build);
    for (let pages = 1; pages <= 24; pages++) {
      for (let page = 0; page < pages; page++) {
        map(target, page, 1);
        readPage(target, 0, page);
      }
      map(target, pages - 1, 2);
      reload(target, 1);
      expect(readPage(target, 1, pages - 1)).toBe(2);
    }
  });

  it("see the first table again that stood in a directory for a while, once they have flushed", async () => {
    const target = await twoCpusIn64BitMode(build);
    const [first, other] = [readU64(target, PD), 0x6000n | ALL];
    for (let page = 0; page < 512; page++)
      writeU64(target, 0x6000 + page * 8, readU64(target, PT + page * 8) | ALL);
    writeU64(target, 0x6000 + (FIRST_PAGE + 1) * 8, BigInt((FIRST_FRAME + 3) << 12) | ALL);
    map(target, 0, 1);
    map(target, 1, 2);
    map(target, 2, 0);
    expect(readPage(target, 0, 0)).toBe(1);
    writeU64(target, PD, other);
    expect(readPage(target, 0, 1)).toBe(3);
    writeU64(target, PD, first);
    // A walk that finds the first table again makes the page of the other one no younger.
    expect(readPage(target, 0, 2)).toBe(0);
    reload(target, 0);
    expect(readPage(target, 0, 1)).toBe(2);
  });

  it("see other code at a page that was mapped anew, once they have flushed", async () => {
    const target = await twoCpusIn64BitMode(build);
    const code = (FIRST_PAGE + 4) << 12;
    target.writeMemory((FIRST_FRAME + 1) << 12, hex("b8 01 00 00 00"));
    target.writeMemory((FIRST_FRAME + 2) << 12, hex("b8 02 00 00 00"));
    for (const frame of [1, 2, 1, 1, 2]) {
      map(target, 4, frame);
      for (const n of [0, 1]) {
        reload(target, n);
        expect(stepAt(target, n, code).exception).toBeUndefined();
        expect(target.vcpus[n]!.gpr.rax).toBe(BigInt(frame));
      }
    }
  });

  it("go on with the code that stands there now, behind MOV CR3", async () => {
    const target = await twoCpusIn64BitMode(build);
    const code = (FIRST_PAGE + 4) << 12;
    // mov cr3, rcx; mov eax, 1 or 2; jmp to itself, each in a frame of its own.
    target.writeMemory((FIRST_FRAME + 1) << 12, hex("0f 22 d9 b8 01 00 00 00 eb fe"));
    target.writeMemory((FIRST_FRAME + 2) << 12, hex("0f 22 d9 b8 02 00 00 00 eb fe"));
    target.writeMemory(CODE + 0x60, hex("eb fe"));
    const [cpu, idle] = target.vcpus;
    idle!.rip = BigInt(CODE + 0x60);
    for (const frame of [1, 2, 1, 1, 2]) {
      // The instruction itself comes from the page as it was before.
      cpu!.rip = BigInt(code);
      cpu!.gpr.rbx = BigInt((FIRST_PAGE + 4) << 12);
      cpu!.gpr.rcx = PML4;
      cpu!.gpr.rax = 0n;
      map(target, 4, frame);
      target.run({ maxInstructions: 20_000 });
      expect(cpu!.gpr.rax).toBe(BigInt(frame));
    }
  });

  it("see a new mapping when they have flushed, in a machine made of a snapshot", async () => {
    const target = await twoCpusIn64BitMode(build);
    map(target, 0, 1);
    expect(readPage(target, 0, 0)).toBe(1);
    const fork = await Machine.restore(target.snapshot(), { build });
    map(fork, 0, 2);
    expect(readPage(fork, 1, 0)).toBe(1);
    reload(fork, 1);
    expect(readPage(fork, 1, 0)).toBe(2);
  });

  it.each([
    {
      title: "CR0.WP",
      bits: PRESENT,
      at: WRITE,
      set: (cpu: Vcpu) => (cpu.control.cr0 |= 0x10000n),
    },
    { title: "CR4.SMAP", bits: ALL, at: READ, set: (cpu: Vcpu) => (cpu.control.cr4 |= 0x200000n) },
    {
      title: "EFER.NXE",
      bits: ALL | NX,
      at: READ,
      // Without it the bit is reserved.
      set: (cpu: Vcpu) => (cpu.control.efer &= ~0x800n),
    },
  ])("keep the rules of their own $title", async ({ bits, at, set }) => {
    const target = await twoCpusIn64BitMode(build);
    const [first, second] = target.vcpus;
    for (const vcpu of target.vcpus) vcpu.control.efer |= 0x800n;
    // The handler and the stack stay supervisor pages where SMAP matters.
    for (let page = 0; page < 512; page++)
      writeU64(target, PT + page * 8, BigInt(page << 12) | (ALL & ~USER));
    map(target, 0, 0, bits);
    set(second!);
    first!.setSegment("gs", {});
    second!.setSegment("gs", {});
    for (let i = 0; i < 3; i++) {
      expect(stepAt(target, 0, at).exception).toBeUndefined();
      expect(stepAt(target, 1, at).exception?.vector).toBe(PF);
    }
  });

  it("keep their own PDPTEs", async () => {
    const target = await twoCpus(build);
    const directories = [0x3000, 0x5000];
    writeU64(target, GDT + DATA, 0x00cf93000000ffffn);
    writeU64(target, GDT + CODE32, 0x00cf9b000000ffffn);
    for (const [n, directory] of directories.entries()) {
      writeU64(target, directory, BigInt(0x6000 + n * 0x1000) | 3n);
      for (let page = 0; page < 256; page++)
        writeU64(target, 0x6000 + n * 0x1000 + page * 8, BigInt(page << 12) | 3n);
      const frame = (FIRST_FRAME + n) << 12;
      writeU64(target, 0x6000 + n * 0x1000 + FIRST_PAGE * 8, BigInt(frame) | 3n);
      writeU64(target, frame, BigInt(FIRST_FRAME + n));
    }
    for (const [n, vcpu] of target.vcpus.entries()) {
      vcpu.control.cr0 = 0x11n;
      vcpu.control.cr4 = 0x20n;
      const flat = { base: 0n, limit: 0xffffffff };
      vcpu.setSegment("cs", { ...flat, selector: CODE32, accessRights: 0xc09b });
      for (const name of ["ds", "es", "ss"] as const)
        vcpu.setSegment(name, { ...flat, selector: DATA, accessRights: 0xc093 });
      writeU64(target, 0x2000, BigInt(directories[n]!) | 1n);
      vcpu.gpr.rcx = 0x2000n;
      vcpu.gpr.rbp = 0x80000011n;
      for (const rip of [LOAD_CR3, LOAD_CR0]) {
        vcpu.rip = BigInt(rip);
        expect(target.step(n).exception).toBeUndefined();
      }
    }
    // A PDPTE in memory means nothing until CR3 is loaded; then it counts, though no table has changed.
    for (const [i, shown] of [0, 0, 1].entries()) {
      if (i === 2) {
        for (const [n, vcpu] of target.vcpus.entries()) {
          writeU64(target, 0x2000, BigInt(directories[1 - n]!) | 1n);
          vcpu.rip = BigInt(LOAD_CR3);
          vcpu.gpr.rcx = 0x2000n;
          expect(target.step(n).exception).toBeUndefined();
        }
      }
      for (const [n, vcpu] of target.vcpus.entries()) {
        vcpu.rip = BigInt(READ) + 1n; // without REX.W: mov eax, [ebx]
        vcpu.gpr.rbx = BigInt(FIRST_PAGE << 12);
        target.step(n);
        expect(vcpu.gpr.rax).toBe(BigInt(FIRST_FRAME + (n ^ shown)));
      }
    }
  });
});
