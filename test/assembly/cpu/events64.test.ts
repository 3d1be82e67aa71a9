/** Events, returns, gates and fast calls of IA-32e mode, on both builds. Expectations are the manual's (SDM 2, SDM 3A). */
import { describe, expect, it } from "vitest";
import type { Machine, Vcpu } from "../../../src/index.js";
import {
  BUILDS,
  CODE,
  CODE32,
  CODE64,
  DATA,
  GDT,
  hex,
  IDT,
  longMode,
  PT,
  readU64,
  setGate64,
  STACK,
  writeU64,
  type Build,
} from "../../support/machine.js";

const USER_DATA = 0x20 | 3;
const USER_CODE = 0x28 | 3;
const CALL_GATE = 0x40;
const TSS_DESCRIPTOR = 0x50;
const TSS = 0xa000;
const RSP0 = 0x70000;
const IST1 = 0x60000;
const USER_STACK = 0x50000;
const HANDLER = CODE + 0x800;
const GP = 13;
const RF = 0x10000n;

/** 64-bit mode with user segments, a TSS with RSP0 and IST1, and a #GP gate; about to run `code` in ring 0 or 3. */
async function machineAt(build: Build, code: string, ring: 0 | 3 = 0): Promise<[Machine, Vcpu]> {
  const target = await longMode(build, code);
  const vcpu = target.vcpus[0]!;
  writeU64(target, GDT + (USER_DATA & ~7), 0x00cff3000000ffffn);
  writeU64(target, GDT + (USER_CODE & ~7), 0x00affb000000ffffn);
  writeU64(target, GDT + TSS_DESCRIPTOR, 0x0000890000000067n | (BigInt(TSS) << 16n));
  writeU64(target, GDT + TSS_DESCRIPTOR + 8, 0n);
  vcpu.gdtr = { base: BigInt(GDT), limit: 0x5f };
  vcpu.setSegment("tr", {
    selector: TSS_DESCRIPTOR,
    base: BigInt(TSS),
    limit: 0x67,
    accessRights: 0x8b,
  });
  writeU64(target, TSS + 4, BigInt(RSP0));
  writeU64(target, TSS + 0x24, BigInt(IST1));
  setGate64(target, GP, HANDLER);
  if (ring === 3) {
    vcpu.setSegment("cs", {
      selector: USER_CODE,
      base: 0n,
      limit: 0xffffffff,
      accessRights: 0xa0fb,
    });
    vcpu.setSegment("ss", {
      selector: USER_DATA,
      base: 0n,
      limit: 0xffffffff,
      accessRights: 0xc0f3,
    });
    vcpu.gpr.rsp = BigInt(USER_STACK);
  }
  return [target, vcpu];
}

/** The frame that RSP points at: error code where there is one, RIP, CS, RFLAGS, RSP, SS. */
function frame(target: Machine, hasErrorCode = false) {
  const at = Number(target.vcpus[0]!.gpr.rsp);
  const [rip, cs, rflags, rsp, ss] = [0, 1, 2, 3, 4].map((i) =>
    readU64(target, at + (i + (hasErrorCode ? 1 : 0)) * 8),
  );
  return { at, error: hasErrorCode ? readU64(target, at) : undefined, rip, cs, rflags, rsp, ss };
}

/** Steps once and expects #GP with an error code, reported at `rip`. */
function expectGp(target: Machine, error: number, rip: number): void {
  expect(target.step(0).exception).toEqual({ vector: GP, hasErrorCode: true });
  expect(frame(target, true)).toMatchObject({ error: BigInt(error), rip: BigInt(rip) });
}

const expectHandler = (vcpu: Vcpu) => expect(vcpu.rip).toBe(BigInt(HANDLER));

