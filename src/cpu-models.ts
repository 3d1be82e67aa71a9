/**
 * CPU models: what CPUID says of vendor, family and features, and the text that selects one, as QEMU's -cpu.
 *
 * Source: `kvm64` and `qemu64` have the identity and features that QEMU 7.2 gives them (target/i386/cpu.c), as far as the
 * core implements them: qemu64 without svm. `x86-64-v2` is that level of the x86-64 psABI with what
 * a kernel expects beside it.
 * Deviates: every model has x2apic, as under KVM, and tsc_deadline_timer and arat, since the default machine has no PIT
 * by which a kernel could measure its APIC timer. The leaves for caches and topology are the same for all models; Linux
 * reads 0BH of Intel's only, so that under AMD's vendor string it takes package and core from the low byte of the ID.
 */
import type { Core } from "./core.js";
import { CPU_FEATURES, featureWords } from "./cpu-features.js";
import { X2vmError } from "./errors.js";
import { parsePolicy, type Policy } from "./policies.js";

export interface CpuModel {
  readonly name: string;
  /** In one sentence. */
  readonly description: string;
  /** Twelve characters: leaf 0. */
  readonly vendor: string;
  /** As software displays it: with the extended fields. */
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
  /** Up to 47 characters: leaves 80000002H to 80000004H. */
  readonly brand: string;
  readonly features: readonly string[];
}

/** A model with features added and taken away. */
export interface Cpu {
  /** As `parseCpu` reads it. */
  readonly text: string;
  readonly model: CpuModel;
  readonly features: ReadonlySet<string>;
}

export const DEFAULT_CPU = "x2vm";

/** What the machine needs and KVM adds. */
const MACHINE = ["x2apic", "tsc_deadline_timer", "arat", "hypervisor"];

/** QEMU's PPRO_FEATURES with those of a first 64-bit CPU. */
const FIRST_64_BIT = [
  ..."fpu de pse tsc msr pae mce cx8 apic sep pge cmov pat fxsr mmx sse sse2".split(" "),
  ..."mtrr clflush mca pse36 pni cx16 syscall nx lm".split(" "),
];

export const CPU_MODELS: readonly CpuModel[] = [
  {
    name: DEFAULT_CPU,
    description: "Everything that the core implements, but vme.",
    vendor: "GenuineIntel",
    family: 6,
    model: 15,
    stepping: 11,
    brand: "x2vm virtual CPU",
    features: CPU_FEATURES.map(({ name }) => name).filter((name) => name !== "vme"),
  },
  {
    name: "kvm64",
    description: "QEMU's common denominator of CPUs that run KVM.",
    vendor: "GenuineIntel",
    family: 15,
    model: 6,
    stepping: 1,
    brand: "Common KVM processor",
    features: ["vme", ...FIRST_64_BIT, ...MACHINE],
  },
  {
    name: "qemu64",
    description: "QEMU's default CPU, with AMD's vendor string.",
    vendor: "AuthenticAMD",
    family: 15,
    model: 107,
    stepping: 1,
    brand: "QEMU Virtual CPU version 2.5+",
    features: [...FIRST_64_BIT, "lahf_lm", ...MACHINE],
  },
  {
    name: "x86-64-v2",
    description: "The level of the x86-64 psABI that distributions build for.",
    vendor: "GenuineIntel",
    family: 6,
    model: 26,
    stepping: 3,
    brand: "x86-64-v2 virtual CPU",
    features: [
      ...FIRST_64_BIT,
      ...MACHINE,
      ..."lahf_lm popcnt ssse3 sse4_1 sse4_2 rdtscp nonstop_tsc".split(" "),
    ],
  },
];

/**
 * Reads a CPU: a model's name, then features with + and -, separated by commas: "kvm64,+popcnt,-x2apic".
 *
 * @throws X2vmError BAD_OPTION naming the model or feature that there is not, or that cannot be taken away
 */
export function parseCpu(text: string): Cpu {
  const [name = "", ...changes] = text.split(",").map((part) => part.trim());
  const model = CPU_MODELS.find((each) => each.name === name);
  if (model === undefined) {
    const names = CPU_MODELS.map((each) => each.name).join(", ");
    throw new X2vmError("BAD_OPTION", `There is no CPU model "${name}". The models are ${names}.`);
  }
  const features = new Set(model.features);
  const said = new Map<string, string>();
  for (const change of changes) {
    const [sign, featureName] = [change[0], change.slice(1)];
    if (sign !== "+" && sign !== "-") {
      throw new X2vmError("BAD_OPTION", `"${change}" is not of the form +feature or -feature.`);
    }
    const feature = CPU_FEATURES.find((each) => each.name === featureName);
    if (feature === undefined) {
      const names = CPU_FEATURES.map((each) => each.name).join(", ");
      throw new X2vmError(
        "BAD_OPTION",
        `The core has no CPU feature "${featureName}". Its features are ${names}.`,
      );
    }
    if ((said.get(featureName) ?? sign) !== sign) {
      throw new X2vmError("BAD_OPTION", `"${text}" both adds and takes away ${featureName}.`);
    }
    said.set(featureName, sign);
    if (sign === "+") features.add(featureName);
    else if (feature.isFixed) {
      const fixed = CPU_FEATURES.filter(({ isFixed }) => isFixed).map((each) => each.name);
      throw new X2vmError(
        "BAD_OPTION",
        `${featureName} cannot be taken away: every CPU of the core has ${fixed.join(", ")}.`,
      );
    } else features.delete(featureName);
  }
  return { text, model, features };
}

/**
 * Reads a policy for machines with this CPU: without x2apic or tsc_deadline_timer its LAPICs have none, whatever the
 * policy says.
 *
 * @throws X2vmError BAD_OPTION as `parsePolicy`
 */
export function parsePolicyFor(cpu: Cpu, text: string): Policy {
  const knobs: [feature: string, knob: string][] = [
    ["x2apic", "x2apic"],
    ["tsc_deadline_timer", "tscDeadline"],
  ];
  const { knobs: values } = parsePolicy(text);
  const off = knobs.filter(([feature, knob]) => !cpu.features.has(feature) && values.get(knob));
  return parsePolicy([text, ...off.map(([, knob]) => `${knob}=off`)].join(","));
}

/** CPUID.1:EAX. Source: SDM 2A "CPUID" "Version Information". */
export function signatureOf({ family, model, stepping }: CpuModel): number {
  const base = Math.min(family, 15);
  const extended = family - base;
  return (extended << 20) | ((model >> 4) << 16) | (base << 8) | ((model & 15) << 4) | stepping;
}

/** Makes the CPUs of a machine of this kind; before the first is added, and before the policy's knobs. */
export function applyCpu({ exports }: Core, { model, features }: Cpu): void {
  for (const [word, value] of featureWords(features)) exports.setFeatureWord(word, value);
  exports.setSignature(signatureOf(model));
  const [ebx, edx, ecx] = registers(model.vendor, 12);
  exports.setVendor(ebx!, edx!, ecx!);
  registers(model.brand, 48).forEach((value, index) => exports.setBrand(index, value));
}

/** Characters as little-endian registers. @param length - in bytes, filled with zeros */
function registers(text: string, length: number): number[] {
  const bytes = new Uint8Array(length);
  new TextEncoder().encodeInto(text, bytes);
  const view = new DataView(bytes.buffer);
  return Array.from({ length: length / 4 }, (_, i) => view.getUint32(i * 4, true));
}
