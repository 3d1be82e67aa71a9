/**
 * PCID: what CR3, CR4.PCIDE, CR0.PG and INVPCID accept, and that INVPCID of every type drops what it has to. Source: SDM
 * 3A "Process-Context Identifiers (PCIDs)"; SDM 2 "INVPCID", "MOV—Move to/from Control Registers".
 */
import { describe, expect, it } from "vitest";
import { BUILDS, hex, readU64, writeU64 } from "../../support/machine.js";
import { CODE, DATA, PT, worldOf, type WorldName } from "../../support/worlds.js";

const [UD, GP, PF] = [6, 13, 14];
const PCIDE = 1n << 17n;
const NOT_CANONICAL = 1n << 47n;
const CR3 = 0x1000n;
/** INVPCID by RAX of the descriptor at [RBX]. */
const INVPCID = "66 0f 38 82 03";

type Row = [
  what: string,
  world: WorldName,
  pcide: boolean,
  type: bigint,
  pcid: bigint,
  address: bigint,
  vector: number | undefined,
];
const ROWS: Row[] = [
  ["an address", "64-bit ring 0", true, 0n, 5n, 0x1000n, undefined],
  ["an address that is not canonical", "64-bit ring 0", true, 0n, 5n, NOT_CANONICAL, GP],
  ["a context, whatever the address", "64-bit ring 0", true, 1n, 0xfffn, NOT_CANONICAL, undefined],
  [
    "all with globals, whatever the PCID",
    "64-bit ring 0",
    true,
    2n,
    0xfffn,
    NOT_CANONICAL,
    undefined,
  ],
  ["all", "64-bit ring 0", true, 3n, 0xfffn, NOT_CANONICAL, undefined],
  ["type 4", "64-bit ring 0", true, 4n, 0n, 0n, GP],
  ["a type of 64 bits", "64-bit ring 0", true, 1n << 32n, 0n, 0n, GP],
  ["a type of 32 bits, in 32-bit code", "32-bit ring 0", false, 1n << 32n, 0n, 0n, undefined],
  ...[0n, 1n, 2n, 3n].map((type): Row => [
    `type ${type}, reserved bits`,
    "64-bit ring 0",
    true,
    type,
    0x1000n,
    0n,
    GP,
  ]),
  ["a PCID without PCIDE, type 0", "64-bit ring 0", false, 0n, 1n, 0n, GP],
  ["a PCID without PCIDE, type 1", "64-bit ring 0", false, 1n, 1n, 0n, GP],
  ["a PCID without PCIDE, type 2", "64-bit ring 0", false, 2n, 1n, 0n, undefined],
  ["a PCID without PCIDE, type 3", "64-bit ring 0", false, 3n, 1n, 0n, undefined],
  ["PCID 0 without PCIDE", "64-bit ring 0", false, 0n, 0n, 0x1000n, undefined],
  ["ring 3", "64-bit ring 3", true, 0n, 0n, 0n, GP],
  ["virtual-8086 mode", "v86", false, 0n, 0n, 0n, GP],
  ["real-address mode", "real", false, 3n, 0n, 0n, undefined],
];

/** MOV to CR3, CR4 and CR0, from RAX. */
type Move = [
  what: string,
  code: string,
  pcide: boolean,
  cr3: bigint,
  value: bigint,
  vector: number | undefined,
];
const [TO_CR0, TO_CR3, TO_CR4] = ["0f 22 c0", "0f 22 d8", "0f 22 e0"];
const MOVES: Move[] = [
  ["CR3 with a PCID", TO_CR3, true, CR3, CR3 | 0xfffn, undefined],
  ["CR3, nothing dropped", TO_CR3, true, CR3, CR3 | 5n | (1n << 63n), undefined],
  ["CR3, bit 63 without PCIDE", TO_CR3, false, CR3, CR3 | (1n << 63n), GP],
  ["CR3, bit 62", TO_CR3, true, CR3, CR3 | (1n << 62n), GP],
  ["CR3, above MAXPHYADDR", TO_CR3, true, CR3, CR3 | (1n << 40n), GP],
  ["PCIDE set", TO_CR4, false, CR3, 0x620n | PCIDE, undefined],
  ["PCIDE set while CR3 has a PCID", TO_CR4, false, CR3 | 8n, 0x620n | PCIDE, GP],
  ["PCIDE kept while CR3 has a PCID", TO_CR4, true, CR3 | 8n, 0x620n | PCIDE, undefined],
  ["PCIDE cleared while CR3 has a PCID", TO_CR4, true, CR3 | 8n, 0x620n, undefined],
];

