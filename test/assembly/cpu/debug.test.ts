/**
 * Single step and breakpoints where they meet other rules: SYSCALL, repeated strings, MOV SS, I/O, and what RF does.
 * Source: SDM 3B "Debug Exceptions", SDM 3A "Masking Exceptions and Interrupts When Switching Stacks".
 */
import { describe, expect, it } from "vitest";
import type { Machine, Vcpu } from "../../../src/index.js";
import { BUILDS, hex, readU64, type Build } from "../../support/machine.js";
import {
  CODE,
  DATA,
  HANDLER_BYTES,
  HANDLERS,
  interrupt,
  worldOf,
  type WorldName,
} from "../../support/worlds.js";

const TF = 0x100n;
const RF = 0x10000n;
const DB = 1;
const BS = 1n << 14n;

/** DR7: breakpoint `n` enabled, with its R/W and LEN fields. */
const enable = (n: number, kind: number, length = 1) =>
  (1n << BigInt(n * 2)) |
  (BigInt(kind) << BigInt(16 + n * 4)) |
  (BigInt({ 1: 0, 2: 1, 8: 2, 4: 3 }[length]!) << BigInt(18 + n * 4));
const ON_EXECUTE = 0;
const ON_WRITE = 1;
const ON_IO = 2;
const ON_ACCESS = 3;

async function at(build: Build, name: WorldName, code: string): Promise<[Machine, Vcpu]> {
  const target = await worldOf(build, name, hex(code));
  return [target, target.vcpus[0]!];
}

/** Vectors that the next steps deliver; 0 stands for none. */
function vectors(target: Machine, steps: number): number[] {
  return Array.from({ length: steps }, () => target.step(0).exception?.vector ?? 0);
}

/** RIP and RFLAGS that the last delivery saved, in 64-bit mode. */
function saved(vcpu: Vcpu, target: Machine): { rip: bigint; rflags: bigint } {
  const rsp = Number(vcpu.gpr.rsp);
  return { rip: readU64(target, rsp), rflags: readU64(target, rsp + 16) };
}

describe.each(BUILDS)("single step (%s)", (build) => {
  async function withSyscall(code: string, ring: 0 | 3, mask: bigint): Promise<[Machine, Vcpu]> {
    const [target, vcpu] = await at(build, `64-bit ring ${ring}`, code);
    vcpu.control.efer |= 1n;
    vcpu.writeMsr(0xc0000081, (0x20n << 48n) | (0x08n << 32n));
    vcpu.writeMsr(0xc0000082, BigInt(CODE + 0x100));
    vcpu.writeMsr(0xc0000084, mask);
    return [target, vcpu];
  }

  it("does not trap after a SYSCALL that clears TF", async () => {
    const [target, vcpu] = await withSyscall("0f 05", 3, TF);
    vcpu.rflags |= TF;
    expect(vectors(target, 1)).toEqual([0]);
    expect(vcpu.rip).toBe(BigInt(CODE + 0x100));
    expect(vcpu.gpr.r11 & TF).toBe(TF);
  });

  it("traps after a SYSCALL that leaves TF", async () => {
    const [target, vcpu] = await withSyscall("0f 05", 3, 0n);
    vcpu.rflags |= TF;
    expect(vectors(target, 1)).toEqual([DB]);
    expect(saved(vcpu, target).rip).toBe(BigInt(CODE + 0x100));
  });

  it("traps right after a SYSRET that sets TF", async () => {
    const [target, vcpu] = await withSyscall("48 0f 07", 0, 0n);
    vcpu.gpr.rcx = BigInt(CODE + 0x40);
    vcpu.gpr.r11 = 0x302n;
    expect(vectors(target, 1)).toEqual([DB]);
    expect(saved(vcpu, target)).toEqual({ rip: BigInt(CODE + 0x40), rflags: 0x302n });
    expect(vcpu.debug.dr6 & BS).toBe(BS);
  });

  it("traps after every iteration of a repeated string, with RF saved but after the last", async () => {
    const [target, vcpu] = await at(build, "64-bit ring 3", "f3 aa 90"); // rep stosb; nop
    vcpu.gpr.rcx = 2n;
    vcpu.rflags |= TF;
    const seen = [];
    for (let i = 0; i < 2; i++) {
      expect(vectors(target, 1)).toEqual([DB]);
      const { rip, rflags } = saved(vcpu, target);
      seen.push([rip - BigInt(CODE), (rflags & RF) !== 0n, vcpu.gpr.rcx]);
      vcpu.debug.dr6 = 0n;
      target.writeMemory(Number(vcpu.rip), hex("48 cf")); // iretq
      target.step(0);
    }
    expect(seen).toEqual([
      [0n, true, 1n],
      [2n, false, 0n],
    ]);
  });

  it("waits for the instruction behind MOV SS", async () => {
    const [target, vcpu] = await at(build, "32-bit ring 3", "8c d0 8e d0 90 90");
    target.step(0);
    vcpu.rflags |= TF;
    expect(vectors(target, 2)).toEqual([0, DB]);
    expect(readU64(target, Number(vcpu.gpr.rsp)) & 0xffffffffn).toBe(BigInt(CODE + 5));
  });

  it("does not trap after an INT, whose gate clears TF", async () => {
    const [target, vcpu] = await at(build, "64-bit ring 3", "cc 90");
    vcpu.rflags |= TF;
    expect(vectors(target, 2)).toEqual([3, 0]);
  });
});

