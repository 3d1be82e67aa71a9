/**
 * Task switches with paging on: what each way into one does to descriptors, links and flags, faults before and after the
 * switch, CR3 and the T bit. Source: SDM 3A "Task Switching", "Exception Conditions Checked During a Task Switch".
 * Without paging, and with every selector, protected-mode.test.ts compares with Bochs.
 */
import { describe, expect, it } from "vitest";
import type { Machine, Vcpu } from "../../../src/index.js";
import { BUILDS, hex, readU64, writeU64, type Build } from "../../support/machine.js";
import { CODE, DATA, HANDLERS, IDT, PT, worldOf } from "../../support/worlds.js";

const GDT = 0x9000;
const OLD = 0xa000;
/** Crosses a page in its middle: link, stacks and CR3 before, what is loaded behind. */
const NEW = 0x30fc0;
const NEW_PAGE = 0x31000;
const OLD_SELECTOR = 0x60;
const NEW_SELECTOR = 0x68;
const GATE_SELECTOR = 0x70;
const TASK_VECTOR = 0x30;
const CODE_32 = 0x10;
const DATA_32 = 0x20;
const TASK_CODE = CODE + 0x100;
const TASK_STACK = DATA + 0x4000;
const CR3 = 0x5000;
const OTHER_CR3 = 0x5040;

const NT = 0x4000;
const AVAILABLE = 9;
const BUSY = 11;

/** Offsets in a 32-bit TSS. */
const FIELD = {
  link: 0,
  cr3: 0x1c,
  eip: 0x20,
  eflags: 0x24,
  eax: 0x28,
  esp: 0x38,
  cs: 0x4c,
  ss: 0x50,
  t: 0x64,
};

function u32(target: Machine, at: number): number {
  return Number(readU64(target, at) & 0xffffffffn);
}

function put(target: Machine, at: number, value: number, bytes: 2 | 4 = 4): void {
  const data = new Uint8Array(4);
  new DataView(data.buffer).setUint32(0, value, true);
  target.writeMemory(at, data.subarray(0, bytes));
}

function describeTss(
  target: Machine,
  selector: number,
  base: number,
  type: number,
  limit = 0x67,
): void {
  const raw =
    BigInt(limit) |
    (BigInt(base & 0xffffff) << 16n) |
    (BigInt(0x80 | type) << 40n) |
    (BigInt(base >>> 24) << 56n);
  writeU64(target, GDT + selector, raw);
}

const typeOf = (target: Machine, selector: number) =>
  Number((readU64(target, GDT + selector) >> 40n) & 15n);

/** 32-bit code of ring 0 that is about to run `code`, and a second task that halts. */
async function tasks(build: Build, code: string): Promise<[Machine, Vcpu]> {
  const target = await worldOf(build, "32-bit ring 0", hex(code));
  const vcpu = target.vcpus[0]!;
  vcpu.gdtr = { base: BigInt(GDT), limit: 0x7f };
  describeTss(target, OLD_SELECTOR, OLD, BUSY);
  describeTss(target, NEW_SELECTOR, NEW, AVAILABLE);
  const gate = (BigInt(NEW_SELECTOR) << 16n) | (0x85n << 40n);
  writeU64(target, GDT + GATE_SELECTOR, gate);
  writeU64(target, IDT + TASK_VECTOR * 8, gate);
  // The directory of the second task holds the same.
  for (let i = 0; i < 4; i++) writeU64(target, OTHER_CR3 + i * 8, readU64(target, CR3 + i * 8));
  put(target, NEW + FIELD.cr3, OTHER_CR3);
  put(target, NEW + FIELD.eip, TASK_CODE);
  put(target, NEW + FIELD.eflags, 0x202);
  for (let i = 0; i < 8; i++) put(target, NEW + FIELD.eax + i * 4, 0x1000 + i);
  put(target, NEW + FIELD.esp, TASK_STACK);
  for (let i = 0; i < 6; i++) put(target, NEW + 0x48 + i * 4, DATA_32);
  put(target, NEW + FIELD.cs, CODE_32);
  target.writeMemory(TASK_CODE, hex("90 90 cf"));
  vcpu.setSegment("tr", { selector: OLD_SELECTOR });
  vcpu.gpr.rax = 0x77n;
  return [target, vcpu];
}

// jmp 68:0, call 68:0, the same through the gate, int 30H
const JUMP = "ea 00 00 00 00 68 00";
const CALL = "9a 00 00 00 00 68 00";
const WAYS: [what: string, code: string, nests: boolean][] = [
  ["JMP", JUMP, false],
  ["CALL", CALL, true],
  ["JMP through a gate", "ea 00 00 00 00 70 00", false],
  ["CALL through a gate", "9a 00 00 00 00 70 00", true],
  ["INT", "cd 30", true],
];

