/**
 * Every right of every paging-structure entry, under every control bit, for every kind of access: paging-model.ts says
 * what must happen. The code that makes the accesses, its stacks and tables are mapped apart from the page.
 */
import { describe, expect, it } from "vitest";
import type { Machine, Vcpu } from "../../../src/index.js";
import { BUILDS, machine, writeU64, readU64, hex, type Build } from "../../support/machine.js";
import {
  ACCESSED,
  DIRTY,
  LARGE,
  NX,
  pageFault,
  type Access,
  type Controls,
  type Entry,
  type PagingName,
} from "./paging-model.js";

// Physical memory: tables of the code, tables of the page, IDT, GDT, TSS, code of ring 0 and 3, the page itself.
const ROOT = 0x1000;
const CODE_TABLES = [0x2000, 0x3000, 0x4000] as const;
const PAGE_TABLES = [0x5000, 0x6000, 0x7000] as const;
const IDT = 0x8000;
const GDT = 0x9000;
const TSS = 0xa000;
const STACK = 0xc000;
const KERNEL_CODE = 0xd000;
const USER_CODE = 0xe000;
const PAGE = 0x400000;

const READ = 0; // offsets of the instructions in both code pages
const WRITE = 0x10;
const LOAD_ES = 0x20;
/** Of the descriptor in the page. */
const LDT_SELECTOR = 0x0fn;
/** What the page begins with, and what is written to it. */
const NOP = 0x90n;
const ENTRY_BYTES = { "32-bit": 4, PAE: 8, "4-level": 8 } as const;

interface Setup {
  paging: PagingName;
  /** Linear address of the page: its own entry of the root. */
  gva: bigint;
  /** Levels from the root to the leaf, by the bit where the index begins; PDPTEs of PAE are registers. */
  shifts: readonly number[];
}

const SETUPS: Record<string, Setup> = {
  "32-bit, 4 KiB": { paging: "32-bit", gva: 0x40000000n, shifts: [22, 12] },
  "32-bit, 4 MiB": { paging: "32-bit", gva: 0x40000000n, shifts: [22] },
  "PAE, 4 KiB": { paging: "PAE", gva: 0x40000000n, shifts: [21, 12] },
  "PAE, 2 MiB": { paging: "PAE", gva: 0x40000000n, shifts: [21] },
  "4-level, 4 KiB": { paging: "4-level", gva: 0x80_00000000n, shifts: [39, 30, 21, 12] },
  "4-level, 2 MiB": { paging: "4-level", gva: 0x80_00000000n, shifts: [39, 30, 21] },
  "4-level, 1 GiB": { paging: "4-level", gva: 0x80_00400000n, shifts: [39, 30] },
};

class World {
  readonly target: Machine;
  readonly vcpu: Vcpu;
  readonly setup: Setup;
  /** Guest-physical address of each entry on the way to the page. */
  readonly places: number[] = [];

  constructor(target: Machine, setup: Setup) {
    this.target = target;
    this.vcpu = target.vcpus[0]!;
    this.setup = setup;
    this.build();
  }

  put(gpa: number, entry: bigint): void {
    if (this.setup.paging !== "32-bit") writeU64(this.target, gpa, entry);
    else {
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setUint32(0, Number(entry), true);
      this.target.writeMemory(gpa, bytes);
    }
  }

  get(gpa: number): bigint {
    const value = readU64(this.target, gpa);
    return this.setup.paging === "32-bit" ? value & 0xffffffffn : value;
  }

  private build(): void {
    const { target, setup } = this;
    const bytes = ENTRY_BYTES[setup.paging];
    // The code: identity mapped, user pages for the user's code alone.
    const isDeep = setup.paging === "4-level";
    const lastTable = isDeep
      ? CODE_TABLES[2]
      : setup.paging === "PAE"
        ? CODE_TABLES[1]
        : CODE_TABLES[0];
    if (isDeep) {
      this.put(ROOT, BigInt(CODE_TABLES[0]) | 7n);
      this.put(CODE_TABLES[0], BigInt(CODE_TABLES[1]) | 7n);
      this.put(CODE_TABLES[1], BigInt(CODE_TABLES[2]) | 7n);
    } else if (setup.paging === "PAE") {
      this.put(ROOT, BigInt(CODE_TABLES[0]) | 1n);
      this.put(ROOT + 8, BigInt(PAGE_TABLES[0]) | 1n);
      this.put(CODE_TABLES[0], BigInt(CODE_TABLES[1]) | 7n);
    } else this.put(ROOT, BigInt(CODE_TABLES[0]) | 7n);
    for (let at = 0; at < 0x10000; at += 0x1000)
      this.put(lastTable + (at / 0x1000) * bytes, BigInt(at) | (at === USER_CODE ? 7n : 3n));
    // The page: one table a level; PAE's first is named by its PDPTE.
    const indexMask = setup.paging === "32-bit" ? 0x3ffn : 0x1ffn;
    let table = setup.paging === "PAE" ? PAGE_TABLES[0] : ROOT;
    let next = setup.paging === "PAE" ? 1 : 0;
    for (const shift of setup.shifts) {
      this.places.push(table + Number((setup.gva >> BigInt(shift)) & indexMask) * bytes);
      table = PAGE_TABLES[next++]!;
    }
    for (const code of [KERNEL_CODE, USER_CODE]) {
      target.writeMemory(code + READ, hex("8a 03")); // mov al, [rbx]
      target.writeMemory(code + WRITE, hex("88 03")); // mov [rbx], al
      target.writeMemory(code + LOAD_ES, hex("8e c0")); // mov es, eax
    }
    // Code and data of ring 0, then of ring 3; the page holds a data descriptor and is the LDT.
    const long = isDeep ? 0x20_0000_00000000n : 0x40_0000_00000000n;
    [
      0x8f9b000000ffffn | long,
      0xcf93000000ffffn,
      0x8ffb000000ffffn | long,
      0xcff3000000ffffn,
    ].forEach((raw, i) => writeU64(target, GDT + 8 + i * 8, raw));
    writeU64(target, PAGE, NOP);
    writeU64(target, PAGE + 8, 0xcff3000000ffffn);
    this.cpu();
  }