describe.each(BUILDS)("an interrupt between the iterations of a repeated string (%s)", (build) => {
  it("saves RF, and none after the last", async () => {
    const [target, vcpu] = await at(build, "64-bit ring 3", "f3 a4 90"); // rep movsb over a page end
    vcpu.gpr.rcx = 0x20n;
    vcpu.gpr.rsi = BigInt(DATA + 0x100);
    vcpu.gpr.rdi = BigInt(DATA + 0x1ff0);
    target.step(0);
    expect(vcpu.gpr.rcx).toBe(0x10n);
    interrupt(target, "nmi");
    target.step(0);
    const frame = Number(vcpu.gpr.rsp) + 8; // the handler has pushed RAX
    expect(readU64(target, frame)).toBe(BigInt(CODE));
    expect(readU64(target, frame + 16) & RF).toBe(RF);
  });

  it("leaves no RF behind", async () => {
    const [target, vcpu] = await at(build, "64-bit ring 3", "f3 a4 90");
    vcpu.gpr.rcx = 0x20n;
    vcpu.gpr.rdi = BigInt(DATA + 0x1ff0);
    target.run({ maxInstructions: 2 });
    expect(vcpu.rip).toBe(BigInt(CODE + 2));
    expect(vcpu.rflags & RF).toBe(0n);
  });
});

describe.each(BUILDS)("instruction breakpoints (%s)", (build) => {
  it("fault before the instruction, without RF in the saved flags", async () => {
    const [target, vcpu] = await at(build, "64-bit ring 3", "90 90 90");
    vcpu.debug.dr1 = BigInt(CODE + 1);
    vcpu.debug.dr7 = 0x400n | enable(1, ON_EXECUTE);
    expect(vectors(target, 2)).toEqual([0, DB]);
    expect(vcpu.debug.dr6 & 15n).toBe(2n);
    expect(saved(vcpu, target)).toEqual({ rip: BigInt(CODE + 1), rflags: 0x202n });
  });

  it("clear the conditions of earlier ones in DR6, and nothing else", async () => {
    const [target, vcpu] = await at(build, "64-bit ring 3", "90 90");
    vcpu.debug.dr6 = 0xffff0ff0n | BS | 2n;
    vcpu.debug.dr2 = BigInt(CODE);
    vcpu.debug.dr7 = 0x400n | enable(2, ON_EXECUTE);
    expect(vectors(target, 1)).toEqual([DB]);
    expect(vcpu.debug.dr6).toBe(0xffff0ff0n | BS | 4n);
  });

  it("do not hit the instruction behind MOV SS", async () => {
    const [target, vcpu] = await at(build, "32-bit ring 3", "8c d0 8e d0 90 90");
    vcpu.debug.dr0 = BigInt(CODE + 4);
    vcpu.debug.dr7 = 0x400n | enable(0, ON_EXECUTE);
    expect(vectors(target, 3)).toEqual([0, 0, 0]);
  });

  it("do not hit again between the iterations of a repeated string", async () => {
    const [target, vcpu] = await at(build, "64-bit ring 3", "f3 aa 90");
    vcpu.gpr.rcx = 0x20n;
    vcpu.gpr.rdi = BigInt(DATA + 0x1ff0);
    vcpu.debug.dr0 = BigInt(CODE);
    vcpu.debug.dr7 = 0x400n | enable(0, ON_EXECUTE);
    vcpu.rflags |= RF;
    expect(vectors(target, 3)).toEqual([0, 0, 0]);
    expect(vcpu.gpr.rcx).toBe(0n);
  });
});

