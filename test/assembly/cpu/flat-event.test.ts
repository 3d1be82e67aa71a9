/**
 * The short way of flat 32-bit kernels into handlers and back (cpu/flat-event.ts) against the exact one, in situations
 * drawn at random around the conditions of the short way.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Machine } from "../../../src/index.js";
import { expectAgreement, type Patch } from "../../support/agreement.js";
import { BUILDS, CODE, GDT, hex, IDT, machine, type Build } from "../../support/machine.js";

const PAGE_DIRECTORY = 0x3000;
const PAGE_TABLE = 0x4000;
const TSS = 0xa000;
const HANDLER = CODE + 0x800;
const STACK = 0x70000;
const STEPS = 12;
const UD = 6;
const GP = 13;

// Selectors.
const CODE32 = 0x08;
const DATA = 0x10;
const USER_CODE = 0x18 | 3;
const USER_DATA = 0x20 | 3;
const CONFORMING = 0x28;
const CODE16 = 0x30;
const SHORT_CODE = 0x38;
const FRESH_CODE = 0x40;
const ABSENT_CODE = 0x48;
const BEYOND_GDT = 0x60;
const DESCRIPTORS: readonly (readonly [selector: number, raw: bigint])[] = [
  [CODE32, 0x00cf9b000000ffffn],
  [DATA, 0x00cf93000000ffffn],
  [USER_CODE, 0x00cffb000000ffffn],
  [USER_DATA, 0x00cff3000000ffffn],
  [CONFORMING, 0x00cf9f000000ffffn],
  [CODE16, 0x008f9b000000ffffn],
  [SHORT_CODE, 0x00419b000000ffffn],
  [FRESH_CODE, 0x00cf9a000000ffffn],
  [ABSENT_CODE, 0x00cf1b000000ffffn],
];
const SELECTORS = [...DESCRIPTORS.map(([selector]) => selector), 0, CODE32 | 3, BEYOND_GDT];

function writeDescriptor(target: Machine, selector: number, raw: bigint): void {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, raw, true);
  target.writeMemory(GDT + (selector & ~7), bytes);
}

interface Gate {
  type?: number;
  dpl?: number;
  present?: boolean;
  selector?: number;
}

function writeGate(target: Machine, vector: number, gate: Gate): void {
  const { type = 14, dpl = 0, present = true, selector = CODE32 } = gate;
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, HANDLER & 0xffff, true);
  view.setUint16(2, selector, true);
  view.setUint16(4, ((present ? 0x80 : 0) | (dpl << 5) | type) << 8, true);
  view.setUint16(6, HANDLER >>> 16, true);
  target.writeMemory(IDT + vector * 8, bytes);
}

function writeDword(target: Machine, gpa: number, value: number): void {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  target.writeMemory(gpa, bytes);
}

/** Flat segments, the first 4 MiB mapped one to one for everybody, every exception led to HANDLER. */
async function prepare(build: Build, code: string, handler: string): Promise<Machine> {
  const target = await machine(build, { memoryBytes: 1 << 20 });
  const vcpu = target.vcpus[0]!;
  for (const [selector, raw] of DESCRIPTORS) writeDescriptor(target, selector, raw);
  for (let page = 0; page < 1024; page++)
    writeDword(target, PAGE_TABLE + page * 4, page * 4096 + 7);
  writeDword(target, PAGE_DIRECTORY, PAGE_TABLE + 7);
  for (let vector = 0; vector < 32; vector++) writeGate(target, vector, {});
  writeDword(target, TSS + 4, 0x60000);
  writeDword(target, TSS + 8, DATA);
  target.writeMemory(CODE, hex(code));
  target.writeMemory(HANDLER, hex(handler));
  vcpu.gdtr = { base: BigInt(GDT), limit: 0x5f };
  vcpu.idtr = { base: BigInt(IDT), limit: 0xff };
  vcpu.control.cr3 = BigInt(PAGE_DIRECTORY);
  vcpu.control.cr0 = 0x80000011n;
  const flat = { base: 0n, limit: 0xffffffff };
  vcpu.setSegment("cs", { ...flat, selector: CODE32, accessRights: 0xc09b });
  for (const name of ["ds", "es", "ss"] as const)
    vcpu.setSegment(name, { ...flat, selector: DATA, accessRights: 0xc093 });
  vcpu.setSegment("tr", { selector: 0x50, base: BigInt(TSS), limit: 0x67, accessRights: 0x8b });
  vcpu.rip = BigInt(CODE);
  vcpu.gpr.rsp = BigInt(STACK);
  return target;
}