describe.each(BUILDS)("delivery in 64-bit mode (%s)", (build) => {
  it("pushes SS:RSP at the same level too, on a stack aligned to 16 bytes", async () => {
    const [target, vcpu] = await machineAt(build, "cd 40");
    setGate64(target, 0x40, HANDLER);
    vcpu.gpr.rsp = BigInt(STACK - 4);
    vcpu.rflags = 0x202n;
    target.step(0);
    expect(frame(target)).toMatchObject({
      at: STACK - 16 - 40,
      rip: BigInt(CODE + 2),
      cs: BigInt(CODE64),
      rflags: 0x202n,
      rsp: BigInt(STACK - 4),
      ss: BigInt(DATA),
    });
    expect(vcpu.rflags).toBe(2n);
    expect(vcpu.segment("ss").selector).toBe(DATA);
    expectHandler(vcpu);
  });

  it("takes the stack of the interrupt stack table", async () => {
    const [target] = await machineAt(build, "cd 40");
    setGate64(target, 0x40, HANDLER);
    writeU64(target, IDT + 0x40 * 16, readU64(target, IDT + 0x40 * 16) | (1n << 32n));
    target.step(0);
    expect(frame(target)).toMatchObject({ at: IST1 - 40, ss: BigInt(DATA) });
  });

  it("takes RSP0 and a null SS from ring 3", async () => {
    const [target, vcpu] = await machineAt(build, "0f 0b", 3);
    setGate64(target, 6, HANDLER);
    target.step(0);
    expect(frame(target)).toMatchObject({
      at: RSP0 - 40,
      cs: BigInt(USER_CODE),
      ss: BigInt(USER_DATA),
      rsp: BigInt(USER_STACK),
    });
    expect(vcpu.segment("ss").selector).toBe(0);
    expect(vcpu.segment("cs").selector).toBe(CODE64);
  });

  it("pushes RF for a fault and not for INT n", async () => {
    const [target] = await machineAt(build, "0f 0b");
    setGate64(target, 6, HANDLER);
    target.step(0);
    expect(frame(target).rflags! & RF).toBe(RF);
    const [other] = await machineAt(build, "cd 06");
    setGate64(other, 6, HANDLER);
    other.step(0);
    expect(frame(other).rflags! & RF).toBe(0n);
  });

  it("refuses INT n through a gate of ring 0 from ring 3, at the instruction", async () => {
    const [target] = await machineAt(build, "cd 40", 3);
    setGate64(target, 0x40, HANDLER);
    expectGp(target, 0x40 * 8 + 2, CODE);
  });

  it("sets EXT when an exception meets an absent gate, and not when INT n does", async () => {
    const [target] = await machineAt(build, "0f 0b");
    setGate64(target, 6, HANDLER);
    setGate64(target, 11, HANDLER);
    writeU64(target, IDT + 6 * 16, readU64(target, IDT + 6 * 16) & ~(1n << 47n));
    target.step(0);
    expect(frame(target, true).error).toBe(6n * 8n + 3n);
    const [other] = await machineAt(build, "cd 06");
    setGate64(other, 6, HANDLER);
    setGate64(other, 11, HANDLER);
    writeU64(other, IDT + 6 * 16, readU64(other, IDT + 6 * 16) & ~(1n << 47n));
    other.step(0);
    expect(frame(other, true)).toMatchObject({ error: 6n * 8n + 2n, rip: BigInt(CODE) });
  });

  it("raises #GP(EXT) for a handler that is not canonical", async () => {
    const [target] = await machineAt(build, "0f 0b");
    setGate64(target, 6, HANDLER);
    writeU64(target, IDT + 6 * 16 + 8, 0x8000n);
    expectGp(target, 1, CODE);
  });

  it("refuses a 32-bit code segment as handler", async () => {
    const [target] = await machineAt(build, "cd 40");
    setGate64(target, 0x40, HANDLER);
    const gate = readU64(target, IDT + 0x40 * 16);
    writeU64(target, IDT + 0x40 * 16, (gate & ~0xffff0000n) | (BigInt(CODE32) << 16n));
    expectGp(target, CODE32, CODE);
  });

  it("makes a page fault on the handler's stack a double fault, with CR2 of the second", async () => {
    const [target, vcpu] = await machineAt(build, "a1 00 f0 1f 00 00 00 00 00"); // mov eax,[0x1ff000]
    writeU64(target, PT + 0x1ff * 8, 0n);
    writeU64(target, PT + 0x7f * 8, 0n);
    setGate64(target, 14, HANDLER);
    setGate64(target, 8, HANDLER);
    writeU64(target, IDT + 8 * 16, readU64(target, IDT + 8 * 16) | (1n << 32n));
    expect(target.step(0).exception?.vector).toBe(8);
    expect(frame(target, true)).toMatchObject({ at: IST1 - 48, error: 0n, rip: BigInt(CODE) });
    expect(vcpu.control.cr2).toBe(BigInt(STACK - 8));
    expect(vcpu.gpr.rax).toBe(0n);
  });

  it("shuts down when the double fault cannot be delivered", async () => {
    const [target] = await machineAt(build, "0f 0b");
    target.vcpus[0]!.idtr = { base: BigInt(IDT), limit: 0 };
    expect(target.step(0).reason).toBe("shutdown");
  });

  it("traps after the instruction that began with TF", async () => {
    const [target, vcpu] = await machineAt(build, "90 90");
    setGate64(target, 1, HANDLER);
    vcpu.rflags = 0x102n;
    target.step(0);
    expect(frame(target)).toMatchObject({ rip: BigInt(CODE + 1), rflags: 0x102n });
    expect(vcpu.rflags).toBe(2n);
    expect(vcpu.debug.dr6 & 0x4000n).toBe(0x4000n);
  });
});

