/** What a hot loop must not hide: changing code, faults, interrupts and budgets that come at an exact instruction. */
import { describe, expect, it } from "vitest";
import { CODE, hex, longMode, PD, PT, setGate64, writeU64 } from "../../support/machine.js";
import { commonEnd } from "./every-way.js";

const HANDLER = 0xf000;

describe("a hot loop", () => {
  it("runs its code as each pass rewrites it", async () => {
    // xor eax,eax; mov ecx,200; L: inc byte [rip+1] (the immediate); add eax,imm32; dec ecx; jnz L; hlt
    const code = "31 c0 b9 c8 00 00 00 fe 05 01 00 00 00 05 00 00 00 00 ff c9 75 f1 f4";
    const end = await commonEnd((how) => longMode("release", code, how));
    expect(end).toMatchObject({ reason: "idle", rax: 20_100n });
  });

  it("runs what a store in another page of code has changed in it", async () => {
    // xor eax,eax; mov ecx,300; L: add eax,1; cmp ecx,100; jne S; mov byte [rip-7],5 (the 1); S: dec ecx; jnz L; hlt
    const code = `31 c0 b9 2c 01 00 00 83 c0 01 83 f9 64 75 07 c6 05 f3 ff ff ff 05 ff c9 75 ed f4`;
    const end = await commonEnd((how) => longMode("release", code, how));
    expect(end).toMatchObject({ reason: "idle", rax: 201n + 99n * 5n });
  });

  it("faults at the access that does, with all before it done", async () => {
    // xor eax,eax; mov esi,100000h; L: inc eax; mov rdx,[rsi]; add rsi,1000h; jmp L
    const code = "31 c0 be 00 00 10 00 ff c0 48 8b 16 48 81 c6 00 10 00 00 eb f2";
    const absent = 0x1a0000;
    const end = await commonEnd(async (how) => {
      const target = await longMode("release", code, how);
      target.writeMemory(HANDLER, hex("f4"));
      setGate64(target, 14, HANDLER);
      writeU64(target, PT + (absent >> 12) * 8, 0n);
      return target;
    });
    expect(end).toMatchObject({ reason: "idle", rax: 0xa1n });
  });

  it("writes up to a page that it must not write, and no part of a value", async () => {
    // xor eax,eax; mov edi,1ff004h; L: mov [rdi],rax; inc eax; add rdi,8; jmp L
    const code = "31 c0 bf 04 f0 1f 00 48 89 07 ff c0 48 83 c7 08 eb f5";
    const end = await commonEnd(async (how) => {
      const target = await longMode("release", code, how);
      target.writeMemory(HANDLER, hex("f4"));
      setGate64(target, 14, HANDLER);
      writeU64(target, PD + 8, 0n); // nothing from 200000H on
      return target;
    });
    // The last store would cross into it: 1ff004h + 8 * 511 + 8 > 200000h
    expect(end).toMatchObject({ reason: "idle", rax: 511n });
  });

  it.each([
    ["load", "0f 28 03"],
    ["store", "0f 29 03"],
    ["operation", "0f 54 03"], // andps xmm0,[rbx]
  ])("sees that a %s is not aligned before it walks the page tables", async (_, access) => {
    // mov ebx,20000h; mov ecx,20; L: the access; dec ecx; jnz L; mov ebx,30001h; jmp L
    const code = `bb 00 00 02 00 b9 14 00 00 00 ${access} ff c9 75 f9 bb 01 00 03 00 eb f2`;
    const entry = PT + 0x30 * 8;
    const end = await commonEnd(async (how) => {
      const target = await longMode("release", code, how);
      target.vcpus[0]!.control.cr4 |= 0x200n; // OSFXSR
      // mov rax,[entry]; hlt
      target.writeMemory(HANDLER, hex("48 8b 04 25 80 41 00 00 f4"));
      setGate64(target, 13, HANDLER);
      writeU64(target, entry, 0x30003n);
      return target;
    });
    expect(entry).toBe(0x4180);
    expect(end).toMatchObject({ reason: "idle", rax: 0x30003n }); // not accessed
  });

  it("reads a constant address where its page lies now", async () => {
    // xor ebx,ebx; xor eax,eax; L: add eax,[40010h]; mov rdx,[PTE of 40000h]; xor rdx,3000h; mov [PTE],rdx;
    // invlpg [40000h]; add eax,[40010h]; inc ebx; cmp ebx,50; jne L; hlt
    const code = `31 db 31 c0 03 04 25 10 00 04 00 48 8b 14 25 00 42 00 00 48 81 f2 00 30 00 00
      48 89 14 25 00 42 00 00 0f 01 3c 25 00 00 04 00 03 04 25 10 00 04 00 ff c3 83 fb 32 75 cc f4`;
    const end = await commonEnd(async (how) => {
      const target = await longMode("release", code, how);
      writeU64(target, PT + 0x40 * 8, 0x41007n); // and 42000H in turn
      writeU64(target, 0x41010, 3n);
      writeU64(target, 0x42010, 5n);
      return target;
    });
    expect(end).toMatchObject({ reason: "idle", rax: 50n * (3n + 5n) });
  });

  it("reads a constant address under the rights of now", async () => {
    // xor ebx,ebx; L: stac; mov eax,[40010h]; clac; inc ebx; cmp ebx,50; jne L; mov ebx,[40010h]; hlt
    const code = `31 db 0f 01 cb 8b 04 25 10 00 04 00 0f 01 ca ff c3 83 fb 32 75 ec
      8b 1c 25 10 00 04 00 f4`;
    const end = await commonEnd(async (how) => {
      const target = await longMode("release", code, how);
      target.writeMemory(HANDLER, hex("48 89 d8 f4")); // mov rax,rbx; hlt
      setGate64(target, 14, HANDLER);
      for (let page = 0; page < 512; page++) {
        writeU64(target, PT + page * 8, BigInt(page * 0x1000) | (page === 0x40 ? 7n : 3n));
      }
      target.vcpus[0]!.control.cr4 |= 1n << 21n; // SMAP
      return target;
    });
    expect(end).toMatchObject({ reason: "idle", rax: 50n });
  });

  it("stops at any budget", async () => {
    // xor eax,eax; L: inc eax; test al,1; jz S; nop; S: jmp L
    const code = "31 c0 ff c0 a8 01 74 01 90 eb f7";
    const [plain, hot] = await Promise.all([
      longMode("release", code, { translate: false }),
      longMode("release", code, { translateAfter: 1 }),
    ]);
    for (let budget = 100; budget < 160; budget++) {
      for (const target of [plain, hot]) target.run({ maxInstructions: budget });
      expect(hot.vcpus[0]!.rip).toBe(plain.vcpus[0]!.rip);
      expect(hot.vcpus[0]!.gpr.rax).toBe(plain.vcpus[0]!.gpr.rax);
    }
    expect(hot.stateHash()).toBe(plain.stateHash());
  });

  it("is interrupted by a timer at the same instruction", async () => {
    // mov ecx,838h; mov eax,1234; xor edx,edx; wrmsr (initial count); sti; L: inc rbx; jmp L
    const code = "b9 38 08 00 00 b8 d2 04 00 00 31 d2 0f 30 fb 48 ff c3 eb fb";
    const end = await commonEnd(async (how) => {
      const target = await longMode("release", code, how);
      target.writeMemory(HANDLER, hex("48 89 d8 f4")); // mov rax,rbx; hlt
      setGate64(target, 0x40, HANDLER);
      const vcpu = target.vcpus[0]!;
      vcpu.writeMsr(0x1b, 0xfee00d00n); // x2APIC mode
      vcpu.writeMsr(0x80f, 0x1ffn); // software-enabled
      vcpu.writeMsr(0x83e, 0xbn); // divide by 1
      vcpu.writeMsr(0x832, 0x40n); // one shot
      return target;
    });
    expect(end.reason).toBe("idle");
    expect(end.rax).toBeGreaterThan(500n);
  });

  it("notices code that another CPU modifies", async () => {
    // CPU 0: L: mov eax,0; test eax,eax; jz L; hlt
    const end = await commonEnd(async (how) => {
      const target = await longMode("release", "b8 00 00 00 00 85 c0 74 f7 f4", {
        cpus: 2,
        ...how,
      });
      // CPU 1, real mode: mov cx,2000; dec cx; jnz $-1; mov ax,1000h; mov ds,ax; mov byte [1],7; hlt
      target.writeMemory(0x2f000, hex("b9 d0 07 49 75 fd b8 00 10 8e d8 c6 06 01 00 07 f4"));
      const [first] = target.vcpus;
      first!.writeMsr(0x1b, 0xfee00d00n);
      first!.writeMsr(0x830, (1n << 32n) | 0x4500n); // INIT
      target.run({ maxInstructions: 10 });
      first!.writeMsr(0x830, (1n << 32n) | 0x462fn); // STARTUP
      return target;
    });
    expect(end).toMatchObject({ reason: "idle", rax: 7n });
  });

  it("follows what the host writes into its code", async () => {
    const end = await commonEnd(async (how) => {
      const target = await longMode("release", "ff c0 eb fc", how); // L: inc eax; jmp L
      target.at(5000, () => target.writeMemory(CODE + 2, hex("f4")));
      return target;
    });
    expect(end.reason).toBe("idle");
  });
});

describe("a machine", () => {
  it("interprets where the host compiles no code", async () => {
    const { Module } = WebAssembly;
    const target = await longMode("release", "b9 e8 03 00 00 ff c9 75 fc f4", {
      translateAfter: 1,
    });
    // As under a policy without "wasm-unsafe-eval".
    Object.defineProperty(WebAssembly, "Module", {
      configurable: true,
      writable: true,
      value: class {
        constructor() {
          throw new WebAssembly.CompileError("code generation is not allowed");
        }
      },
    });
    try {
      expect(target.run()).toMatchObject({ reason: "idle", instructions: 2002 });
    } finally {
      Object.defineProperty(WebAssembly, "Module", {
        configurable: true,
        writable: true,
        value: Module,
      });
    }
  });
});