function enterRing3(target: Machine): void {
  const vcpu = target.vcpus[0]!;
  const flat = { base: 0n, limit: 0xffffffff };
  vcpu.setSegment("ss", { ...flat, selector: USER_DATA, accessRights: 0xc0f3 });
  vcpu.setSegment("cs", { ...flat, selector: USER_CODE, accessRights: 0xc0fb });
}

const anyGate = fc
  .record(
    {
      type: fc.constantFrom(14, 14, 15, 12, 6, 5, 0),
      dpl: fc.constantFrom(0, 3),
      present: fc.constantFrom(true, true, true, false),
      selector: fc.constantFrom(CODE32, USER_CODE, ...SELECTORS),
    },
    { requiredKeys: [] },
  )
  .map(
    (gate): Patch =>
      (target) =>
        [UD, GP].forEach((vector) => writeGate(target, vector, gate)),
  );
const anyStackPointer = fc.oneof(
  fc.integer({ min: STACK - 64, max: STACK + 64 }),
  fc.constantFrom(0, 4, 12, 16, 0xfffffff4, 0xfffffff8, 0x12340000),
);
const anyDescriptorBit = fc
  .tuple(
    fc.constantFrom(CODE32, DATA, USER_CODE),
    fc.constantFrom(40, 41, 42, 43, 45, 47, 54, 55, 16),
  )
  .map(([selector, bit]): Patch => {
    const [, raw] = DESCRIPTORS.find(([each]) => each === selector)!;
    return (target) => writeDescriptor(target, selector, raw ^ (1n << BigInt(bit)));
  });
const anyLimit = fc.oneof(
  fc.constantFrom(0xe, 0xf, 0x1f).map(
    (limit): Patch =>
      (target) =>
        (target.vcpus[0]!.gdtr = { base: BigInt(GDT), limit }),
  ),
  fc.constantFrom(0x36, 0x37, 0x6e, 0x6f).map(
    (limit): Patch =>
      (target) =>
        (target.vcpus[0]!.idtr = { base: BigInt(IDT), limit }),
  ),
);
/** A page of the IDT, the GDT or the stack that loses a right or its accessed bits; both machines flush. */
const anyPage = fc
  .tuple(fc.constantFrom(0x8, 0x9, 0xa, 0x6f, 0x70), fc.constantFrom(0, 1, 2, 5, 6))
  .map(([page, bit]): Patch => (target) => {
    writeDword(target, PAGE_TABLE + page * 4, (page * 4096 + 7) ^ (1 << bit));
    target.vcpus[0]!.setSegment("gs", {});
  });
/** A stack that is not flat, or of 16 bits. */
const anyStack = fc
  .record({
    base: fc.constantFrom(0n, 0x100n),
    limit: fc.constantFrom(0xffffffff, STACK - 1, 0xffff),
    db: fc.boolean(),
  })
  .map(({ base, limit, db }): Patch => (target) => {
    const { accessRights } = target.vcpus[0]!.segment("ss");
    const rights = db ? accessRights : accessRights & ~0x4000;
    target.vcpus[0]!.setSegment("ss", { base, limit, accessRights: rights });
  });
/** TF has its own tests. */
const anyFlags = fc.integer({ min: 0, max: 0x3fffff }).map((flags) => (flags & ~0x100) | 2);
const anyPatch = fc.oneof(
  anyGate,
  anyDescriptorBit,
  anyLimit,
  anyPage,
  anyStack,
  anyFlags.map((flags): Patch => (target) => {
    target.vcpus[0]!.rflags = BigInt(flags & ~0x24000); // VM and NT are not the host's to set here
  }),
);
/** Mostly none: the short way needs a step or two to find all it needs in the TLB. */
const anyPatches = fc.array(fc.option(anyPatch, { nil: undefined, freq: 2 }), { maxLength: STEPS });

