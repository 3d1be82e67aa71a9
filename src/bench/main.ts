/**
 * `npm run bench`: how fast the machine runs guest code, beside the peers that are installed.
 *
 * Nothing is asserted about speed. What the kernels compute is compared between the machines.
 */
import { readFileSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { argv, stderr, stdout } from "node:process";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { computeHere, computeOnPeer, type CountedSample } from "./compute.js";
import { computeTable, figure, nsOf, type Row } from "./compute-table.js";
import { KERNELS, type Kernel } from "./kernels.js";
import { findPeers } from "./peers/find.js";
import { cliMs } from "./process-time.js";
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
  .option(
    "--peers <auto|none>",
    "other machines beside it: QEMU and Bochs, where they are installed",
    "auto",
  )
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
const peers = flags.peers === "none" ? [] : await findPeers(COMPUTE);
const rows = kernels.map((kernel): Row => ({
  kernel,
  here: [],
  there: new Map(peers.map(({ name }) => [name, []])),
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

const beside = peers.map(({ title }) => title).join(" and ");
stdout.write(
  [
    `Guest code in 64-bit mode through paging, ${availableParallelism()} host CPUs, Node ${process.versions.node}.`,
    `Median of ${repetitions} runs by the CPU time of each machine's process, and their range.`,
    beside === "" ? "No peer." : `In turns with it ran ${beside}.`,
    computeTable(
      rows,
      peers.map(({ name }) => name),
    ),
    `tight loop, no other CPU           ${figure(summarize(alone), "MIPS")}`,
    `tight loop, ${IDLE_CPUS} halted CPUs too   ${figure(summarize(amongIdle), "MIPS")}`,
    `x2vm run hello.bin, whole process  ${figure(summarize(hello), "ms")}`,
    `release.wasm                       ${(statSync(CORE).size / 1000).toFixed(1)} KB`,
  ]
    .join("\n")
    .concat("\n"),
);

async function measure(row: Row): Promise<void> {
  const here = await computeHere(image, row.kernel);
  row.here.push(here);
  row.instructions = here.instructions;
  for (const peer of peers) {
    const there = await computeOnPeer(peer, COMPUTE, row.kernel);
    row.there.get(peer.name)!.push(there);
    if (there.result !== here.result) {
      const { name } = row.kernel;
      throw new Error(`${name}: x2vm computed ${here.result}, ${peer.name} ${there.result}`);
    }
  }
}

function withCount(kernel: Kernel, part: number): Kernel {
  return { ...kernel, count: Math.ceil(kernel.count * part) };
}

function mips(sample: CountedSample): number {
  return (sample.instructions / nsOf(sample)) * 1e3;
}

function progress(text: string): void {
  if (stderr.isTTY) stderr.write(`\r\x1b[K${text}`);
}