/** Pushes an IRETQ frame below RSP. */
function pushFrame(
  target: Machine,
  rip: number | bigint,
  cs: number,
  rflags: number,
  rsp: number,
  ss: number,
): void {
  const at = STACK - 40;
  [rip, cs, rflags, rsp, ss].forEach((value, i) => writeU64(target, at + i * 8, BigInt(value)));
  target.vcpus[0]!.gpr.rsp = BigInt(at);
}

describe.each(BUILDS)("IRETQ (%s)", (build) => {
  const IRETQ = "48 cf";

  it("goes to ring 3, with flags by the rights of ring 0", async () => {
    const [target, vcpu] = await machineAt(build, IRETQ);
    pushFrame(target, HANDLER, USER_CODE, 0x3246, USER_STACK, USER_DATA);
    target.step(0);
    expect(vcpu.segment("cs").selector).toBe(USER_CODE);
    expect(vcpu.segment("ss").selector).toBe(USER_DATA);
    expect(vcpu.gpr.rsp).toBe(BigInt(USER_STACK));
    expect(vcpu.rflags).toBe(0x3246n);
    expectHandler(vcpu);
  });

  it("nulls data segments that ring 3 may not use", async () => {
    const [target, vcpu] = await machineAt(build, IRETQ);
    vcpu.setSegment("es", {
      selector: USER_DATA,
      base: 0n,
      limit: 0xffffffff,
      accessRights: 0xc0f3,
    });
    pushFrame(target, HANDLER, USER_CODE, 2, USER_STACK, USER_DATA);
    target.step(0);
    expect(vcpu.segment("ds").selector).toBe(0);
    expect(vcpu.segment("es").selector).toBe(USER_DATA);
  });

  it("accepts a null SS for 64-bit code of ring 0 and refuses it for ring 3", async () => {
    const [target, vcpu] = await machineAt(build, IRETQ);
    pushFrame(target, HANDLER, CODE64, 2, STACK, 0);
    target.step(0);
    expectHandler(vcpu);
    expect(vcpu.segment("ss").selector).toBe(0);
    const [other] = await machineAt(build, IRETQ);
    pushFrame(other, HANDLER, USER_CODE, 2, USER_STACK, 3);
    expectGp(other, 0, CODE);
  });

  it("refuses NT, a RIP that is not canonical, and SS of another ring", async () => {
    const [nested, vcpu] = await machineAt(build, IRETQ);
    vcpu.rflags = 0x4002n;
    expectGp(nested, 0, CODE);
    const [target] = await machineAt(build, IRETQ);
    pushFrame(target, 1n << 47n, USER_CODE, 2, USER_STACK, USER_DATA);
    expectGp(target, 0, CODE);
    const [other] = await machineAt(build, IRETQ);
    pushFrame(other, HANDLER, USER_CODE, 2, USER_STACK, DATA);
    expectGp(other, DATA, CODE);
  });
});

