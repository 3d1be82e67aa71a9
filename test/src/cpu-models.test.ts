/** CPU models: what CPUID answers for each, how a CPU is written, and what goes with x2APIC mode. */
import { describe, expect, it } from "vitest";
import { CPU_FEATURES, FEATURE_WORDS } from "../../src/cpu-features.js";
import { CPU_MODELS, parseCpu, parsePolicyFor, signatureOf } from "../../src/cpu-models.js";
import { loadCore } from "../../src/core-source.js";
import { Core } from "../../src/core.js";
import { X2vmError } from "../../src/errors.js";
import { Machine } from "../../src/index.js";
import { BUILDS, longMode, type Build } from "../support/machine.js";

type Leaf = readonly [eax: number, ebx: number, ecx: number, edx: number];

/** CPUID in 64-bit mode. @param apicId - of the only CPU */
async function cpuid(
  build: Build,
  cpu: string,
  leaf: number,
  subleaf = 0,
  apicId = 0,
): Promise<Leaf> {
  const target = await longMode(build, "0f a2", { cpu, apicIds: [apicId] });
  const { gpr } = target.vcpus[0]!;
  gpr.rax = BigInt(leaf);
  gpr.rcx = BigInt(subleaf);
  target.step(0);
  return [Number(gpr.rax), Number(gpr.rbx), Number(gpr.rcx), Number(gpr.rdx)];
}

/** Text of registers, without the zeros behind it. */
function textOf(registers: readonly number[]): string {
  const bytes = new Uint8Array(Uint32Array.from(registers).buffer);
  return new TextDecoder().decode(bytes).replace(/\0+$/, "");
}

const failure = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(X2vmError);
    expect((error as X2vmError).code).toBe("BAD_OPTION");
    return (error as X2vmError).message;
  }
  return "no error";
};

/**
 * By hand from QEMU 7.2's definitions and the SDM's tables: leaf 1 EAX ECX EDX, leaf 7 EBX, 80000001H ECX EDX. HTT (EDX 28)
 * is there since a package has room for 256 logical processors; AMD's CMP_LEGACY with it.
 */
const ROWS: readonly [
  model: string,
  signature: number,
  ecx1: number,
  edx1: number,
  ebx7: number,
  ecx8: number,
  edx8: number,
  vendor: string,
  brand: string,
][] = [
  // pni monitor ssse3 cx16 pcid sse4_1 sse4_2 x2apic movbe popcnt deadline xsave rdrand hypervisor
  [
    "x2vm",
    0x6fb,
    0xc5fa2209,
    0x178bfbfd,
    0x00140683 | (1 << 10) | (1 << 18),
    0x101,
    0x2c100800,
    "GenuineIntel",
    "x2vm virtual CPU",
  ],
  [
    "kvm64",
    0xf61,
    0x81202001,
    0x178bfbff,
    0,
    0,
    0x20100800,
    "GenuineIntel",
    "Common KVM processor",
  ],
  [
    "qemu64",
    0x60fb1,
    0x81202001,
    0x178bfbfd,
    0,
    0x3,
    0x20100800,
    "AuthenticAMD",
    "QEMU Virtual CPU version 2.5+",
  ],
  [
    "x86-64-v2",
    0x106a3,
    0x81b82201,
    0x178bfbfd,
    0,
    0x1,
    0x28100800,
    "GenuineIntel",
    "x86-64-v2 virtual CPU",
  ],
];

describe.each(BUILDS)("CPUID, %s core", (build) => {
  it.each(ROWS)("of %s", async (cpu, signature, ecx1, edx1, ebx7, ecx8, edx8, vendor, brand) => {
    const [eax, , ecx, edx] = await cpuid(build, cpu, 1);
    const hex = (value: number) => (value >>> 0).toString(16);
    expect([eax, ecx, edx].map(hex)).toEqual([signature, ecx1, edx1].map(hex));
    expect(hex((await cpuid(build, cpu, 7))[1])).toBe(hex(ebx7));
    const [, , ecxOf8, edxOf8] = await cpuid(build, cpu, 0x80000001);
    expect([ecxOf8, edxOf8].map(hex)).toEqual([ecx8, edx8].map(hex));
    const [, b, c, d] = await cpuid(build, cpu, 0);
    expect(textOf([b, d, c])).toBe(vendor);
    const leaves = [0x80000002, 0x80000003, 0x80000004].map((leaf) => cpuid(build, cpu, leaf));
    expect(textOf((await Promise.all(leaves)).flat())).toBe(brand);
  });

  it.each(ROWS)("of %s splits the x2APIC ID alike in all leaves", async (cpu) => {
    const apicId = 0x4567;
    const leaf = (number: number, subleaf = 0) => cpuid(build, cpu, number, subleaf, apicId);
    const [, ebx1] = await leaf(1);
    expect(ebx1 >>> 24).toBe(apicId & 0xff);
    for (const number of [0xb, 0x1f]) {
      const [threadShift, , thread, threadId] = await leaf(number);
      const [coreShift, logical, core, coreId] = await leaf(number, 1);
      const [, , end] = await leaf(number, 2);
      expect([threadId, coreId]).toEqual([apicId, apicId]);
      expect([(thread >> 8) & 0xff, (core >> 8) & 0xff, (end >> 8) & 0xff]).toEqual([1, 2, 0]);
      // Threads of a core share its caches (leaf 4), and leaf 1 counts what the core shift has room for.
      const [eax4] = await leaf(4);
      expect((eax4 >> 14) & 0xfff).toBe((1 << threadShift) - 1);
      expect(eax4 >>> 26).toBe(Math.min(1 << (coreShift - threadShift), 64) - 1);
      expect(logical).toBe(1 << coreShift);
      expect((ebx1 >> 16) & 0xff).toBe(Math.min(logical, 255));
    }
    const [, , amd] = await leaf(0x80000008);
    expect(amd).toBe(cpu === "qemu64" ? 0x80ff : 0);
  });
});

