/** Interrupts in hot loops: WRMSR to the local APIC, handlers and IRETQ, CLI, STI, HLT and PAUSE. */
import { describe, expect, it } from "vitest";
import type { Machine, MachineOptions } from "../../../src/index.js";
import {
  CODE32,
  CODE64,
  GDT,
  hex,
  longMode,
  PT,
  setGate64,
  writeU64,
} from "../../support/machine.js";
import { commonEnd } from "./every-way.js";

const IPI = 0x50;
const DB = 1;
const GP = 13;

// What the handlers count at: IPIS is 20000H, FAULTS 20008H.
// push rax; push rcx; push rdx; inc qword [IPIS]; mov ecx,80Bh; xor eax,eax; xor edx,edx; wrmsr (EOI);
// pop rdx; pop rcx; pop rax; iretq
const IPI_HANDLER =
  "50 51 52 48 ff 04 25 00 00 02 00 b9 0b 08 00 00 31 c0 31 d2 0f 30 5a 59 58 48 cf";
// inc qword [FAULTS]; add qword [rsp+8],2 (beyond WRMSR); add rsp,8; iretq
const GP_HANDLER = "48 ff 04 25 08 00 02 00 48 83 44 24 08 02 48 83 c4 08 48 cf";
// inc qword [FAULTS]; and qword [rsp+10h],~100h (TF); iretq
const DB_HANDLER = "48 ff 04 25 08 00 02 00 48 81 64 24 10 ff fe ff ff 48 cf";

/** A machine in x2APIC mode with these handlers, about to run `code`. */
async function withHandlers(code: string, how: MachineOptions): Promise<Machine> {
  const target = await longMode("release", code, how);
  [IPI_HANDLER, GP_HANDLER, DB_HANDLER].forEach((handler, i) => {
    const at = 0xf000 + i * 0x100;
    target.writeMemory(at, hex(handler));
    setGate64(target, [IPI, GP, DB][i]!, at);
  });
  const vcpu = target.vcpus[0]!;
  vcpu.writeMsr(0x1b, 0xfee00d00n); // x2APIC mode
  vcpu.writeMsr(0x80f, 0x1ffn); // software-enabled
  return target;
}