describe.each(BUILDS)("SYSCALL, SYSRET (%s)", (build) => {
  async function withSyscall(code: string, ring: 0 | 3): Promise<[Machine, Vcpu]> {
    const [target, vcpu] = await machineAt(build, code, ring);
    vcpu.control.efer |= 1n;
    vcpu.writeMsr(0xc0000081, (0x0018n << 48n) | (BigInt(CODE64) << 32n)); // STAR: SYSRET's CS is 18H + 16
    vcpu.writeMsr(0xc0000082, BigInt(HANDLER));
    vcpu.writeMsr(0xc0000084, 0x200n);
    return [target, vcpu];
  }

  it("enters ring 0 at LSTAR and masks RFLAGS", async () => {
    const [target, vcpu] = await withSyscall("0f 05", 3);
    vcpu.rflags = 0x247n;
    target.step(0);
    expectHandler(vcpu);
    expect([vcpu.gpr.rcx, vcpu.gpr.r11, vcpu.rflags]).toEqual([BigInt(CODE + 2), 0x247n, 0x47n]);
    expect(vcpu.segment("cs")).toMatchObject({ selector: CODE64, accessRights: 0xa09b });
    expect(vcpu.segment("ss")).toMatchObject({ selector: DATA, accessRights: 0xc093 });
  });

  it("is #UD without EFER.SCE", async () => {
    const [target] = await machineAt(build, "0f 05");
    setGate64(target, 6, HANDLER);
    expect(target.step(0).exception?.vector).toBe(6);
  });

  it("returns to ring 3: 64-bit code with REX.W, compatibility mode without", async () => {
    const [target, vcpu] = await withSyscall("48 0f 07", 0);
    vcpu.gpr.rcx = BigInt(HANDLER);
    vcpu.gpr.r11 = 0x10246n;
    target.step(0);
    expectHandler(vcpu);
    expect(vcpu.rflags).toBe(0x246n);
    expect(vcpu.segment("cs")).toMatchObject({ selector: USER_CODE, accessRights: 0xa0fb });
    expect(vcpu.segment("ss").selector).toBe(USER_DATA);
    const [other, compat] = await withSyscall("0f 07", 0);
    compat.gpr.rcx = 0xf_00000000n + BigInt(HANDLER);
    other.step(0);
    expectHandler(compat);
    expect(compat.segment("cs")).toMatchObject({ selector: 0x1b, accessRights: 0xc0fb });
  });

  it("refuses a RCX that is not canonical while still in ring 0", async () => {
    const [target, vcpu] = await withSyscall("48 0f 07", 0);
    vcpu.gpr.rcx = 1n << 47n;
    expectGp(target, 0, CODE);
    expect(frame(target, true).cs).toBe(BigInt(CODE64));
  });
});

describe.each(BUILDS)("SYSENTER, SYSEXIT (%s)", (build) => {
  it("enter and leave ring 0 by the MSRs", async () => {
    const [target, vcpu] = await machineAt(build, "0f 34", 3);
    target.writeMemory(HANDLER, hex("48 0f 35"));
    vcpu.writeMsr(0x174, BigInt(CODE64));
    vcpu.writeMsr(0x175, BigInt(RSP0));
    vcpu.writeMsr(0x176, BigInt(HANDLER));
    vcpu.rflags = 0x202n;
    vcpu.gpr.rcx = BigInt(USER_STACK);
    vcpu.gpr.rdx = BigInt(CODE);
    target.step(0);
    expectHandler(vcpu);
    expect([vcpu.gpr.rsp, vcpu.rflags]).toEqual([BigInt(RSP0), 2n]);
    target.step(0);
    expect([vcpu.gpr.rsp, vcpu.rip]).toEqual([BigInt(USER_STACK), BigInt(CODE)]);
    expect(vcpu.segment("cs").selector).toBe((CODE64 + 32) | 3);
    expect(vcpu.segment("ss").selector).toBe((CODE64 + 40) | 3);
  });

  it("refuses SYSENTER with a null IA32_SYSENTER_CS", async () => {
    const [target] = await machineAt(build, "0f 34", 3);
    expectGp(target, 0, CODE);
  });
});

