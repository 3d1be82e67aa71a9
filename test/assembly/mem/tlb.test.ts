/** INVLPG and large pages: assembly/mem/tlb.ts. */
import { describe, expect, it } from "vitest";
import { BUILDS, PD, PDPT, longMode, writeU64 } from "../../support/machine.js";

const LARGE = 0x83n; // present, writable, page size

describe.each(BUILDS)("INVLPG (%s)", (build) => {
  // Reads through 200000H and 201000H, changes the mapping, INVLPG of 200000H, reads both again.
  const read = "48 8b 04 25 00 00 20 00  48 8b 1c 25 00 10 20 00"; // mov rax,[200000h]; mov rbx,[201000h]
  const change = "48 89 0a 0f 01 3c 25 00 00 20 00"; // mov [rdx], rcx; invlpg [200000h]
  const code = `${read} ${change} ${read} f4`;

  it.each([
    { title: "2 MiB", entry: PD + 8, isHuge: false },
    { title: "1 GiB", entry: PDPT, isHuge: true },
  ])("drops all of a $title page, whichever of its parts were used", async ({ entry, isHuge }) => {
    const target = await longMode(build, code, { memoryBytes: 6 << 20 });
    writeU64(target, 0x200000, 0x11n);
    writeU64(target, 0x201000, 0x12n);
    writeU64(target, 0x400000, 0x21n);
    writeU64(target, 0x401000, 0x22n);
    const vcpu = target.vcpus[0]!;
    if (!isHuge) {
      writeU64(target, entry, 0x200000n | LARGE);
      vcpu.gpr.rcx = 0x400000n | LARGE;
    } else {
      // The whole gigabyte becomes a table whose entry for 200000H maps 400000H.
      writeU64(target, PDPT, LARGE);
      writeU64(target, PD + 8, 0x400000n | LARGE);
      vcpu.gpr.rcx = BigInt(PD) | 7n;
    }
    vcpu.gpr.rdx = BigInt(entry);
    expect(target.run({ maxInstructions: 2 }).reason).toBe("budget");
    expect([vcpu.gpr.rax, vcpu.gpr.rbx]).toEqual([0x11n, 0x12n]);
    expect(target.run({ maxInstructions: 10 }).reason).toBe("idle");
    expect([vcpu.gpr.rax, vcpu.gpr.rbx]).toEqual([0x21n, 0x22n]);
  });

  it("leaves a stale entry until it comes", async () => {
    const target = await longMode(build, `${read} 48 89 0a ${read} f4`, { memoryBytes: 6 << 20 });
    writeU64(target, 0x200000, 0x11n);
    writeU64(target, 0x400000, 0x21n);
    const vcpu = target.vcpus[0]!;
    vcpu.gpr.rcx = 0x400000n | LARGE;
    vcpu.gpr.rdx = BigInt(PD + 8);
    target.run({ maxInstructions: 10 });
    expect(vcpu.gpr.rax).toBe(0x11n);
  });
});

describe.each(BUILDS)("FS and GS in 64-bit mode (%s)", (build) => {
  it("add their base to flat addresses, but not to LEA", async () => {
    // mov rax, fs:[10h]; lea rbx, fs:[10h]; add gs:[rcx], rax; hlt
    const target = await longMode(
      build,
      "64 48 8b 04 25 10 00 00 00 64 48 8d 1c 25 10 00 00 00 65 48 01 01 f4",
    );
    const vcpu = target.vcpus[0]!;
    vcpu.setSegment("fs", { base: 0x20000n });
    vcpu.setSegment("gs", { base: 0x30000n });
    vcpu.gpr.rcx = 0x18n;
    writeU64(target, 0x20010, 5n);
    writeU64(target, 0x30018, 2n);
    expect(target.run({ maxInstructions: 10 }).reason).toBe("idle");
    expect(vcpu.gpr.rax).toBe(5n);
    expect(vcpu.gpr.rbx).toBe(0x10n);
    expect(target.readMemory(0x30018, 1)[0]).toBe(7);
  });
});
