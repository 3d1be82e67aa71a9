/**
 * The short way through gates and IRETQ (cpu/fast-event.ts) against the exact one, which an empty TLB enforces.
 *
 * One machine steps as it is; the other loses its TLB before each step. In situations drawn at random around the
 * conditions of the short way, both must agree on every register and every byte after each step.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Machine } from "../../../src/index.js";
import { expectAgreement, type Patch } from "../../support/agreement.js";
import {
  BUILDS,
  CODE,
  CODE64,
  DATA,
  GDT,
  hex,
  IDT,
  longMode,
  PT,
  readU64,
  writeU64,
  type Build,
} from "../../support/machine.js";

const USER_DATA = 0x20 | 3;
const USER_CODE = 0x28 | 3;
const USER_CONFORMING = 0x30 | 3;
const BEYOND_GDT = 0x60;
const TSS = 0xa000;
/** Copies of both tables, which a patch may change and switch to. */
const OTHER_GDT = GDT + 0x800;
const OTHER_IDT = IDT + 0x800;
const HANDLER = CODE + 0x800;
const UD = 6;
const GP = 13;
const VECTORS = 32;
const STEPS = 9;

/** Segments of rings 0 and 3, a TSS, and every exception led to HANDLER by an interrupt gate. */
async function prepare(build: Build, code: string, handler: string): Promise<Machine> {
  const target = await longMode(build, code, { memoryBytes: 1 << 20 });
  const vcpu = target.vcpus[0]!;
  writeU64(target, GDT + (USER_DATA & ~7), 0x00cff3000000ffffn);
  writeU64(target, GDT + (USER_CODE & ~7), 0x00affb000000ffffn);
  writeU64(target, GDT + (USER_CONFORMING & ~7), 0x00afff000000ffffn);
  vcpu.gdtr = { base: BigInt(GDT), limit: 0x5f };
  vcpu.setSegment("tr", { selector: 0x50, base: BigInt(TSS), limit: 0x67, accessRights: 0x8b });
  for (let i = 0; i < 13; i++) writeU64(target, TSS + 4 + i * 8, BigInt(0x60000 + i * 0x1000));
  for (let vector = 0; vector < VECTORS; vector++) writeGate(target, vector, {});
  target.writeMemory(HANDLER, hex(handler));
  return target;
}

interface Gate {
  type?: number;
  dpl?: number;
  present?: boolean;
  ist?: number;
  selector?: number;
  high?: bigint;
}

function writeGate(target: Machine, vector: number, gate: Gate): void {
  const { type = 14, dpl = 0, present = true, ist = 0, selector = CODE64, high = 0n } = gate;
  const rights = BigInt((present ? 0x80 : 0) | (dpl << 5) | type);
  const low =
    BigInt(HANDLER & 0xffff) |
    (BigInt(selector) << 16n) |
    (BigInt(ist) << 32n) |
    (rights << 40n) |
    (BigInt(HANDLER >>> 16) << 48n);
  writeU64(target, IDT + vector * 16, low);
  writeU64(target, IDT + vector * 16 + 8, high);
}

function enterRing3(target: Machine): void {
  const vcpu = target.vcpus[0]!;
  vcpu.setSegment("ss", { selector: USER_DATA, base: 0n, limit: 0xffffffff, accessRights: 0xc0f3 });
  vcpu.setSegment("cs", { selector: USER_CODE, base: 0n, limit: 0xffffffff, accessRights: 0xa0fb });
}

const descriptorBit = (selector: number, bit: number): Patch => {
  const gpa = GDT + (selector & ~7);
  return (target) => writeU64(target, gpa, readU64(target, gpa) ^ (1n << BigInt(bit)));
};
/** Bits of a code or data descriptor from its accessed bit up: type, S, DPL, P, L, D/B. */
const anyDescriptorBit = fc
  .tuple(
    fc.constantFrom(CODE64, DATA, USER_CODE, USER_DATA, USER_CONFORMING),
    fc.constantFrom(40, 41, 42, 43, 44, 45, 46, 47, 53, 54),
  )
  .map(([selector, bit]) => descriptorBit(selector, bit));
