/**
 * What grows with the number of CPUs and what does not: creation, wake-up, broadcast, unicast, idle CPUs, sparse IDs.
 *
 * guests/million does the work. Figures are CPU time of this process, which other programs on the host do not stretch;
 * the memory of a large machine costs most where it is touched first, in the operating system.
 */
import { readFileSync } from "node:fs";
import { Machine, type MachineOptions } from "../index.js";
import { measureIpi } from "./ipi.js";
import { IPI_ROWS } from "./ipi-rows.js";
import { summarize, type Summary } from "./statistics.js";
import { Stopwatch } from "./stopwatch.js";

export interface ScaleOptions {
  /** Files of the guests million.bin and ipi-bench.bin. */
  readonly millionPath: string;
  readonly ipiBenchPath: string;
  readonly repetitions: number;
}

export interface ScaleResult {
  readonly cpus: number;
  /** CPU time of `Machine.create`, ms. */
  readonly createMs: Summary;
  /** From one broadcast of INIT and STARTUP until the last CPU has halted, ms. */
  readonly wakeAllMs: Summary;
  /** INIT and STARTUP to each, one after the other, ms. */
  readonly wakeEachMs: Summary;
  /** One interrupt to all others, until the last has taken it, ms. */
  readonly broadcastMs: Summary;
  /** One interrupt to one halted CPU, until it has taken it, ns; each to another CPU. */
  readonly unicastNs: Summary;
  /** A loop of the boot CPU while all others are idle: millions of instructions in a second. */
  readonly loopMips: Summary;
  /** Wall time from before creation until the last CPU has halted after the broadcast, ms. */
  readonly startMs: Summary;
  /** Memory of this process after that, bytes. */
  readonly residentBytes: number;
}

/** The same message to each of some CPUs, by IDs that follow each other and by IDs all over the 32 bits. */
export interface SparseResult {
  readonly cpus: number;
  readonly denseNs: Summary;
  readonly sparseNs: Summary;
}

/** guests/million: its constants. */
const UNICASTS = 100_000;
const LOOP_INSTRUCTIONS = 2 * 10_000_000;
const STACK_AREA = 16 * 2 ** 20;
const STACK_BYTES = 128;
const LEAST_MEMORY = 64 * 2 ** 20;
/** A first run that does not count: the engine compiles what is hot while it runs. */
const WARM_UP_CPUS = 64;
/** IDs of a machine whose IDs are sparse, after its first few: multiples of this, modulo 2^32. */
const ID_MULTIPLIER = 0x9e3779b1;
const STRANGE_IDS = [0, 0xfffffffe, 0x12345678];

/** @param cpus - at least 2 @throws Error when the guest fails */
export async function measureScale(cpus: number, options: ScaleOptions): Promise<ScaleResult> {
  const image = readFileSync(options.millionPath);
  const memoryBytes = Math.max(LEAST_MEMORY, pageAligned(STACK_AREA + cpus * STACK_BYTES));
  await run(image, { cpus: WARM_UP_CPUS }, "interrupts");
  const samples: Sample[] = [];
  const wakeEach: number[] = [];
  for (let i = 0; i < options.repetitions; i++) {
    samples.push(await run(image, { cpus, memoryBytes }, "interrupts"));
    wakeEach.push((await run(image, { cpus, memoryBytes }, "each")).ms("one by one"));
  }
  const each = (figure: (sample: Sample) => number) => summarize(samples.map(figure));
  return {
    cpus,
    createMs: each((sample) => sample.createMs),
    wakeAllMs: each((sample) => sample.ms("broadcast")),
    wakeEachMs: summarize(wakeEach),
    broadcastMs: each((sample) => sample.ms("interrupt to all")),
    unicastNs: each((sample) => (sample.ms("unicasts") * 1e6) / UNICASTS),
    loopMips: each((sample) => LOOP_INSTRUCTIONS / sample.ms("loop") / 1e3),
    startMs: each((sample) => sample.startMs),
    residentBytes: Math.max(...samples.map((sample) => sample.residentBytes)),
  };
}

/** @param cpus - at least 2, at most 4,096 @throws Error when the guest fails */
export async function measureSparse(cpus: number, options: ScaleOptions): Promise<SparseResult> {
  const row = IPI_ROWS.find(({ name }) => name === "physical")!;
  const measure = async (machine: MachineOptions) => {
    const ipiOptions = {
      imagePath: options.ipiBenchPath,
      repetitions: options.repetitions,
      policy: "kvm",
      peers: [],
    };
    return (await measureIpi({ row, cpus, mode: "x2apic" }, ipiOptions, machine)).cpuNsEach;
  };
  return {
    cpus,
    denseNs: await measure({ cpus }),
    sparseNs: await measure({ apicIds: sparseIds(cpus) }),
  };
}

/** IDs all over the 32 bits, each once. */
export function sparseIds(count: number): number[] {
  const ids = new Set(STRANGE_IDS.slice(0, count));
  for (let i = 1; ids.size < count; i++) ids.add(Math.imul(i, ID_MULTIPLIER) >>> 0);
  return [...ids];
}

interface Sample {
  readonly createMs: number;
  readonly startMs: number;
  readonly residentBytes: number;
  /** CPU time of a part, by the guest's word for it. */
  ms(part: string): number;
}

async function run(image: Uint8Array, options: MachineOptions, words: string): Promise<Sample> {
  const parts = new Map<string, number>();
  const start = performance.now();
  const createStart = cpuMs();
  const machine = await Machine.create(options);
  const createMs = cpuMs() - createStart;
  let begun: { readonly part: string; readonly cpuMs: number } | undefined;
  let startMs = 0;
  let last = "";
  const stopwatch = new Stopwatch(({ text, atMs }) => {
    last = text;
    if (text.startsWith("START ")) begun = { part: text.slice(6), cpuMs: cpuMs() };
    if (text !== "END" || begun === undefined) return;
    parts.set(begun.part, cpuMs() - begun.cpuMs);
    if (parts.size === 1) startMs = atMs - start;
  });
  machine.onSerial((byte) => stopwatch.take(byte));
  machine.load(image, { name: "million", commandLine: words });
  const { exitCode } = machine.run();
  const residentBytes = process.memoryUsage.rss();
  machine.dispose();
  if (last !== "DONE" || exitCode !== 1) throw new Error(`The guest (${words}) failed: ${last}`);
  return { createMs, startMs, residentBytes, ms: (part) => parts.get(part)! };
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
}

function pageAligned(bytes: number): number {
  return Math.ceil(bytes / 4096) * 4096;
}
