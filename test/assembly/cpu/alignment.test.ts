/**
 * #AC: which instructions take it at which offsets, in which modes, and that nothing takes it in rings 0 to 2, or without
 * CR0.AM or RFLAGS.AC. Source: SDM 3A "Interrupt 17—Alignment Check Exception (#AC)"; every row but eight was seen on an
 * Intel Xeon. These eight the manual leaves to the processor (16-byte operands, FXSAVE, MASKMOVDQU; the Xeon takes none,
 * by 4 and by 8): they are as on the AMD EPYC of the silicon vectors.
 */
import { describe, expect, it } from "vitest";
import { BUILDS, hex, readU64, type Build } from "../../support/machine.js";
import { rewinder } from "../../support/rewind.js";
import { DATA, enterRing, worldOf, WORLDS, type WorldName } from "../../support/worlds.js";

const [GP, AC] = [13, 17];
const AC_FLAG = 0x40000n;
const AM = 0x40000n;

/** By offset from a 16-byte boundary: "." done, "A" #AC(0), "G" #GP(0). */
const NONE = "................";
const BY_2 = ".A.A.A.A.A.A.A.A";
const BY_4 = ".AAA.AAA.AAA.AAA";
const BY_8 = ".AAAAAAA.AAAAAAA";
const GP_16 = ".GGGGGGGGGGGGGGG";
const BY_16 = ".AAAAAAAAAAAAAAA";

/** 64-bit code with the operand at [RBX], [RSI], [RDI] or below RSP. */
const CODES: [what: string, code: string, offsets: string][] = [
  ["mov al, [rbx]", "8a 03", NONE],
  ["mov ax, [rbx]", "66 8b 03", BY_2],
  ["mov eax, [rbx]", "8b 03", BY_4],
  ["mov rax, [rbx]", "48 8b 03", BY_8],
  ["mov [rbx], eax", "89 03", BY_4],
  ["add [rbx], rax", "48 01 03", BY_8],
  ["xchg [rbx], eax", "87 03", BY_4],
  ["xadd [rbx], ax", "66 0f c1 03", BY_2],
  ["cmpxchg8b [rbx]", "0f c7 0b", BY_8],
  ["cmpxchg16b [rbx]", "48 0f c7 0b", GP_16],
  ["movups xmm0, [rbx]", "0f 10 03", BY_16],
  ["movups [rbx], xmm0", "0f 11 03", BY_16],
  ["movdqu xmm0, [rbx]", "f3 0f 6f 03", BY_16],
  ["lddqu xmm0, [rbx]", "f2 0f f0 03", BY_16],
  ["movaps xmm0, [rbx]", "0f 28 03", GP_16],
  ["movntdqa xmm0, [rbx]", "66 0f 38 2a 03", GP_16],
  ["movq xmm0, [rbx]", "f3 0f 7e 03", BY_8],
  ["movd xmm0, [rbx]", "66 0f 6e 03", BY_4],
  ["movlps xmm0, [rbx]", "0f 12 03", BY_8],
  ["movsd xmm0, [rbx]", "f2 0f 10 03", BY_8],
  ["movss xmm0, [rbx]", "f3 0f 10 03", BY_4],
  ["movq mm0, [rbx]", "0f 6f 03", BY_8],
  ["addsd xmm0, [rbx]", "f2 0f 58 03", BY_8],
  ["cvtpi2ps xmm0, [rbx]", "0f 2a 03", BY_8],
  ["pinsrw xmm0, [rbx], 0", "66 0f c4 03 00", BY_2],
  ["pextrd [rbx], xmm0, 0", "66 0f 3a 16 03 00", BY_4],
  ["pmovzxbw xmm0, [rbx]", "66 0f 38 30 03", BY_8],
  ["pmovzxbq xmm0, [rbx]", "66 0f 38 32 03", BY_2],
  ["pcmpistri xmm0, [rbx], 0", "66 0f 3a 63 03 00", BY_16],
  ["maskmovdqu xmm0, xmm1", "66 0f f7 c1", NONE],
  ["fld dword [rbx]", "d9 03", BY_4],
  ["fld qword [rbx]", "dd 03", BY_8],
  ["fld tword [rbx]", "db 2b", BY_8],
  ["fstp tword [rbx]", "db 3b", BY_8],
  ["fild word [rbx]", "df 03", BY_2],
  ["fild qword [rbx]", "df 2b", BY_8],
  ["fbld [rbx]", "df 23", BY_8],
  ["fbstp [rbx]", "df 33", BY_8],
  ["fisttp qword [rbx]", "dd 0b", BY_8],
  ["fnstcw [rbx]", "d9 3b", BY_2],
  ["fnstenv [rbx]", "d9 33", BY_4],
  ["fnstenv [rbx], 16 bits", "66 d9 33", BY_2],
  ["fnsave [rbx]", "dd 33", BY_4],
  ["fxsave [rbx]", "0f ae 03", GP_16],
  ["fxrstor [rbx]", "0f ae 0b", GP_16],
  ["stmxcsr [rbx]", "0f ae 1b", BY_4],
  ["bt [rbx], rax", "48 0f a3 03", BY_8],
  ["bt [rbx], eax", "0f a3 03", BY_4],
  ["bts [rbx], ax", "66 0f ab 03", BY_2],
  ["lodsq", "48 ad", BY_8],
  ["lodsb", "ac", NONE],
  ["stosd", "ab", BY_4],
  ["rep stosb", "f3 aa", NONE],
  ["rep stosq", "f3 48 ab", BY_8],
  ["push rax", "50", BY_8],
  ["push ax", "66 50", BY_2],
  ["pop rax", "58", BY_8],
  ["call", "e8 00 00 00 00", BY_8],
  ["enter 0, 0", "c8 00 00 00", BY_8],
  ["pushfq", "9c", BY_8],
  ["lgs eax, [rbx]", "0f b5 03", BY_4],
  ["lgs ax, [rbx]", "66 0f b5 03", BY_2],
  ["lgs rax, [rbx]", "48 0f b5 03", BY_8],
  ["movnti [rbx], eax", "0f c3 03", BY_4],
  ["movntq [rbx], mm0", "0f e7 03", BY_8],
  ["movbe eax, [rbx]", "0f 38 f0 03", BY_4],
  ["crc32 eax, [rbx], 64 bits", "f2 48 0f 38 f1 03", BY_8],
  ["mov [rbx], es", "8c 03", BY_2],
  ["xlatb", "d7", NONE],
  ["prefetcht0 [rbx]", "0f 18 0b", NONE],
  ["clflush [rbx]", "0f ae 3b", NONE],
];