describe("CPU features", () => {
  it("are those that the core implements, each with one name", async () => {
    const core = await Core.instantiate(await loadCore(undefined, "release"), () => {
      throw new Error("nothing runs");
    });
    for (const { word, register } of FEATURE_WORDS) {
      const missing = core.exports.setFeatureWord(word, 0xffffffff);
      const named = CPU_FEATURES.filter((each) => each.word === word);
      const bits = named.reduce((sum, { bit }) => sum + 2 ** bit, 0);
      expect([register, bits]).toEqual([register, ~missing >>> 0]);
    }
    expect(new Set(CPU_FEATURES.map(({ name }) => name)).size).toBe(CPU_FEATURES.length);
  });
});

describe("CPU models", () => {
  it("have names of their own, vendors of twelve characters, known features and signatures that fit", () => {
    expect(new Set(CPU_MODELS.map(({ name }) => name)).size).toBe(CPU_MODELS.length);
    const known = new Set(CPU_FEATURES.map(({ name }) => name));
    for (const model of CPU_MODELS) {
      expect(model.vendor).toHaveLength(12);
      expect(model.brand.length).toBeLessThan(48);
      expect(model.features.filter((name) => !known.has(name))).toEqual([]);
      for (const { name, isFixed } of CPU_FEATURES)
        if (isFixed) expect(model.features).toContain(name);
      expect(signatureOf(model) & 0xf000f000).toBe(0);
    }
  });
});

describe("a CPU as text", () => {
  it("is a model, then features", () => {
    const { features, model } = parseCpu("kvm64, +popcnt,-pni");
    expect(model.name).toBe("kvm64");
    expect([features.has("popcnt"), features.has("pni"), features.has("cx16")]).toEqual([
      true,
      false,
      true,
    ]);
  });

  it.each([
    ["kvm65", 'There is no CPU model "kvm65". The models are x2vm, kvm64, qemu64, x86-64-v2.'],
    ["", 'There is no CPU model "".'],
    ["kvm64,popcnt", '"popcnt" is not of the form +feature or -feature.'],
    ["kvm64,", '"" is not of the form +feature or -feature.'],
    ["kvm64,+avx", 'The core has no CPU feature "avx". Its features are fpu, vme, de, pse,'],
    ["x2vm,-fpu", "fpu cannot be taken away: every CPU of the core has fpu, msr, apic,"],
    ["x2vm,-smap,+smap", '"x2vm,-smap,+smap" both adds and takes away smap.'],
  ])("%s is refused with a sentence", (text, sentence) => {
    expect(failure(() => parseCpu(text))).toContain(sentence);
  });

  it("is refused by a machine before anything is made", async () => {
    await expect(Machine.create({ cpu: "486" })).rejects.toMatchObject({ code: "BAD_OPTION" });
  });
});

describe("a CPU without x2apic or tsc_deadline_timer", () => {
  it("has LAPICs without them, whatever the policy says", () => {
    const { knobs } = parsePolicyFor(parseCpu("x2vm,-x2apic"), "kvm,x2apic=on");
    expect([knobs.get("x2apic"), knobs.get("tscDeadline")]).toEqual([0, 1]);
    const other = parsePolicyFor(parseCpu("x2vm,-tsc_deadline_timer"), "kvm").knobs;
    expect([other.get("x2apic"), other.get("tscDeadline")]).toEqual([1, 0]);
  });

  it.each(BUILDS)("cannot enter the mode, nor under a policy of later (%s)", async (build) => {
    const target = await longMode(build, "0f a2", { cpu: "x2vm,-x2apic" });
    target.interrupts.setPolicy("kvm");
    const vcpu = target.vcpus[0]!;
    expect(vcpu.writeMsr(0x1b, vcpu.readMsr(0x1b)! | 0x400n)).toBe(false);
    vcpu.gpr.rax = 1n;
    target.step(0);
    expect((vcpu.gpr.rcx >> 21n) & 1n).toBe(0n);
  });
});

describe("a snapshot", () => {
  it.each(["x2vm", "qemu64,+popcnt,-x2apic"])("holds the CPU %s", async (cpu) => {
    const target = await longMode("release", "0f a2 0f a2", { cpu, apicIds: [7] });
    const { gpr } = target.vcpus[0]!;
    gpr.rax = 1n;
    const twin = await target.fork();
    twin.interrupts.setPolicy("kvm");
    target.step(0);
    twin.step(0);
    expect(twin.vcpus[0]!.gpr.rcx).toBe(gpr.rcx);
    expect(twin.stateHash()).toBe(target.stateHash());
  });
});

describe("the boot CPU after RESET", () => {
  it.each(ROWS)("%s has its signature in RDX", async (cpu, signature) => {
    const machine = await Machine.create({ cpu });
    expect(machine.vcpus[0]!.gpr.rdx).toBe(BigInt(signature));
  });
});