const anyGate = fc
  .record(
    {
      type: fc.constantFrom(14, 14, 15, 12, 0),
      dpl: fc.integer({ min: 0, max: 3 }),
      present: fc.constantFrom(true, true, true, false),
      ist: fc.integer({ min: 0, max: 7 }),
      selector: fc.constantFrom(
        CODE64,
        CODE64 | 3,
        DATA,
        USER_CODE,
        USER_CONFORMING,
        0,
        BEYOND_GDT,
      ),
      high: fc.constantFrom(0n, 0xffff_ffffn, 0x1_0000n, 0x1234_5678_0000_0000n),
    },
    { requiredKeys: [] },
  )
  .map(
    (gate): Patch =>
      (target) =>
        [UD, GP].forEach((vector) => writeGate(target, vector, gate)),
  );
const anyStackPointer = fc.oneof(
  fc.integer({ min: 0x6f00, max: 0x7100 }).map(BigInt),
  fc.constantFrom(0x70000n, 0x70008n, 0x70013n, 0x28n, 0x0000_8000_0000_0020n, -8n, -0x80n),
);
const anyTssStack = fc.tuple(fc.integer({ min: 0, max: 12 }), anyStackPointer).map(
  ([slot, value]): Patch =>
    (target) =>
      writeU64(target, TSS + 4 + slot * 8, value),
);
const anyLimit = fc.oneof(
  fc.constantFrom(0xf, 0x27, 0x2f, 0x37).map(
    (limit): Patch =>
      (target) =>
        (target.vcpus[0]!.gdtr = { base: BigInt(GDT), limit }),
  ),
  fc.constantFrom(0x5f, 0x6e, 0x6f, 0xde, 0xdf).map(
    (limit): Patch =>
      (target) =>
        (target.vcpus[0]!.idtr = { base: BigInt(IDT), limit }),
  ),
);
/** The same selectors and vectors in other tables, which differ by a bit. */
const anyTable = fc
  .tuple(
    fc.boolean(),
    fc.constantFrom(CODE64, DATA, USER_CODE, USER_DATA),
    fc.constantFrom(3, 16, 40, 42, 44, 45, 46, 47, 53),
  )
  .map(([isIdt, selector, bit]): Patch => (target) => {
    const vcpu = target.vcpus[0]!;
    const from = Number(isIdt ? vcpu.idtr.base : vcpu.gdtr.base);
    const [first, second] = isIdt ? [IDT, OTHER_IDT] : [GDT, OTHER_GDT];
    const to = from === first ? second : first;
    target.writeMemory(to, target.readMemory(from, isIdt ? VECTORS * 16 : 0x60));
    const at = to + (isIdt ? UD * 16 : selector & ~7);
    writeU64(target, at, readU64(target, at) ^ (1n << BigInt(bit)));
    if (isIdt) vcpu.idtr = { base: BigInt(to), limit: vcpu.idtr.limit };
    else vcpu.gdtr = { base: BigInt(to), limit: vcpu.gdtr.limit };
  });
/** A page of the stack, the IDT or the GDT that loses a right or its accessed bits; both machines flush. */
const anyPage = fc
  .tuple(fc.constantFrom(0x6, 0x7, 0x8, 0x9, 0xa, 0x6f, 0x70), fc.constantFrom(0, 1, 2, 5, 6))
  .map(([page, bit]): Patch => (target) => {
    writeU64(target, PT + page * 8, readU64(target, PT + page * 8) ^ (1n << BigInt(bit)));
    target.vcpus[0]!.setSegment("gs", {});
  });
const anyFlags = fc
  .integer({ min: 0, max: 0x3fffff })
  // TF has its own tests; VM cannot be set in IA-32e mode.
  .map((flags) => BigInt((flags & ~0x20100) | 2));