type Hit = [
  what: string,
  code: string,
  kind: number,
  length: number,
  offset: number,
  hits: boolean,
];
/** MOV of a doubleword at DATA + 100H, and the same as a read. */
const WRITE = "89 03";
const READ = "8b 03";
const HITS: Hit[] = [
  ["a write at its first byte", WRITE, ON_WRITE, 1, 0, true],
  ["a write at its last byte", WRITE, ON_WRITE, 1, 3, true],
  ["no write behind it", WRITE, ON_WRITE, 4, 4, false],
  ["no write before it", WRITE, ON_WRITE, 1, -1, false],
  ["two bytes that the write touches with one", WRITE, ON_WRITE, 2, -2, false],
  ["four bytes, whose low address bits do not count", WRITE, ON_WRITE, 4, 2, true],
  ["eight bytes", WRITE, ON_WRITE, 8, 7, true],
  ["no read, of a breakpoint on writes", READ, ON_WRITE, 4, 0, false],
  ["a read, of a breakpoint on both", READ, ON_ACCESS, 1, 2, true],
  ["a write, of a breakpoint on both", WRITE, ON_ACCESS, 1, 2, true],
  ["a read that is part of a modification", "01 03", ON_ACCESS, 1, 0, true],
  ["a push", "50", ON_WRITE, 8, -0x100 + 0x77f8, true],
  ["a string", "a4", ON_ACCESS, 1, 0x1550 * 2, true],
];

describe.each(BUILDS)("data breakpoints (%s)", (build) => {
  it.each(HITS)("see %s", async (_, code, kind, length, offset, hits) => {
    const [target, vcpu] = await at(build, "64-bit ring 3", `${code} 90`);
    vcpu.debug.dr3 = BigInt(DATA + 0x100 + offset);
    vcpu.debug.dr7 = 0x400n | enable(3, kind, length);
    expect(vectors(target, 1)).toEqual([hits ? DB : 0]);
    expect(vcpu.debug.dr6 & 15n).toBe(hits ? 8n : 0n);
    if (hits) expect(saved(vcpu, target).rip).toBe(BigInt(CODE + code.split(" ").length));
  });

  it("of MOV SS wait for the next instruction", async () => {
    const [target, vcpu] = await at(build, "32-bit ring 3", "8c 13 8e 13 90 90"); // mov [ebx], ss; mov ss, [ebx]
    target.step(0);
    vcpu.debug.dr0 = BigInt(DATA + 0x100);
    vcpu.debug.dr7 = 0x400n | enable(0, ON_ACCESS, 2);
    expect(vectors(target, 2)).toEqual([0, DB]);
    expect(readU64(target, Number(vcpu.gpr.rsp)) & 0xffffffffn).toBe(BigInt(CODE + 5));
    expect(vcpu.debug.dr6 & 15n).toBe(1n);
  });

  /** mov [rbx], ss; mov ss, [rbx], which hits a breakpoint; then `code` */
  async function behindMovSs(code: string): Promise<[Machine, Vcpu]> {
    const [target, vcpu] = await at(build, "64-bit ring 0", `8c 13 8e 13 ${code} 90`);
    target.step(0);
    vcpu.debug.dr0 = BigInt(DATA + 0x100);
    vcpu.debug.dr7 = 0x400n | enable(0, ON_ACCESS, 2);
    expect(vectors(target, 1)).toEqual([0]);
    return [target, vcpu];
  }

  it.each([
    ["INT n", "cd 03"],
    ["INT3", "cc"],
  ])("of MOV SS wait for %s, and trap before its handler's first instruction", async (_, code) => {
    const [target, vcpu] = await behindMovSs(code);
    expect(vectors(target, 1)).toEqual([DB]);
    expect(vcpu.debug.dr6 & 15n).toBe(1n);
    expect(saved(vcpu, target).rip).toBe(BigInt(HANDLERS + 3 * HANDLER_BYTES));
  });

  it("of MOV SS join the #DB of INT1", async () => {
    const [target, vcpu] = await behindMovSs("f1");
    expect(vectors(target, 1)).toEqual([DB]);
    expect(saved(vcpu, target).rip).toBe(BigInt(CODE + 5));
    expect(vcpu.rip).toBe(BigInt(HANDLERS + DB * HANDLER_BYTES));
    expect(vcpu.debug.dr6 & 15n).toBe(1n);
    expect(vectors(target, 1)).toEqual([0]);
  });

  it("clear the conditions of earlier ones in DR6, and nothing else", async () => {
    const [target, vcpu] = await at(build, "64-bit ring 3", `${WRITE} 90`);
    vcpu.debug.dr6 = 0xffff0ff0n | BS | 6n;
    vcpu.debug.dr0 = BigInt(DATA + 0x100);
    vcpu.debug.dr7 = 0x400n | enable(0, ON_WRITE, 4);
    expect(vectors(target, 1)).toEqual([DB]);
    expect(vcpu.debug.dr6).toBe(0xffff0ff0n | BS | 1n);
  });

  it("are forgotten by an instruction that faults", async () => {
    const [target, vcpu] = await at(build, "64-bit ring 3", "ff 33"); // push [rbx], onto nothing
    vcpu.gpr.rsp = 0x9000n;
    vcpu.debug.dr0 = BigInt(DATA + 0x100);
    vcpu.debug.dr7 = 0x400n | enable(0, ON_ACCESS, 8);
    expect(vectors(target, 1)).toEqual([14]);
    expect(vcpu.debug.dr6 & 15n).toBe(0n);
  });

  it("join a single step in one trap", async () => {
    const [target, vcpu] = await at(build, "64-bit ring 3", `${WRITE} 90`);
    vcpu.debug.dr0 = BigInt(DATA + 0x100);
    vcpu.debug.dr7 = 0x400n | enable(0, ON_WRITE, 4);
    vcpu.rflags |= TF;
    expect(vectors(target, 1)).toEqual([DB]);
    expect(vcpu.debug.dr6 & (BS | 15n)).toBe(BS | 1n);
  });
});