  private cpu(): void {
    const { vcpu, target } = this;
    const isLong = this.setup.paging === "4-level";
    const gate = BigInt(KERNEL_CODE + 0x800) | (8n << 16n) | (0x8en << 40n);
    for (const vector of [13, 14]) {
      writeU64(target, IDT + vector * (isLong ? 16 : 8), gate);
      if (isLong) writeU64(target, IDT + vector * 16 + 8, 0n);
    }
    writeU64(target, TSS + 4, BigInt(STACK) | (isLong ? 0n : 0x10n << 32n));
    vcpu.idtr = { base: BigInt(IDT), limit: isLong ? 0xfff : 0x7ff };
    vcpu.gdtr = { base: BigInt(GDT), limit: 0x2f };
    const ldt = { selector: 0x50, base: this.setup.gva, limit: 0xf, accessRights: 0x82 };
    vcpu.setSegment("ldtr", ldt);
    vcpu.setSegment("tr", { selector: 0x40, base: BigInt(TSS), limit: 0x67, accessRights: 0x8b });
    vcpu.control.cr3 = BigInt(ROOT);
  }

  /** Puts the CPU at an instruction of ring 0 or 3. */
  enter(ring: 0 | 3, rip: bigint): void {
    const { vcpu } = this;
    const long = this.setup.paging === "4-level";
    const dpl = ring << 5;
    const flat = { base: 0n, limit: 0xffffffff };
    const code = ring === 0 ? 0x08 : 0x1b;
    vcpu.setSegment("cs", {
      ...flat,
      selector: code,
      accessRights: (long ? 0xa09b : 0xc09b) | dpl,
    });
    const data = { ...flat, selector: code + 8, accessRights: 0xc093 | dpl };
    for (const name of ["ss", "ds", "es"] as const) vcpu.setSegment(name, data);
    vcpu.rip = rip;
    vcpu.gpr.rsp = BigInt(STACK);
    vcpu.gpr.rbx = this.setup.gva;
  }

  setControls({ wp, smep, smap, ac, nxe }: Controls): void {
    const { control } = this.vcpu;
    const paging = this.setup.paging;
    control.efer = (nxe ? 0x800n : 0n) | (paging === "4-level" ? 0x500n : 0n);
    control.cr4 =
      (paging === "32-bit" ? 0x10n : 0x20n) | (smep ? 1n << 20n : 0n) | (smap ? 1n << 21n : 0n);
    control.cr0 = 0x80000031n | (wp ? 0x10000n : 0n);
    this.vcpu.rflags = ac ? 0x40002n : 2n;
  }

  /** Makes an access. @returns what happened, as text */
  attempt({ kind, implicit }: Access, ring: 0 | 3): string {
    const code = ring === 0 ? KERNEL_CODE : USER_CODE;
    const { vcpu, target, setup } = this;
    const rip =
      kind === "fetch"
        ? setup.gva
        : BigInt(code + (implicit ? LOAD_ES : kind === "read" ? READ : WRITE));
    this.enter(ring, rip);
    vcpu.gpr.rax = implicit ? LDT_SELECTOR : NOP;
    vcpu.control.cr2 = 0n;
    const { exception, reason } = target.step(0);
    if (reason !== "stepped") return reason;
    if (exception === undefined) return "done";
    if (exception.vector !== 14) return `exception ${exception.vector}`;
    const error = readU64(target, Number(vcpu.gpr.rsp)) & 0xffffffffn;
    const offset = vcpu.control.cr2 - setup.gva;
    return `#PF(${error.toString(16)}) at +${offset.toString(16)}`;
  }
}

const ACCESSES: readonly [Access, 0 | 3][] = ([0, 3] as const).flatMap((ring) => [
  [{ kind: "read", user: ring === 3, implicit: false }, ring] as [Access, 0 | 3],
  [{ kind: "write", user: ring === 3, implicit: false }, ring] as [Access, 0 | 3],
  [{ kind: "fetch", user: ring === 3, implicit: false }, ring] as [Access, 0 | 3],
  [{ kind: "read", user: false, implicit: true }, ring] as [Access, 0 | 3],
]);