describe.each(BUILDS)("PCID (%s)", (build) => {
  it.each(ROWS)(
    "INVPCID of %s, %s, PCIDE %s",
    async (_, world, pcide, type, pcid, address, vector) => {
      const isShort = world === "v86" || world === "real";
      // With 16-bit addresses [BP + DI] would be meant: the prefix makes it [EBX].
      const target = await worldOf(build, world, hex(isShort ? `67 ${INVPCID}` : INVPCID));
      const vcpu = target.vcpus[0]!;
      if (pcide) vcpu.control.cr4 |= PCIDE;
      vcpu.gpr.rax = type;
      const at = DATA + 0x100;
      vcpu.gpr.rbx = BigInt(isShort ? 0x100 : at);
      writeU64(target, at, pcid);
      writeU64(target, at + 8, address);
      expect(target.step(0).exception?.vector).toBe(vector);
    },
  );

  it.each([
    ["a register", "66 0f 38 82 c3", UD],
    ["no prefix", "0f 38 82 03", UD],
    ["memory that is not there", INVPCID, PF],
  ])("INVPCID of %s", async (_, code, vector) => {
    const target = await worldOf(build, "64-bit ring 0", hex(code));
    target.vcpus[0]!.gpr.rbx = 0x400000n;
    expect(target.step(0).exception?.vector).toBe(vector);
  });

  it.each(MOVES)("MOV to %s", async (_, code, pcide, cr3, value, vector) => {
    const target = await worldOf(build, "64-bit ring 0", hex(code));
    const vcpu = target.vcpus[0]!;
    vcpu.control.cr3 = cr3;
    if (pcide) vcpu.control.cr4 |= PCIDE;
    vcpu.gpr.rax = value;
    const before = { cr3: vcpu.control.cr3, cr4: vcpu.control.cr4 };
    expect(target.step(0).exception?.vector).toBe(vector);
    if (vector === undefined) {
      if (code === TO_CR3) before.cr3 = value & ~(1n << 63n);
      else before.cr4 = value;
    }
    expect({ cr3: vcpu.control.cr3, cr4: vcpu.control.cr4 }).toEqual(before);
  });

  it("is not for modes without IA-32e, and keeps paging on", async () => {
    const legacy = await worldOf(build, "32-bit ring 0", hex(TO_CR4));
    legacy.vcpus[0]!.gpr.rax = 0x620n | PCIDE;
    expect(legacy.step(0).exception?.vector).toBe(GP);
    const compat = await worldOf(build, "compatibility ring 0", hex(TO_CR0));
    const vcpu = compat.vcpus[0]!;
    vcpu.control.cr4 |= PCIDE;
    vcpu.gpr.rax = vcpu.control.cr0 & ~0x80000000n;
    expect(compat.step(0).exception?.vector).toBe(GP);
    vcpu.control.cr4 &= ~PCIDE;
  });

  it.each([0n, 1n, 2n, 3n])("INVPCID of type %i drops the translation", async (type) => {
    // mov eax, [rsi]; invpcid; mov eax, [rsi]
    const target = await worldOf(build, "64-bit ring 0", hex(`8b 06 ${INVPCID} 8b 06`));
    const vcpu = target.vcpus[0]!;
    vcpu.control.cr4 |= PCIDE;
    vcpu.control.cr3 = CR3 | 7n;
    const [descriptor, page] = [DATA + 0x100, DATA + 0x2000];
    vcpu.gpr.rbx = BigInt(descriptor);
    vcpu.gpr.rsi = BigInt(page);
    writeU64(target, descriptor, 7n);
    writeU64(target, descriptor + 8, BigInt(page));
    target.step(0);
    writeU64(target, PT + (page >> 12) * 8, BigInt(DATA + 0x3000) | 7n);
    vcpu.gpr.rax = type;
    target.step(0);
    expect(target.step(0).exception).toBeUndefined();
    expect(vcpu.gpr.rax).toBe(readU64(target, DATA + 0x3000) & 0xffffffffn);
    expect(vcpu.rip).toBe(BigInt(CODE + 9));
  });
});
