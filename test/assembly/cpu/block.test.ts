/** What the block cache, the TLB and budgets must never show: assembly/cpu/block.ts, run.ts, mem/code-map.ts. */
import { describe, expect, it } from "vitest";
import type { Machine } from "../../../src/index.js";
import {
  BUILDS,
  CODE,
  PDPT,
  PML4,
  PT,
  hex,
  longMode,
  readU64,
  setGate64,
  writeU64,
} from "../../support/machine.js";

/** Runs to HLT in budgets of `slice` instructions. */
function runToHalt(target: Machine, slice: number): void {
  for (let i = 0; i < 100_000; i++) {
    if (target.run({ maxInstructions: slice }).reason !== "budget") return;
  }
  throw new Error("the code did not reach HLT");
}

const SLICES = [1, 2, 3, 7, 1_000_000];

describe.each(BUILDS)("block cache (%s)", (build) => {
  describe.each(SLICES)("with budgets of %i", (slice) => {
    it("sees a store into a later instruction of the same block", async () => {
      // mov byte [rip+7], 2ah (the immediate of the last mov); mov eax, 1; nop; mov al, 1; hlt
      const target = await longMode(build, "c6 05 07 00 00 00 2a b8 01 00 00 00 90 b0 01 f4");
      runToHalt(target, slice);
      expect(target.vcpus[0]!.gpr.rax).toBe(0x2an);
    });

    it("decodes a loop body anew when each pass rewrites it", async () => {
      const target = await longMode(
        build,
        `31 c0
         b9 0a 00 00 00
         fe 05 01 00 00 00
         05 00 00 00 00
         ff c9
         75 f1
         f4`,
        // xor eax,eax; mov ecx,10; L: inc byte [rip+1]; add eax,imm32; dec ecx; jnz L; hlt
      );
      runToHalt(target, slice);
      expect(target.vcpus[0]!.gpr.rax).toBe(55n);
    });

    it("keeps data beside code in one page apart from it", async () => {
      const target = await longMode(
        build,
        `b9 64 00 00 00
         48 ff 05 f4 00 00 00
         ff c9
         75 f5
         f4`,
        // mov ecx,100; L: inc qword [rip+0f4h] (at CODE+100h); dec ecx; jnz L; hlt
      );
      runToHalt(target, slice);
      expect(readU64(target, CODE + 0x100)).toBe(100n);
    });

    it("runs an instruction that crosses a page", async () => {
      const target = await longMode(build, "f4");
      const start = CODE + 0x1000 - 3;
      target.writeMemory(start, hex("48 b8 11 22 33 44 55 66 77 88 f4")); // mov rax, imm64; hlt
      target.vcpus[0]!.rip = BigInt(start);
      runToHalt(target, slice);
      expect(target.vcpus[0]!.gpr.rax).toBe(0x8877665544332211n);
    });

    it("follows a page that is mapped to another frame under the running code", async () => {
      const second = CODE + 0x1000;
      // The page of CODE is remapped to `second` and flushed; both frames hold the same code up to the flush.
      const code = `48 c7 04 25 ${le32(PT + (CODE >> 12) * 8)} ${le32(second | 7)}
                    0f 01 3c 25 ${le32(CODE)}`; // mov qword [pte], second|7; invlpg [CODE]
      const target = await longMode(build, `${code} b0 01 f4`);
      target.writeMemory(second, hex(`${code} b0 02 f4`));
      runToHalt(target, slice);
      expect(target.vcpus[0]!.gpr.rax & 0xffn).toBe(2n);
    });
  });

  it("raises #PF for the second page of an instruction, with its address", async () => {
    const target = await longMode(build, "f4");
    setGate64(target, 14, CODE + 0x20);
    target.writeMemory(CODE + 0x20, hex("f4"));
    const absent = CODE + 0x1000;
    writeU64(target, PT + (absent >> 12) * 8, 0n);
    target.writeMemory(absent - 2, hex("48 b8"));
    const vcpu = target.vcpus[0]!;
    vcpu.rip = BigInt(absent - 2);
    const result = target.step(0);
    expect(result.exception).toEqual({ vector: 14, hasErrorCode: true });
    expect(vcpu.control.cr2).toBe(BigInt(absent));
    // the saved RIP is the instruction's start
    expect(readU64(target, Number(vcpu.gpr.rsp) + 8)).toBe(BigInt(absent - 2));
  });

  it("notices code that another CPU modifies", async () => {
    // CPU 0 spins on an instruction whose immediate CPU 1's store changes.
    const target = await longMode(build, "b8 00 00 00 00 85 c0 74 f7 f4", { cpus: 2 });
    target.run({ maxInstructions: 1000 });
    expect(target.vcpus[0]!.runState).toBe("runnable");
    const other = target.vcpus[1]!;
    // INIT and SIPI by hand: real mode at 2000H.
    target.writeMemory(0x2f000, hex("b8 00 10 8e d8 c6 06 01 00 07 f4")); // mov ax,1000h; mov ds,ax; mov byte [1],7; hlt
    const x2apic = 0x800n | 0xc00n | 0xfee00000n | 0x100n;
    target.vcpus[0]!.writeMsr(0x1b, x2apic);
    target.vcpus[0]!.writeMsr(0x830, (1n << 32n) | 0x4500n);
    target.run({ maxInstructions: 10 });
    target.vcpus[0]!.writeMsr(0x830, (1n << 32n) | 0x462fn);
    expect(target.run({ maxInstructions: 1_000_000 }).reason).toBe("idle");
    expect(target.vcpus[0]!.gpr.rax).toBe(7n);
    expect(other.runState).toBe("halted");
  });

  it.each([
    ["a jump", "eb 1e"],
    ["falling through", "90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90"],
  ])(
    "follows %s to the next page by its address, not to the frame it showed before",
    async (_, code) => {
      const target = await longMode(build, "f4");
      const vcpu = target.vcpus[0]!;
      const next = PT + ((CODE >> 12) + 1) * 8;
      const show = (frame: number): void => {
        writeU64(target, next, BigInt(frame) | 7n);
        vcpu.control.cr3 = BigInt(PML4);
        vcpu.rip = BigInt(CODE + 0xff0);
        target.run({ maxInstructions: 100 });
      };
      target.writeMemory(CODE + 0xff0, hex(code));
      // inc eax or inc ebx; jmp $: where the page begins and where the jump leads to
      for (const at of [0, 0x10]) {
        target.writeMemory(CODE + at, hex("ff c0 eb fe"));
        target.writeMemory(CODE + 0x5000 + at, hex("ff c3 eb fe"));
      }
      show(CODE);
      expect([vcpu.gpr.rax, vcpu.gpr.rbx]).toEqual([1n, 0n]);
      show(CODE + 0x5000);
      expect([vcpu.gpr.rax, vcpu.gpr.rbx]).toEqual([1n, 1n]);
    },
  );

  it("reads all ones and loses writes outside RAM", async () => {
    const target = await longMode(
      build,
      `48 b8 00 00 00 c0 00 00 00 00
       48 89 00
       48 8b 18
       f4`,
      // mov rax, 0c0000000h; mov [rax], rax; mov rbx, [rax]; hlt: mapped by a 1 GiB page
    );
    writeU64(target, PDPT + 3 * 8, 0xc0000000n | 0x83n);
    runToHalt(target, 100);
    expect(target.vcpus[0]!.gpr.rbx).toBe(0xffffffffffffffffn);
  });
});

function le32(value: number): string {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