const ALL_CONTROLS: readonly Controls[] = Array.from({ length: 32 }, (_, bits) => ({
  wp: (bits & 1) !== 0,
  smep: (bits & 2) !== 0,
  smap: (bits & 4) !== 0,
  ac: (bits & 8) !== 0,
  nxe: (bits & 16) !== 0,
}));

/** Present, writable, user, no-execute. */
const RIGHTS = Array.from({ length: 16 }, (_, bits) => BigInt(bits & 7) | (bits & 8 ? NX : 0n));
const ALL_RIGHTS = 7n;

/** Single bits that are reserved at a level, or look as if they were. */
const SUSPECTS = [0n, 7n, 13n, 20n, 21n, 29n, 39n, 40n, 51n, 52n, 62n].map((bit) =>
  bit === 0n ? 0n : 1n << bit,
);

/** The entries with `rights` in the one at `level` and all rights in the others. */
function entriesOf(world: World, level: number, rights: bigint, suspect: bigint): Entry[] {
  const { setup } = world;
  const firstTable = setup.paging === "PAE" ? 1 : 0;
  const last = setup.shifts.length - 1;
  return setup.shifts.map((shift, i) => {
    // The GiB around the page begins at 0.
    const frame = shift === 30 ? 0 : PAGE;
    const target = i === last ? frame : PAGE_TABLES[firstTable + i]!;
    const large = i === last && shift > 12 ? LARGE : 0n;
    const extra = i === level ? rights ^ suspect : ALL_RIGHTS;
    return { shift, bits: BigInt(target) | large | extra };
  });
}

/** Tries every access; @returns what was not as the model says */
function disagreements(world: World, entries: readonly Entry[], controls: Controls): string[] {
  const { setup } = world;
  const wrong: string[] = [];
  for (const [access, ring] of ACCESSES) {
    entries.forEach(({ bits }, i) => world.put(world.places[i]!, bits));
    const error = pageFault(setup.paging, entries, access, controls);
    const offset = access.implicit ? 8 : 0;
    const expected = error === undefined ? "done" : `#PF(${error.toString(16)}) at +${offset}`;
    const got = world.attempt(access, ring);
    const marked = entries.map(({ bits }, i) => world.get(world.places[i]!) & ~bits);
    const last = entries.length - 1;
    const flags = entries.map(({ bits }, i) =>
      error === undefined
        ? (ACCESSED | (i === last && access.kind === "write" ? DIRTY : 0n)) & ~bits
        : 0n,
    );
    // A walk that fails may mark what it passed, but never the page itself.
    const areMarked =
      error === undefined ? marked.every((m, i) => m === flags[i]) : marked[last] === 0n;
    if (got === expected && areMarked) continue;
    wrong.push(
      `${JSON.stringify({ ...access, ring, ...controls })} ${entries.map((e) => e.bits.toString(16))}: ` +
        `expected ${expected}, got ${got}, marked ${marked.map((m) => m.toString(16))}`,
    );
  }
  return wrong;
}

/** Runs the model's world for all rights of one level. */
async function checkLevel(build: Build, setup: Setup, level: number): Promise<string[]> {
  const world = new World(await machine(build, { memoryBytes: 8 << 20 }), setup);
  const wrong: string[] = [];
  for (const controls of ALL_CONTROLS) {
    world.setControls(controls);
    for (const rights of RIGHTS) {
      if (setup.paging === "32-bit" && rights & NX) continue;
      world.setControls(controls);
      wrong.push(...disagreements(world, entriesOf(world, level, rights, 0n), controls));
    }
    // A reserved bit counts in a present entry, before any right.
    for (const suspect of SUSPECTS) {
      if (setup.paging === "32-bit" && suspect >= 1n << 32n) continue;
      if (!movesNothing(setup, level, suspect)) continue;
      for (const rights of [7n, 1n, 6n]) {
        world.setControls(controls);
        wrong.push(...disagreements(world, entriesOf(world, level, rights, suspect), controls));
      }
    }
    if (wrong.length > 4) break;
  }
  world.target.dispose();
  return wrong;
}

/** False for a bit that is part of the address or makes the entry another kind of entry. */
function movesNothing({ paging, shifts }: Setup, level: number, suspect: bigint): boolean {
  const shift = shifts[level]!;
  const isLarge = level === shifts.length - 1 && shift > 12;
  if (suspect === LARGE) return shift === 39;
  if (suspect === 1n << 39n) return false;
  if (paging === "32-bit") return isLarge && suspect === 1n << 21n;
  if (suspect < 1n << 40n) return isLarge && suspect < 1n << BigInt(shift);
  return true;
}

describe.each(BUILDS)("paging rights (%s)", (build) => {
  const rows = Object.entries(SETUPS).flatMap(([name, setup]) =>
    setup.shifts.map((shift, level) => [`${name}, entry of bit ${shift}`, setup, level] as const),
  );
  it.each(rows)("%s", async (_, setup, level) => {
    expect(await checkLevel(build, setup, level)).toEqual([]);
  });
});
