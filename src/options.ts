/** Options of `Machine.create`: what they mean, their ranges, and the check of all of them before anything is made. */
import { DEFAULT_CPU, parseCpu, parsePolicyFor, type Cpu } from "./cpu-models.js";
import type { CoreBuild, CoreSource } from "./core-source.js";
import { X2vmError, hex } from "./errors.js";
import { checkPlatform, DEFAULT_PLATFORM, type Platform } from "./platform.js";
import { DEFAULT_POLICY, type Policy } from "./policies.js";

export interface MachineOptions {
  /** APIC IDs of the CPUs that are there from the start, 32 bits each, in creation order; the first boots. */
  readonly apicIds?: readonly number[];
  /** Short for `apicIds: [0, 1, ... cpus - 1]`. Default 1. */
  readonly cpus?: number;
  /** APIC IDs of all CPUs that can ever be plugged, beyond `apicIds`. Default: any; a hotplug appends to the list. */
  readonly possibleApicIds?: readonly number[];
  /** Slots for vCPUs, at start or added later. Default: the possible CPUs plus 64. */
  readonly vcpuCapacity?: number;
  /** Guest RAM in bytes: a multiple of 4096, at most 2 GiB. Default 64 MiB. */
  readonly memoryBytes?: number;
  /** Devices around the CPUs: "minimal" (default), or "pc" for kernels that expect timer, clock and ACPI of a PC. */
  readonly machine?: Platform;
  /** What the real-time clock of a "pc" shows at the start: seconds since 1970, 32 bits. Default 2025-01-01, as kvm-clock. */
  readonly epochSeconds?: number;
  /** Interrupt policy: a preset's name, then knobs, as in "kvm" (default) or "kvm,ids32=off,high=drop". */
  readonly policy?: string;
  /**
   * CPU model, then features by their names in Linux' /proc/cpuinfo: "x2vm" (default), "kvm64,+popcnt,-smap". What is
   * not offered is not there: its instructions raise #UD, its control bits are reserved.
   */
  readonly cpu?: string;
  /**
   * Features of KVM's CPUID leaf (40000001H, EAX), as a hypervisor offers them; without it there are no KVM leaves.
   *
   * Bits with something behind them: 0, 3 and 24 kvm-clock, 6 PV EOI, 7 PV UNHALT (hypercall KICK_CPU), 11 PV SEND_IPI, 13 PV SCHED_YIELD,
   * 15 15-bit MSI destinations (the policy's knob msiExtDest must agree).
   */
  readonly kvmFeatures?: number;
  /** Seed of schedule exploration, 32 bits; 0 (default) is the plain order. */
  readonly seed?: number;
  /** Translate hot code to WebAssembly (default). The guest cannot tell; without it everything is interpreted. */
  readonly translate?: boolean;
  /** How often a block of code is entered before it is translated, from 1: for tests. */
  readonly translateAfter?: number;
  /**
   * Virtual time that an instruction takes while one CPU runs, 1 (default) .. 1000 ns. A guest that waits in a loop for
   * seconds needs fewer instructions for it on a slower CPU; its TSC ticks at 1 GHz all the same.
   */
  readonly instructionNs?: number;
  /** Which build of the core: the optimised one (default) or the one with assertions. */
  readonly build?: CoreBuild;
  /** The core itself, where the package's own file cannot be used: bytes, a compiled module or a URL. */
  readonly wasm?: CoreSource;
}

export interface ResolvedOptions {
  readonly apicIds: readonly number[];
  /** Undefined: the list is open. */
  readonly possibleApicIds: readonly number[] | undefined;
  readonly vcpuCapacity: number;
  readonly memoryBytes: number;
  readonly machine: Platform;
  readonly epochSeconds: number;
  readonly policy: Policy;
  readonly cpu: Cpu;
  readonly kvmFeatures: number | undefined;
  readonly seed: number;
  /** 0: nothing is translated. */
  readonly translateAfter: number;
  readonly instructionNs: number;
  readonly build: CoreBuild;
  readonly wasm: CoreSource | undefined;
}

const PAGE_BYTES = 4096;
const MAX_MEMORY_BYTES = 2 ** 31;
const DEFAULT_MEMORY_BYTES = 64 * 2 ** 20;
const MAX_VCPUS = 2 ** 24;
const SPARE_VCPUS = 64;
/**
 * A translation and the optimiser's work on it take some three milliseconds: as long as a few hundred thousand instructions
 * interpreted. With less than this a boot of Linux gets slower, for most of its code never runs so often.
 */