/** @returns by offset from a 16-byte boundary in the data what `code` does: ".", "A" or "G" */
async function offsetsOf(
  build: Build,
  world: WorldName,
  code: string,
  { cpl, am = true, ac = true }: { cpl?: number; am?: boolean; ac?: boolean } = {},
): Promise<string> {
  const target = await worldOf(build, world, hex(code));
  const vcpu = target.vcpus[0]!;
  if (cpl !== undefined) enterRing(vcpu, cpl);
  if (ac) vcpu.rflags |= AC_FLAG;
  if (!am) vcpu.control.cr0 &= ~AM;
  vcpu.fpu.fcw = 0x37f;
  const isShort = world === "v86" || world.startsWith("16") || world === "real";
  const data = BigInt(isShort ? 0x400 : DATA + 0x400);
  const rewind = rewinder(vcpu);
  let offsets = "";
  for (let offset = 0n; offset < 16n; offset++) {
    rewind();
    target.writeMemory(DATA + 0x400, new Uint8Array(0x400));
    vcpu.fpu.fsw = 0;
    vcpu.fpu.setXmm(1, (1n << 128n) - 1n);
    const at = data + offset;
    Object.assign(vcpu.gpr, { rax: 1n, rcx: 2n, rbx: at, rsi: at, rdi: at, rsp: at + 0x40n });
    const { exception } = target.step(0);
    if (exception === undefined) offsets += ".";
    else {
      offsets += { [AC]: "A", [GP]: "G" }[exception.vector] ?? `(${exception.vector})`;
      if (exception.vector !== AC) continue;
      const error = readU64(target, Number(vcpu.gpr.rsp));
      expect(BigInt.asUintN(32, error)).toBe(0n);
    }
  }
  return offsets;
}

describe.each(BUILDS)("alignment checks (%s)", (build) => {
  it.each(CODES)("%s (%s)", async (_, code, offsets) => {
    expect(await offsetsOf(build, "64-bit ring 3", code)).toBe(offsets);
    // Without them only what has to be aligned anyway is.
    const unchecked = offsets.includes("G") ? GP_16 : NONE;
    expect(await offsetsOf(build, "64-bit ring 3", code, { ac: false })).toBe(unchecked);
  });

  const isRing3 = (world: WorldName) => world === "v86" || world.endsWith("3");
  it.each(WORLDS)("%s", async (world) => {
    const isShort = world === "v86" || world.startsWith("16") || world === "real";
    // mov ax, [bx]; mov eax, [bx] by 16-bit addressing, or the same by EBX
    const codes = isShort ? ["8b 07", "66 8b 07"] : ["66 8b 03", "8b 03"];
    const expected = isRing3(world) ? [BY_2, BY_4] : [NONE, NONE];
    for (const [i, code] of codes.entries()) {
      expect(await offsetsOf(build, world, code)).toBe(expected[i]);
      expect(await offsetsOf(build, world, code, { ac: false })).toBe(NONE);
      expect(await offsetsOf(build, world, code, { am: false })).toBe(NONE);
    }
  });

  it.each(["32-bit ring 0", "compatibility ring 0", "64-bit ring 0"] as const)(
    "rings 1 and 2 of %s take none",
    async (world) => {
      for (const cpl of [1, 2]) expect(await offsetsOf(build, world, "8b 03", { cpl })).toBe(NONE);
    },
  );

  it("what the CPU reads by itself is not checked", async () => {
    // mov es, eax with a GDT at an odd address
    const target = await worldOf(build, "64-bit ring 3", hex("8e c0"));
    const vcpu = target.vcpus[0]!;
    vcpu.rflags |= AC_FLAG;
    target.writeMemory(0x9801, target.readMemory(0x9000, 0x68));
    vcpu.gdtr = { base: 0x9801n, limit: 0x67 };
    vcpu.gpr.rax = 0x4bn;
    expect(target.step(0).exception).toBeUndefined();
    expect(vcpu.segment("es").selector).toBe(0x4b);
  });

  it("a page fault of the operand comes behind it", async () => {
    const target = await worldOf(build, "64-bit ring 3", hex("8b 03"));
    const vcpu = target.vcpus[0]!;
    vcpu.rflags |= AC_FLAG;
    vcpu.gpr.rbx = 0x9001n;
    expect(target.step(0).exception?.vector).toBe(AC);
  });
});