const anyPatch = fc.oneof(
  anyDescriptorBit,
  anyGate,
  anyTssStack,
  anyLimit,
  anyTable,
  anyPage,
  anyFlags.map((flags): Patch => (target) => {
    // NT and IOPL are the guest's to keep; the rest changes.
    target.vcpus[0]!.rflags = flags & ~0x4000n;
  }),
);
/** Mostly none: the short way needs a step or two to find all it needs in the TLB. */
const patchesFrom = (patch: fc.Arbitrary<Patch>) =>
  fc.array(fc.option(patch, { nil: undefined, freq: 2 }), { maxLength: STEPS });

describe.each(BUILDS)("gates and IRETQ on the short way, %s build", (build) => {
  it("do what the exact way does: an exception without error code, and back", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        anyStackPointer,
        anyFlags,
        patchesFrom(anyPatch),
        async (isUser, rsp, flags, patches) => {
          const create = async () => {
            const target = await prepare(build, "0f 0b", "48 cf");
            if (isUser) enterRing3(target);
            target.vcpus[0]!.gpr.rsp = rsp;
            target.vcpus[0]!.rflags = flags & ~0x4000n;
            return target;
          };
          await expectAgreement(create, patches, STEPS);
        },
      ),
      { numRuns: 50, seed: 20161207 },
    );
  });

  it("do what the exact way does: INT n, which the gate's DPL may refuse, and back", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        anyStackPointer,
        fc.integer({ min: 0, max: 3 }),
        patchesFrom(anyPatch),
        async (isUser, rsp, dpl, patches) => {
          const create = async () => {
            const target = await prepare(build, "cd 06 eb fc", "48 cf"); // L: int 6; jmp L
            writeGate(target, UD, { dpl });
            if (isUser) enterRing3(target);
            target.vcpus[0]!.gpr.rsp = rsp;
            return target;
          };
          await expectAgreement(create, patches, STEPS);
        },
      ),
      { numRuns: 50, seed: 20161210 },
    );
  });

  it("do what the exact way does: an exception with error code, and back", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        anyStackPointer,
        patchesFrom(anyPatch),
        async (isUser, rsp, patches) => {
          const create = async () => {
            // MOV CR0, RAX with bit 63 set, or from ring 3; ADD RSP, 8; IRETQ.
            const target = await prepare(build, "0f 22 c0", "48 83 c4 08 48 cf");
            if (isUser) enterRing3(target);
            target.vcpus[0]!.gpr.rsp = rsp;
            target.vcpus[0]!.gpr.rax = 1n << 63n;
            return target;
          };
          await expectAgreement(create, patches, STEPS);
        },
      ),
      { numRuns: 40, seed: 20161208 },
    );
  });

  it("do what the exact way does: IRETQ from any frame", async () => {
    const selector = fc.constantFrom(
      CODE64,
      DATA,
      USER_CODE,
      USER_DATA,
      USER_CONFORMING,
      0,
      1,
      3,
      CODE64 | 3,
      CODE64 | 4,
      BEYOND_GDT,
    );
    const frame = fc.tuple(
      fc.constantFrom(BigInt(CODE), BigInt(CODE), BigInt(CODE), 0x0000_8000_0000_0000n, -1n),
      fc.oneof(fc.constantFrom(CODE64, USER_CODE), selector),
      anyFlags,
      anyStackPointer,
      fc.oneof(fc.constantFrom(DATA, USER_DATA), selector),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.constantFrom(0x7000n, 0x6fd8n, 0x6fd0n, 0x7003n),
        fc.boolean(),
        frame,
        patchesFrom(fc.oneof(anyDescriptorBit, anyLimit, anyTable, anyPage)),
        async (isUser, rsp, returnsToItself, [rip, cs, flags, outerRsp, ss], patches) => {
          const create = async () => {
            const target = await prepare(build, "48 cf", "f4");
            const next = returnsToItself ? rsp : outerRsp;
            const words = [rip, BigInt(cs), flags, next, BigInt(ss)];
            words.forEach((word, i) => writeU64(target, Number(rsp) + i * 8, word));
            if (isUser) enterRing3(target);
            target.vcpus[0]!.gpr.rsp = rsp;
            return target;
          };
          await expectAgreement(create, patches, STEPS);
        },
      ),
      { numRuns: 60, seed: 20161209 },
    );
  });

  it("read the IDT and the GDT anew for each event", async () => {
    const target = await prepare(build, "0f 0b", "48 cf");
    const vcpu = target.vcpus[0]!;
    for (let i = 0; i < 6; i++) target.step(0);
    target.step(0);
    expect(vcpu.rip).toBe(BigInt(HANDLER));
    target.step(0);
    writeGate(target, UD, { type: 15 });
    vcpu.rflags |= 0x200n;
    target.step(0);
    expect(vcpu.rflags & 0x200n).toBe(0x200n); // a trap gate now
    target.step(0);
    descriptorBit(CODE64, 47)(target); // not present: #NP, whose own delivery fails: shutdown
    expect(target.step(0).reason).toBe("shutdown");
    target.dispose();
  });

  /** UD2 at CODE and IRETQ at HANDLER, three times there and back. */
  async function entered(): Promise<Machine> {
    const target = await prepare(build, "0f 0b", "48 cf");
    for (let i = 0; i < 6; i++) target.step(0);
    expect(target.vcpus[0]!.rip).toBe(BigInt(CODE));
    return target;
  }

  const unmap = (target: Machine, gva: number) => {
    const entry = PT + (gva >> 12) * 8;
    writeU64(target, entry, readU64(target, entry) & ~1n);
    target.vcpus[0]!.setSegment("gs", {}); // drops the TLB
  };

  it("go by IDTR", async () => {
    const target = await entered();
    const vcpu = target.vcpus[0]!;
    target.writeMemory(OTHER_IDT, target.readMemory(IDT, VECTORS * 16));
    writeU64(target, OTHER_IDT + UD * 16, readU64(target, IDT + UD * 16) + 2n);
    vcpu.idtr = { base: BigInt(OTHER_IDT), limit: vcpu.idtr.limit };
    target.step(0);
    expect(vcpu.rip).toBe(BigInt(HANDLER + 2));
    target.dispose();
  });

  it.each(["event", "return"])("go by GDTR in the %s", async (moment) => {
    const target = await entered();
    const vcpu = target.vcpus[0]!;
    if (moment === "return") target.step(0);
    target.writeMemory(OTHER_GDT, target.readMemory(GDT, 0x60));
    writeU64(target, OTHER_GDT + CODE64, 0n);
    vcpu.gdtr = { base: BigInt(OTHER_GDT), limit: vcpu.gdtr.limit };
    expect(target.step(0).reason).toBe("shutdown");
    target.dispose();
  });

  it.each([
    ["event", "IDT", IDT],
    ["event", "GDT", GDT],
    ["return", "GDT", GDT],
  ])("translate anew in the %s after a flush: the page of the %s is gone", async (...row) => {
    const [moment, , table] = row;
    // push rax; pop rax; UD2: after the flush the TLB knows the stack again. mov qword [rsp],CODE; iretq
    const target = await prepare(build, "50 58 0f 0b", "48 c7 04 24 00 00 01 00 48 cf");
    for (let i = 0; i < (moment === "event" ? 15 : 18); i++) target.step(0);
    unmap(target, table);
    target.step(0);
    if (moment === "event") target.step(0);
    expect(target.step(0).reason).toBe("shutdown");
    target.dispose();
  });

  it("look at the limit of the GDT again in the return", async () => {
    const target = await entered();
    const vcpu = target.vcpus[0]!;
    target.step(0);
    vcpu.gdtr = { base: BigInt(GDT), limit: DATA - 1 };
    target.step(0);
    expect(vcpu.rip).toBe(BigInt(HANDLER));
    expect(readU64(target, Number(vcpu.gpr.rsp))).toBe(BigInt(DATA)); // #GP
    target.dispose();
  });

  it("look at both selectors in the return", async () => {
    const target = await entered();
    const vcpu = target.vcpus[0]!;
    target.step(0);
    writeU64(target, Number(vcpu.gpr.rsp) + 32, 0n);
    target.step(0);
    expect([vcpu.rip, vcpu.segment("ss").selector]).toEqual([BigInt(CODE), 0]);
    target.dispose();
  });

  it.each([
    ["code", CODE64],
    ["stack", DATA],
  ])("look at the %s descriptor again in the return", async (name, selector) => {
    const target = await entered();
    target.step(0);
    descriptorBit(selector, 47)(target); // not present
    // Of code it is that of the handler for this very fault, too.
    expect(target.step(0).reason === "shutdown").toBe(name === "code");
    expect(target.vcpus[0]!.rip).toBe(BigInt(HANDLER));
    target.dispose();
  });

  it("go by the level at which an event comes: the same gate on another stack", async () => {
    const target = await prepare(build, "50 58 0f 0b", "48 cf"); // push rax; pop rax; UD2
    const vcpu = target.vcpus[0]!;
    for (let i = 0; i < 9; i++) target.step(0); // in the handler for the fourth time
    // It returns to ring 3, and no host drops the TLB, which then knows that stack, too.
    const frame = Number(vcpu.gpr.rsp);
    [CODE, USER_CODE, 2, 0x7000, USER_DATA].forEach((word, i) =>
      writeU64(target, frame + i * 8, BigInt(word)),
    );
    for (let i = 0; i < 3; i++) target.step(0);
    expect(vcpu.cpl).toBe(3);
    target.step(0);
    expect([vcpu.cpl, vcpu.gpr.rsp]).toEqual([0, 0x60000n - 40n]);
    target.dispose();
  });

  it("go by the level from which a return comes: the same segments from another", async () => {
    const target = await prepare(build, "48 cf 0f 0b", "48 cf"); // IRETQ; UD2
    const vcpu = target.vcpus[0]!;
    const frame = [BigInt(CODE), BigInt(USER_CODE), 2n, 0x7000n, BigInt(USER_DATA)];
    frame.forEach((word, i) => writeU64(target, 0x7000 + i * 8, word));
    enterRing3(target);
    vcpu.gpr.rsp = 0x7000n;
    for (let i = 0; i < 4; i++) target.step(0);
    vcpu.rip += 2n;
    target.step(0);
    expect(vcpu.cpl).toBe(0);
    target.step(0);
    expect([vcpu.cpl, vcpu.rip]).toEqual([3, BigInt(CODE + 2)]);
    target.dispose();
  });

  it("refuse INT n by the DPL of its gate", async () => {
    const target = await prepare(build, "cd 06 eb fc", "48 cf"); // L: int 6; jmp L
    const vcpu = target.vcpus[0]!;
    writeGate(target, UD, { dpl: 3 });
    enterRing3(target);
    for (let i = 0; i < 9; i++) target.step(0); // three times there and back
    expect(vcpu.rip).toBe(BigInt(CODE));
    writeGate(target, UD, { dpl: 0 });
    target.step(0);
    // #GP: gate 6 of the IDT, in an instruction of the program.
    expect(readU64(target, Number(vcpu.gpr.rsp))).toBe(BigInt((UD << 3) | 2));
    target.dispose();
  });

  it("leave it to the exact way to set an accessed bit", async () => {
    const target = await prepare(build, "0f 0b", "48 cf");
    enterRing3(target);
    for (let i = 0; i < 6; i++) target.step(0);
    for (const selector of [CODE64, USER_CODE, USER_DATA]) descriptorBit(selector, 40)(target);
    target.step(0);
    expect(readU64(target, GDT + CODE64) >> 40n).toBe(0xaf9bn);
    target.step(0);
    expect(readU64(target, GDT + (USER_CODE & ~7)) >> 40n).toBe(0xaffbn);
    expect(readU64(target, GDT + (USER_DATA & ~7)) >> 40n).toBe(0xcff3n);
    target.dispose();
  });
});