describe.each(BUILDS)("32-bit gates and IRETD on the short way, %s build", (build) => {
  it.each([
    ["an exception without error code", "0f 0b", "cf", 101],
    // mov ds, ax: #GP(selector); add esp, 4; iret
    ["an exception with error code", "8e d8", "83 c4 04 cf", 102],
    ["INT n", "cd 06 eb fc", "cf", 103],
  ])("do what the exact way does: %s, and back", async (_, code, handler, seed) => {
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.constantFrom(0, 3),
        anyStackPointer,
        anyFlags,
        anyPatches,
        async (isUser, dpl, esp, flags, patches) => {
          const create = async () => {
            const target = await prepare(build, code, handler);
            const vcpu = target.vcpus[0]!;
            writeGate(target, UD, { dpl, ...(isUser ? { selector: USER_CODE } : {}) });
            if (isUser) enterRing3(target);
            vcpu.gpr.rsp = BigInt(esp);
            vcpu.gpr.rax = 0x1000n;
            vcpu.rflags = BigInt(flags & ~0x24000);
            return target;
          };
          await expectAgreement(create, patches, STEPS);
        },
      ),
      { numRuns: 60, seed },
    );
  });

  it("do what the exact way does: IRETD from any frame", async () => {
    const frame = fc.tuple(
      fc.constantFrom(CODE, CODE, 0xffff, 0x20000, 0xfffffff0),
      fc.oneof(fc.constantFrom(CODE32, USER_CODE), fc.constantFrom(...SELECTORS)),
      anyFlags,
      anyStackPointer,
      fc.constantFrom(DATA, USER_DATA, 0),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.constantFrom(STACK, STACK - 4, STACK - 12, STACK + 3),
        frame,
        anyPatches,
        async (isUser, esp, words, patches) => {
          const create = async () => {
            const target = await prepare(build, "cf", "cf");
            if (isUser) enterRing3(target);
            target.vcpus[0]!.gpr.rsp = BigInt(esp);
            words.forEach((word, i) => writeDword(target, esp + i * 4, word));
            return target;
          };
          await expectAgreement(create, [undefined, ...patches], STEPS);
        },
      ),
      { numRuns: 80, seed: 104 },
    );
  });

  it("refuse INT n by the DPL of its gate", async () => {
    const target = await prepare(build, "cd 06 eb fc", "cf");
    writeGate(target, UD, { dpl: 3, selector: USER_CODE });
    enterRing3(target);
    for (let step = 0; step < 6; step++) target.step(0); // all that the short way needs is in the TLB now
    expect(target.step(0).exception).toEqual({ vector: UD, hasErrorCode: false });
    target.step(0);
    target.step(0);
    writeGate(target, UD, { dpl: 2, selector: USER_CODE });
    expect(target.step(0).exception).toEqual({ vector: GP, hasErrorCode: true });
  });

  it("save and restore what they should", async () => {
    const target = await prepare(build, "cd 06 f4", "cf");
    const vcpu = target.vcpus[0]!;
    for (let round = 0; round < 3; round++) {
      vcpu.rip = BigInt(CODE);
      vcpu.rflags = 0x602n | BigInt(round); // IF; CF in one round
      target.step(0);
      expect(vcpu.rip).toBe(BigInt(HANDLER));
      expect(vcpu.rflags & 0x200n).toBe(0n);
      expect(vcpu.gpr.rsp).toBe(BigInt(STACK - 12));
      const view = new DataView(target.readMemory(STACK - 12, 12).buffer);
      const words = [0, 4, 8].map((at) => view.getUint32(at, true));
      expect(words).toEqual([CODE + 2, CODE32, 0x602 | (round & 1)]);
      target.step(0);
      expect(vcpu.rip).toBe(BigInt(CODE + 2));
      expect(vcpu.rflags & 0xfffn).toBe(0x602n | BigInt(round & 1));
      expect(vcpu.gpr.rsp).toBe(BigInt(STACK));
    }
  });
});
