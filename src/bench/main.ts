/**
 * `npm run bench`: how fast the machine runs guest code, beside QEMU where it is installed.
 *
 * Nothing is asserted about speed. What the kernels compute is compared between the machines.
 */
import { readFileSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { argv, stderr, stdout } from "node:process";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { computeHere, computeOnQemu } from "./compute.js";
import { computeTable, figure, type Row } from "./compute-table.js";
import { KERNELS, type Kernel } from "./kernels.js";
import { cliMs } from "./process-time.js";
import { qemuTicksPerNs, qemuVersion } from "./qemu.js";
import { summarize } from "./statistics.js";

const GUESTS = new URL("../../../guests/", import.meta.url);
const COMPUTE = fileURLToPath(new URL("compute.bin", GUESTS));
const HELLO = fileURLToPath(new URL("hello.bin", GUESTS));
const CORE = new URL("../../build/release.wasm", import.meta.url);
const HELLO_STATUS = 1;
const IDLE_CPUS = 4095;
/** Part of a kernel's work that is done before the stopwatch: the engine compiles what is hot while it runs. */
const WARM_UP = 0.5;

interface Flags {
  readonly peers: string;
  readonly repetitions: string;
  readonly only?: string;
}

const flags = new Command("bench")
  .description("Guest code against the wall clock.")
  .option("--peers <auto|none>", "QEMU beside it, where it is installed", "auto")
  .option("--repetitions <n>", "runs of each row; the table shows their median", "5")
  .option("--only <kernels>", "some rows: names with commas")
  .parse(argv)
  .opts<Flags>();

const image = readFileSync(COMPUTE);
const repetitions = Math.max(1, Math.floor(Number(flags.repetitions)) || 1);
const kernels =
  flags.only === undefined
    ? KERNELS
    : KERNELS.filter(({ name }) => flags.only!.split(",").includes(name));
const qemu = flags.peers === "none" ? undefined : qemuVersion();
const ticksPerNs = qemu === undefined ? 0 : await qemuTicksPerNs(COMPUTE);
const rows = kernels.map((kernel): Row => ({
  kernel,
  here: [],
  cpu: [],
  there: [],
  instructions: 0,
}));
const alu = KERNELS[0]!;
const alone: number[] = [];
const amongIdle: number[] = [];
const hello: number[] = [];

for (const kernel of kernels) await computeHere(image, withCount(kernel, WARM_UP));
for (let i = 0; i < repetitions; i++) {
  for (const row of rows) {
    progress(`${i + 1} of ${repetitions}: ${row.kernel.title}`);
    await measure(row);
  }
  progress(`${i + 1} of ${repetitions}: idle CPUs, start of a process`);
  const options = { cpus: IDLE_CPUS + 1 };
  alone.push(mips(await computeHere(image, alu)));
  amongIdle.push(mips(await computeHere(image, alu, options, " wake")));
  hello.push(cliMs(["run", HELLO], HELLO_STATUS));
}
progress("");

const peer = qemu === undefined ? "" : ` QEMU ${qemu} (TCG, one CPU) beside it, in turns.`;
stdout.write(
  [
    `Guest code in 64-bit mode through paging, ${availableParallelism()} host CPUs, Node ${process.versions.node}.${peer}`,
    `Median of ${repetitions} runs by the wall clock, and their range.`,
    computeTable(rows, qemu !== undefined),
    `tight loop, no other CPU           ${figure(summarize(alone), "MIPS")}`,
    `tight loop, ${IDLE_CPUS} halted CPUs too   ${figure(summarize(amongIdle), "MIPS")}`,
    `x2vm run hello.bin, whole process  ${figure(summarize(hello), "ms")}`,
    `release.wasm                       ${(statSync(CORE).size / 1000).toFixed(1)} KB`,
    qemu === undefined && flags.peers !== "none" ? "QEMU is not installed: no peer." : "",
  ]
    .join("\n")
    .trimEnd()
    .concat("\n"),
);

async function measure(row: Row): Promise<void> {
  const here = await computeHere(image, row.kernel);
  row.here.push(here.ns);
  row.cpu.push(here.cpuNs);
  row.instructions = here.instructions;
  if (qemu === undefined) return;
  const there = await computeOnQemu(COMPUTE, row.kernel, ticksPerNs);
  row.there.push(there.ns);
  if (there.result !== here.result) {
    throw new Error(`${row.kernel.name}: x2vm computed ${here.result}, QEMU ${there.result}`);
  }
}

function withCount(kernel: Kernel, part: number): Kernel {
  return { ...kernel, count: Math.ceil(kernel.count * part) };
}

function mips({ instructions, ns }: { instructions: number; ns: number }): number {
  return (instructions / ns) * 1e3;
}

function progress(text: string): void {
  if (stderr.isTTY) stderr.write(`\r\x1b[K${text}`);
}