describe.each(BUILDS)("a task switch (%s)", (build) => {
  it.each(WAYS)("by %s", async (_, code, nests) => {
    const [target, vcpu] = await tasks(build, code);
    expect(target.step(0).reason).toBe("stepped");
    expect(vcpu.rip).toBe(BigInt(TASK_CODE));
    expect(vcpu.segment("tr")).toMatchObject({ selector: NEW_SELECTOR, base: BigInt(NEW) });
    expect(vcpu.control.cr3).toBe(BigInt(OTHER_CR3));
    expect(vcpu.control.cr0 & 8n).toBe(8n);
    expect(vcpu.rflags).toBe(BigInt(0x202 | (nests ? NT : 0)));
    expect([vcpu.gpr.rax, vcpu.gpr.rdi, vcpu.gpr.rsp]).toEqual([
      0x1000n,
      0x1007n,
      BigInt(TASK_STACK),
    ]);
    expect(typeOf(target, OLD_SELECTOR)).toBe(nests ? BUSY : AVAILABLE);
    expect(typeOf(target, NEW_SELECTOR)).toBe(BUSY);
    expect(u32(target, NEW + FIELD.link) & 0xffff).toBe(nests ? OLD_SELECTOR : 0);
    expect(u32(target, OLD + FIELD.eip)).toBe(CODE + code.split(" ").length);
    expect(u32(target, OLD + FIELD.eflags)).toBe(0x202);
    expect(u32(target, OLD + FIELD.eax)).toBe(0x77);
    expect(u32(target, OLD + FIELD.cs) & 0xffff).toBe(CODE_32);
  });

  it("back by IRET", async () => {
    const [target, vcpu] = await tasks(build, `${CALL} 90`);
    put(target, OLD + FIELD.cr3, CR3); // which a switch never saves
    put(target, OLD + 0x60, 0);
    for (let i = 0; i < 4; i++) target.step(0); // call, nop, nop, iret
    expect(vcpu.rip).toBe(BigInt(CODE + 7));
    expect(vcpu.segment("tr").selector).toBe(OLD_SELECTOR);
    expect([vcpu.gpr.rax, vcpu.rflags, vcpu.control.cr3]).toEqual([0x77n, 0x202n, BigInt(CR3)]);
    expect([typeOf(target, OLD_SELECTOR), typeOf(target, NEW_SELECTOR)]).toEqual([BUSY, AVAILABLE]);
    // Where the inner task goes on when it is called again, without NT.
    expect(u32(target, NEW + FIELD.eip)).toBe(TASK_CODE + 3);
    expect(u32(target, NEW + FIELD.eflags)).toBe(0x202);
  });

  it("keeps the local breakpoints off", async () => {
    const [target, vcpu] = await tasks(build, JUMP);
    vcpu.debug.dr0 = vcpu.debug.dr1 = 0x400000n;
    vcpu.debug.dr7 = 0x70bn;
    target.step(0);
    expect(vcpu.debug.dr7).toBe(0x60an);
  });

  it("traps behind it when T is set", async () => {
    const [target, vcpu] = await tasks(build, JUMP);
    put(target, NEW + FIELD.t, 1, 2);
    expect(target.step(0).exception?.vector).toBe(1);
    expect(vcpu.debug.dr6 & 0x8000n).toBe(0x8000n);
    expect(u32(target, Number(vcpu.gpr.rsp))).toBe(TASK_CODE);
    expect(vcpu.gpr.rsp).toBe(BigInt(TASK_STACK - 12));
  });

  it("gives the error code of the exception that made it to the new stack", async () => {
    const [target, vcpu] = await tasks(build, "0f 32"); // rdmsr of nothing
    vcpu.gpr.rcx = 0x12345n;
    writeU64(target, IDT + 13 * 8, (BigInt(NEW_SELECTOR) << 16n) | (0x85n << 40n));
    target.step(0);
    expect(vcpu.rip).toBe(BigInt(TASK_CODE));
    expect([vcpu.gpr.rsp, u32(target, TASK_STACK - 4)]).toEqual([BigInt(TASK_STACK - 4), 0]);
    expect(u32(target, OLD + FIELD.eip)).toBe(CODE);
    expect(u32(target, OLD + FIELD.eflags)).toBe(0x10202); // RF, as for any fault
  });
});

interface Refusal {
  code?: string;
  prepare: (target: Machine, vcpu: Vcpu) => void;
  vector: number;
  error: number;
  cr2?: number;
}

const absent = (page: number) => (target: Machine) => writeU64(target, PT + (page >> 12) * 8, 0n);
const readOnly = (page: number) => (target: Machine, vcpu: Vcpu) => {
  writeU64(target, PT + (page >> 12) * 8, BigInt(page) | 1n);
  vcpu.control.cr0 |= 0x10000n;
};