describe.each(BUILDS)("I/O breakpoints (%s)", (build) => {
  const rows: [what: string, code: string, cr4: bigint, hits: boolean][] = [
    ["hit OUT with CR4.DE", "e6 80", 8n, true],
    ["hit IN with CR4.DE", "e4 80", 8n, true],
    ["hit a wider access that covers the port", "e5 7e", 8n, true],
    ["do not hit another port", "e6 81", 8n, false],
    ["do not exist without CR4.DE", "e6 80", 0n, false],
  ];
  it.each(rows)("%s", async (_, code, cr4, hits) => {
    const [target, vcpu] = await at(build, "32-bit ring 0", `${code} 90`);
    vcpu.control.cr4 |= cr4;
    vcpu.debug.dr2 = 0x80n;
    vcpu.debug.dr7 = 0x400n | enable(2, ON_IO);
    expect(vectors(target, 1)).toEqual([hits ? DB : 0]);
    if (hits) expect(vcpu.debug.dr6 & 15n).toBe(4n);
  });
});

describe.each(BUILDS)("access to debug registers (%s)", (build) => {
  const rows: [
    what: string,
    name: WorldName,
    code: string,
    dr7: bigint,
    cr4: bigint,
    vector: number,
  ][] = [
    ["DR4 is DR6", "64-bit ring 0", "0f 21 e0", 0n, 0n, 0],
    ["DR4 is #UD with CR4.DE", "64-bit ring 0", "0f 21 e0", 0n, 8n, 6],
    ["DR5 is #UD with CR4.DE also in ring 3", "64-bit ring 3", "0f 21 e8", 0n, 8n, 6],
    ["ring 3 takes #GP, whatever GD", "64-bit ring 3", "0f 21 c0", 0x2000n, 0n, 13],
    ["virtual-8086 mode takes #GP", "v86", "0f 21 c0", 0n, 0n, 13],
    ["GD takes #DB", "32-bit ring 0", "0f 21 c0", 0x2000n, 0n, DB],
    ["GD takes #DB in real-address mode", "real", "0f 23 f8", 0x2000n, 0n, DB],
    ["DR8 is #UD", "64-bit ring 0", "44 0f 21 c0", 0n, 0n, 6],
  ];
  it.each(rows)("%s", async (_, name, code, dr7, cr4, vector) => {
    const [target, vcpu] = await at(build, name, code);
    vcpu.control.cr4 |= cr4;
    vcpu.debug.dr7 = 0x400n | dr7;
    expect(vectors(target, 1)).toEqual([vector]);
    if (vector === DB) {
      expect(vcpu.debug.dr6 & 0x2000n).toBe(0x2000n);
      expect(vcpu.debug.dr7 & 0x2000n).toBe(0n);
    }
  });
});