const TRANSLATE_AFTER = 100_000;
const MAX_INSTRUCTION_NS = 1000;
/** The calendar of vm/kvm-clock.ts. */
const EPOCH_SECONDS = 1735689600;

/** No CPU has this ID: it addresses all of them. */
export const BROADCAST_APIC_ID = 0xffffffff;

/** @throws X2vmError BAD_OPTION, APIC_ID_RANGE, APIC_ID_TAKEN */
export function resolveOptions(options: MachineOptions): ResolvedOptions {
  if (options.apicIds !== undefined && options.cpus !== undefined) {
    throw new X2vmError("BAD_OPTION", "Give either cpus or apicIds, not both.");
  }
  const cpus = integer("cpus", options.cpus ?? 1, 1, MAX_VCPUS);
  const apicIds = options.apicIds ?? Array.from({ length: cpus }, (_, i) => i);
  if (apicIds.length === 0)
    throw new X2vmError("BAD_OPTION", "apicIds is empty: a machine has at least one CPU.");
  if (options.apicIds !== undefined) checkApicIds(apicIds);
  const possible = options.possibleApicIds;
  if (possible !== undefined) checkApicIds([...apicIds, ...possible]);

  const possibleCount = apicIds.length + (possible?.length ?? 0);
  const defaultCapacity = Math.min(possibleCount + SPARE_VCPUS, MAX_VCPUS);
  const memoryBytes = integer(
    "memoryBytes",
    options.memoryBytes ?? DEFAULT_MEMORY_BYTES,
    PAGE_BYTES,
    MAX_MEMORY_BYTES,
  );
  if (memoryBytes % PAGE_BYTES !== 0) {
    throw new X2vmError("BAD_OPTION", `memoryBytes is ${memoryBytes}, not a multiple of 4096.`);
  }
  const build = options.build ?? "release";
  if (build !== "release" && build !== "debug") {
    throw new X2vmError("BAD_OPTION", `build is "${String(build)}", not "release" or "debug".`);
  }
  const cpu = parseCpu(options.cpu ?? DEFAULT_CPU);
  return {
    apicIds,
    possibleApicIds: possible,
    vcpuCapacity: integer(
      "vcpuCapacity",
      options.vcpuCapacity ?? defaultCapacity,
      apicIds.length,
      MAX_VCPUS,
    ),
    memoryBytes,
    machine: checkPlatform(options.machine ?? DEFAULT_PLATFORM),
    epochSeconds: integer("epochSeconds", options.epochSeconds ?? EPOCH_SECONDS, 0, 0xffffffff),
    policy: parsePolicyFor(cpu, options.policy ?? DEFAULT_POLICY),
    cpu,
    kvmFeatures:
      options.kvmFeatures === undefined
        ? undefined
        : integer("kvmFeatures", options.kvmFeatures, 0, 0xffffffff),
    seed: integer("seed", options.seed ?? 0, 0, 0xffffffff),
    translateAfter:
      options.translate === false
        ? 0
        : integer("translateAfter", options.translateAfter ?? TRANSLATE_AFTER, 1, 2 ** 30),
    instructionNs: integer("instructionNs", options.instructionNs ?? 1, 1, MAX_INSTRUCTION_NS),
    build,
    wasm: options.wasm,
  };
}

/** @throws X2vmError APIC_ID_RANGE unless a CPU can have this ID */
export function checkApicId(apicId: number): void {
  if (!Number.isInteger(apicId) || apicId < 0 || apicId > 0xffffffff) {
    throw new X2vmError("APIC_ID_RANGE", `${apicId} is not a 32-bit APIC ID.`);
  }
  if (apicId === BROADCAST_APIC_ID) {
    throw new X2vmError(
      "APIC_ID_RANGE",
      "0xffffffff addresses all CPUs, so no CPU can have it as its APIC ID.",
    );
  }
}

function checkApicIds(apicIds: readonly number[]): void {
  const seen = new Set<number>();
  for (const apicId of apicIds) {
    checkApicId(apicId);
    if (seen.has(apicId))
      throw new X2vmError("APIC_ID_TAKEN", `APIC ID ${hex(apicId)} is given twice.`);
    seen.add(apicId);
  }
}

function integer(name: string, value: number, least: number, most: number): number {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new X2vmError(
      "BAD_OPTION",
      `${name} is ${value}, not a whole number from ${least} to ${most}.`,
    );
  }
  return value;
}