describe("a hot loop with interrupts", () => {
  it("takes an IPI to itself behind the WRMSR that sends it", async () => {
    // xor esi,esi; sti; L: mov rbx,[IPIS]; mov ecx,830h; mov eax,44050h (to itself); xor edx,edx; wrmsr;
    // W: pause; cmp rbx,[IPIS]; je W; cli; inc esi; cmp esi,100; sti; jb L; mov rax,[IPIS]; cli; hlt
    const code = `31 f6 fb 48 8b 1c 25 00 00 02 00 b9 30 08 00 00 b8 50 40 04 00 31 d2 0f 30 f3 90
      48 3b 1c 25 00 00 02 00 74 f4 fa ff c6 83 fe 64 fb 72 d5 48 8b 04 25 00 00 02 00 fa f4`;
    const end = await commonEnd((how) => withHandlers(code, how));
    expect(end).toMatchObject({ reason: "idle", rax: 100n });
  });

  it("takes one that came while IF was clear at the HLT behind STI", async () => {
    // xor ebx,ebx; L: mov ecx,830h; mov eax,44050h; xor edx,edx; cli; wrmsr; sti; hlt; inc ebx; cmp ebx,60; jb L;
    // mov rax,[IPIS]; cli; hlt
    const code = `31 db b9 30 08 00 00 b8 50 40 04 00 31 d2 fa 0f 30 fb f4 ff c3 83 fb 3c 72 e8
      48 8b 04 25 00 00 02 00 fa f4`;
    const end = await commonEnd((how) => withHandlers(code, how));
    expect(end).toMatchObject({ reason: "idle", rax: 60n });
  });

  it("faults at a WRMSR that the APIC refuses", async () => {
    // xor ebx,ebx; L: mov ecx,830h; mov eax,44050h; cmp ebx,40; jb F; or eax,2000h (reserved); F: xor edx,edx; wrmsr;
    // inc ebx; cmp ebx,80; jb L; mov rax,[FAULTS]; hlt
    const code = `31 db b9 30 08 00 00 b8 50 40 04 00 83 fb 28 72 05 0d 00 20 00 00 31 d2 0f 30
      ff c3 83 fb 50 72 e1 48 8b 04 25 08 00 02 00 f4`;
    const end = await commonEnd((how) => withHandlers(code, how));
    expect(end).toMatchObject({ reason: "idle", rax: 40n });
  });

  it("steps once where IRETQ sets TF", async () => {
    // xor ebx,ebx; L: mov rax,rsp; push 10h; push rax; pushfq; test ebx,7; jnz P; or qword [rsp],100h; P: push 8;
    // lea rax,[rel B]; push rax; iretq; B: nop; inc ebx; cmp ebx,80; jb L; mov rax,[FAULTS]; hlt
    const code = `31 db 48 89 e0 6a 10 50 9c f7 c3 07 00 00 00 75 08 48 81 0c 24 00 01 00 00 6a 08
      48 8d 05 03 00 00 00 50 48 cf 90 ff c3 83 fb 50 72 d5 48 8b 04 25 08 00 02 00 f4`;
    const end = await commonEnd((how) => withHandlers(code, how));
    expect(end).toMatchObject({ reason: "idle", rax: 10n });
  });

  it("keeps the selector of the last x87 instruction over an IRETQ to another code segment", async () => {
    // xor ebx,ebx; fninit; L: mov rax,rsp; push 10h; push rax; pushfq; mov ecx,ebx; and ecx,1; shl ecx,4;
    // add ecx,8 (8 or 18h); push rcx; fld1; fstp st0; lea rax,[rel B]; push rax; iretq; B: inc ebx; cmp ebx,80; jb L; hlt
    const code = `31 db db e3 48 89 e0 6a 10 50 9c 89 d9 83 e1 01 c1 e1 04 83 c1 08 51 d9 e8 dd d8
      48 8d 05 03 00 00 00 50 48 cf ff c3 83 fb 50 72 d8 f4`;
    const end = await commonEnd(async (how) => {
      const target = await longMode("release", code, how);
      target.writeMemory(GDT + CODE32, target.readMemory(GDT + CODE64, 8));
      return target;
    });
    expect(end).toMatchObject({ reason: "idle", instructions: 2 + 80 * 17 + 1 });
  });

  it("keeps the address of the last x87 instruction over an indirect jump", async () => {
    // xor ebx,ebx; fninit; lea rax,[rel B]; L: fld1; fstp st0; 4 * nop; jmp rax; B: inc ebx; cmp ebx,80; jb L; hlt
    const code = `31 db db e3 48 8d 05 0a 00 00 00 d9 e8 dd d8 90 90 90 90 ff e0 ff c3 83 fb 50 72 ef f4`;
    const end = await commonEnd((how) => longMode("release", code, how));
    expect(end).toMatchObject({ reason: "idle", instructions: 3 + 80 * 10 + 1 });
  });

  it("sends and ends interrupts through the registers of xAPIC mode", async () => {
    // mov dword [SVR],1ffh; xor ebx,ebx; sti; L: mov rsi,[IPIS]; P: test dword [ICR],1000h; jnz P;
    // mov dword [ICR high],0; mov dword [ICR],44050h; cmp rsi,[IPIS]; je L; inc ebx; cmp ebx,80; jne L;
    // mov eax,[ID]; mov rax,[IPIS]; cli; hlt
    const code = `c7 04 25 f0 00 03 00 ff 01 00 00 31 db fb 48 8b 34 25 00 00 02 00
      f7 04 25 00 03 03 00 00 10 00 00 75 f3 c7 04 25 10 03 03 00 00 00 00 00
      c7 04 25 00 03 03 00 50 40 04 00 48 3b 34 25 00 00 02 00 74 cb ff c3 83 fb 50 75 c4
      8b 04 25 20 00 03 00 48 8b 04 25 00 00 02 00 fa f4`;
    const end = await commonEnd(async (how) => {
      const target = await longMode("release", code, how);
      writeU64(target, PT + 0x30 * 8, 0xfee00000n | 3n); // the registers at 30000H
      // inc qword [IPIS]; mov dword [EOI],0; iretq
      target.writeMemory(
        0xf000,
        hex("48 ff 04 25 00 00 02 00 c7 04 25 b0 00 03 00 00 00 00 00 48 cf"),
      );
      setGate64(target, IPI, 0xf000);
      return target;
    });
    expect(end).toMatchObject({ reason: "idle", rax: 80n });
  });

  it("ends at the OUT that ends the run", async () => {
    // xor ebx,ebx; sti; L: mov ecx,830h; mov eax,44050h; xor edx,edx; wrmsr; inc ebx; cmp ebx,50; jne L; mov eax,ebx;
    // out F4h,al; jmp L
    const code = `31 db fb b9 30 08 00 00 b8 50 40 04 00 31 d2 0f 30 ff c3 83 fb 32 75 eb 89 d8
      e6 f4 eb e5`;
    const end = await commonEnd((how) => withHandlers(code, how));
    expect(end).toMatchObject({ reason: "exit", rax: 50n });
  });
});