/** Before the switch: nothing has changed, and the instruction can be restarted. */
const REFUSALS: Record<string, Refusal> = {
  "the new TSS goes on in a page that is not there": {
    prepare: absent(NEW_PAGE),
    vector: 14,
    error: 0,
    cr2: NEW_PAGE,
  },
  "the new TSS is not there": { prepare: absent(NEW & ~0xfff), vector: 14, error: 0, cr2: NEW },
  "the link cannot be written": {
    code: CALL,
    prepare: readOnly(NEW & ~0xfff),
    vector: 14,
    error: 3,
    cr2: NEW,
  },
  "the state cannot be saved": { prepare: readOnly(OLD), vector: 14, error: 3, cr2: OLD + 0x20 },
  "the TSS is too short": {
    prepare: (target) => describeTss(target, NEW_SELECTOR, NEW, AVAILABLE, 0x66),
    vector: 10,
    error: NEW_SELECTOR,
  },
  "the TSS is busy": {
    prepare: (target) => describeTss(target, NEW_SELECTOR, NEW, BUSY),
    vector: 13,
    error: NEW_SELECTOR,
  },
  "the TSS is busy, by CALL": {
    code: CALL,
    prepare: (target) => describeTss(target, NEW_SELECTOR, NEW, BUSY),
    vector: 13,
    error: NEW_SELECTOR,
  },
  "the TSS is not present": {
    prepare: (target) => {
      const raw = readU64(target, GDT + NEW_SELECTOR);
      writeU64(target, GDT + NEW_SELECTOR, raw & ~(1n << 47n));
    },
    vector: 11,
    error: NEW_SELECTOR,
  },
  "IRET finds no busy TSS behind its link": {
    code: "cf",
    prepare: (target, vcpu) => {
      put(target, OLD, NEW_SELECTOR, 2);
      vcpu.rflags |= BigInt(NT);
    },
    vector: 10,
    error: NEW_SELECTOR,
  },
  "IRET finds a null link": {
    code: "cf",
    prepare: (_, vcpu) => (vcpu.rflags |= BigInt(NT)),
    vector: 10,
    error: 0,
  },
};

describe.each(BUILDS)("no task switch (%s)", (build) => {
  it.each(Object.entries(REFUSALS))("when %s", async (_, refusal) => {
    const [target, vcpu] = await tasks(build, refusal.code ?? JUMP);
    refusal.prepare(target, vcpu);
    const before = [typeOf(target, OLD_SELECTOR), typeOf(target, NEW_SELECTOR)];
    expect(target.step(0).exception?.vector).toBe(refusal.vector);
    expect(vcpu.rip).toBe(BigInt(HANDLERS + refusal.vector * 16));
    const frame = Number(vcpu.gpr.rsp);
    expect([u32(target, frame), u32(target, frame + 4)]).toEqual([refusal.error, CODE]);
    if (refusal.cr2 !== undefined) expect(vcpu.control.cr2).toBe(BigInt(refusal.cr2));
    expect(vcpu.segment("tr").selector).toBe(OLD_SELECTOR);
    expect(vcpu.control.cr0 & 8n).toBe(0n);
    expect([typeOf(target, OLD_SELECTOR), typeOf(target, NEW_SELECTOR)]).toEqual(before);
    expect(u32(target, OLD + FIELD.eip)).toBe(0);
  });
});

/** Behind the switch: the new task takes the fault at its first instruction. */
const AFTERWARDS: Record<
  string,
  { prepare: (target: Machine) => void; vector: number; error: number }
> = {
  "CS is data": { prepare: (t) => put(t, NEW + FIELD.cs, DATA_32), vector: 10, error: DATA_32 },
  "CS is null": { prepare: (t) => put(t, NEW + FIELD.cs, 0), vector: 10, error: 0 },
  "DS is code that cannot be read": {
    prepare: (t) => {
      writeU64(t, GDT + 0x78, 0x00cf99000000ffffn);
      put(t, NEW + 0x54, 0x78);
    },
    vector: 10,
    error: 0x78,
  },
  "ES is not present": {
    prepare: (t) => {
      writeU64(t, GDT + 0x78, 0x00cf13000000ffffn);
      put(t, NEW + 0x48, 0x78);
    },
    vector: 11,
    error: 0x78,
  },
  "the LDT is no LDT": {
    prepare: (t) => put(t, NEW + 0x60, DATA_32, 2),
    vector: 10,
    error: DATA_32,
  },
};

describe.each(BUILDS)("a fault in the new task (%s)", (build) => {
  it.each(Object.entries(AFTERWARDS))("when %s", async (_, { prepare, vector, error }) => {
    const [target, vcpu] = await tasks(build, JUMP);
    // The handler's stack is that of ring 0 in the new TSS: not all of SS may be loaded yet.
    put(target, NEW + 4, TASK_STACK);
    put(target, NEW + 8, DATA_32);
    prepare(target);
    expect(target.step(0).exception?.vector).toBe(vector);
    expect(vcpu.segment("tr").selector).toBe(NEW_SELECTOR);
    expect([typeOf(target, OLD_SELECTOR), typeOf(target, NEW_SELECTOR)]).toEqual([AVAILABLE, BUSY]);
    expect(vcpu.control.cr3).toBe(BigInt(OTHER_CR3));
    const frame = Number(vcpu.gpr.rsp);
    expect([u32(target, frame), u32(target, frame + 4)]).toEqual([error, TASK_CODE]);
  });
});
