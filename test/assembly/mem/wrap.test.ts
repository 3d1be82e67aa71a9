/** Accesses that straddle 4 GiB through a segment with a base: compatibility mode has 32-bit linear addresses. */
import { describe, expect, it } from "vitest";
import { BUILDS, hex, writeU64, type Build } from "../../support/machine.js";
import { DATA, PT, worldOf } from "../../support/worlds.js";

const PDPT = 0x2000;
const PD_TOP = 0x30000;
const PT_TOP = 0x31000;
const BASE = 0xfffff000;

/** Ring 3 with DS at the last page below 4 GiB, which is frame DATA; frame DATA + 1000H is page 0. */
async function worldAtTop(build: Build, code: string) {
  const target = await worldOf(build, "compatibility ring 3", hex(code));
  writeU64(target, PDPT + 3 * 8, BigInt(PD_TOP) | 7n);
  writeU64(target, PD_TOP + 511 * 8, BigInt(PT_TOP) | 7n);
  writeU64(target, PT_TOP + 511 * 8, BigInt(DATA) | 7n);
  writeU64(target, PT, BigInt(DATA + 0x1000) | 7n);
  const [vcpu] = target.vcpus;
  const ds = vcpu!.segment("ds");
  vcpu!.setSegment("ds", { ...ds, base: BigInt(BASE) });
  return target;
}

// Recorded on an Intel Xeon.
describe.each(BUILDS)("an access over 4 GiB in compatibility mode (%s)", (build) => {
  it("reads on at 0", async () => {
    const target = await worldAtTop(build, "8b 03"); // mov eax, [ebx]
    target.writeMemory(DATA + 0xffe, hex("11 22 33 44"));
    target.vcpus[0]!.gpr.rbx = 0xffen;
    target.step(0);
    expect(target.vcpus[0]!.gpr.rax).toBe(0x44332211n);
  });

  it("writes on at 0", async () => {
    const target = await worldAtTop(build, "0f 11 03"); // movups [ebx], xmm0
    const [vcpu] = target.vcpus;
    vcpu!.gpr.rbx = 0xffcn;
    vcpu!.fpu.setXmm(0, 0x0f0e0d0c_0b0a0908_07060504_03020100n);
    target.step(0);
    expect(target.readMemory(DATA + 0xffc, 16)).toEqual(
      Uint8Array.from({ length: 16 }, (_, i) => i),
    );
  });
});