describe.each(BUILDS)("far transfers of IA-32e mode (%s)", (build) => {
  /** A far pointer m16:32 at 20000H, and the call gate to 64-bit code of ring 0. */
  async function withPointer(
    code: string,
    selector: number,
    offset: number,
    ring: 0 | 3,
  ): Promise<[Machine, Vcpu]> {
    const [target, vcpu] = await machineAt(build, code, ring);
    writeU64(target, 0x20000, BigInt(offset) | (BigInt(selector) << 32n));
    const gate =
      (BigInt(HANDLER) & 0xffffn) |
      (BigInt(CODE64) << 16n) |
      (0xecn << 40n) |
      (BigInt(HANDLER >>> 16) << 48n);
    writeU64(target, GDT + CALL_GATE, gate);
    writeU64(target, GDT + CALL_GATE + 8, 0n);
    return [target, vcpu];
  }
  const CALL_FAR = "ff 1c 25 00 00 02 00";
  const JMP_FAR = "ff 2c 25 00 00 02 00";

  it("calls through a 64-bit gate onto RSP0 with a null SS", async () => {
    const [target, vcpu] = await withPointer(CALL_FAR, CALL_GATE | 3, 0, 3);
    target.step(0);
    expectHandler(vcpu);
    expect(vcpu.gpr.rsp).toBe(BigInt(RSP0 - 32));
    expect([0, 8, 16, 24].map((at) => readU64(target, RSP0 - 32 + at))).toEqual(
      [CODE + 7, USER_CODE, USER_STACK, USER_DATA].map(BigInt),
    );
    expect(vcpu.segment("ss").selector).toBe(0);
  });

  it("raises #GP with the gate's selector when the high half has a type", async () => {
    const [target] = await withPointer(CALL_FAR, CALL_GATE | 3, 0, 3);
    writeU64(target, GDT + CALL_GATE + 8, 1n << 40n);
    expectGp(target, CALL_GATE, CODE);
  });

  it("pushes two doublewords for a far call of 32-bit operand size", async () => {
    const [target, vcpu] = await withPointer(CALL_FAR, CODE64, HANDLER, 0);
    target.step(0);
    expectHandler(vcpu);
    expect(readU64(target, STACK - 8)).toBe(BigInt(CODE + 7) | (BigInt(CODE64) << 32n));
  });

  it("enters compatibility mode by a far jump", async () => {
    const [target, vcpu] = await withPointer(JMP_FAR, CODE32, HANDLER, 0);
    target.writeMemory(HANDLER, hex("48 90")); // dec eax; nop
    target.step(0);
    target.step(0);
    expect([vcpu.rip, vcpu.gpr.rax]).toEqual([BigInt(HANDLER + 1), 0xffffffffn]);
  });

  it("refuses code with both L and D", async () => {
    const [target] = await withPointer(JMP_FAR, CODE32, HANDLER, 0);
    writeU64(target, GDT + CODE32, 0x00ef9b000000ffffn);
    expectGp(target, CODE32, CODE);
  });

  it("returns to ring 3 by RETFQ and releases parameters on both stacks", async () => {
    const [target, vcpu] = await machineAt(build, "48 ca 10 00"); // retfq 16
    [HANDLER, USER_CODE, 0, 0, USER_STACK, USER_DATA].forEach((value, i) =>
      writeU64(target, STACK - 48 + i * 8, BigInt(value)),
    );
    vcpu.gpr.rsp = BigInt(STACK - 48);
    target.step(0);
    expectHandler(vcpu);
    expect(vcpu.gpr.rsp).toBe(BigInt(USER_STACK + 16));
    expect(vcpu.segment("cs").selector).toBe(USER_CODE);
  });
});

describe.each(BUILDS)("selectors in 64-bit mode (%s)", (build) => {
  it("LTR reads 16 bytes and marks the TSS busy", async () => {
    const [target, vcpu] = await machineAt(build, "0f 00 d8"); // ltr ax
    writeU64(target, GDT + TSS_DESCRIPTOR + 8, 0xffff8000n);
    vcpu.gpr.rax = BigInt(TSS_DESCRIPTOR);
    target.step(0);
    expect(vcpu.segment("tr").base).toBe(0xffff8000_00000000n + BigInt(TSS));
    expect((readU64(target, GDT + TSS_DESCRIPTOR) >> 40n) & 0xffn).toBe(0x8bn);
  });

  it("LTR refuses a busy TSS and a base that is not canonical", async () => {
    const [target, vcpu] = await machineAt(build, "0f 00 d8");
    writeU64(target, GDT + TSS_DESCRIPTOR + 8, 0x8000n);
    vcpu.gpr.rax = BigInt(TSS_DESCRIPTOR);
    expectGp(target, TSS_DESCRIPTOR, CODE);
    const [other, busy] = await machineAt(build, "0f 00 d8");
    writeU64(other, GDT + TSS_DESCRIPTOR, readU64(other, GDT + TSS_DESCRIPTOR) | (2n << 40n));
    busy.gpr.rax = BigInt(TSS_DESCRIPTOR);
    expectGp(other, TSS_DESCRIPTOR, CODE);
  });

  it("MOV SS takes null in ring 0 and refuses it in ring 3", async () => {
    const [target, vcpu] = await machineAt(build, "8e d0"); // mov ss,eax
    target.step(0);
    expect([vcpu.segment("ss").selector, vcpu.rip]).toEqual([0, BigInt(CODE + 2)]);
    const [other] = await machineAt(build, "8e d0", 3);
    expectGp(other, 0, CODE);
  });

  it("a null GS has base 0", async () => {
    const [target, vcpu] = await machineAt(build, "8e e8"); // mov gs,eax
    vcpu.setSegment("gs", {
      selector: DATA,
      base: 0x1234n,
      limit: 0xffffffff,
      accessRights: 0xc093,
    });
    target.step(0);
    expect(vcpu.segment("gs")).toMatchObject({ selector: 0, base: 0n });
  });
});
