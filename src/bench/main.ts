/**
 * `npm run bench`: how fast the machine runs guest code, beside the peers that are installed.
 *
 * Nothing is asserted about speed. What the kernels compute is compared between the machines.
 */
import { readFileSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { argv, stderr, stdout } from "node:process";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { computeHere, type CountedSample } from "./compute.js";
import { goalLines } from "./compute-goals.js";
import { computeRecord, computeTable } from "./compute-report.js";
import { measureSuite, type ComputeGuest, type Suite } from "./compute-suite.js";
import { KERNELS } from "./kernels.js";
import { findPeers } from "./peers/find.js";
import { cliMs } from "./process-time.js";
import { summarize } from "./statistics.js";
import { figure } from "./text.js";

const GUESTS = new URL("../../../guests/", import.meta.url);
const guestPath = (name: string) => fileURLToPath(new URL(name, GUESTS));
const COMPUTE = guestPath("compute.bin");
const SUITES: readonly ComputeGuest[] = [
  { bits: 64, imagePath: COMPUTE },
  { bits: 32, imagePath: guestPath("compute32.bin") },
];
const CORE = new URL("../../build/release.wasm", import.meta.url);
const HELLO_STATUS = 1;
const IDLE_CPUS = 4095;

interface Flags {
  readonly peers: "auto" | "none";
  readonly v86?: string;
  readonly bits?: string;
  readonly repetitions: string;
  readonly only?: string;
  readonly json?: boolean;
}

const flags = new Command("bench")
  .description("Guest code against the clock.")
  .addOption(
    new Option("--peers <which>", "QEMU, Bochs and v86 beside it, where they are installed")
      .choices(["auto", "none"])
      .default("auto"),
  )
  .option("--v86 <folder>", "where `npm install v86` was run (default: $X2VM_V86)")
  .addOption(new Option("--bits <width>", "64-bit or 32-bit code alone").choices(["64", "32"]))
  .option("--repetitions <n>", "runs of each row; the table shows their median", "3")
  .option("--only <kernels>", "some rows: names with commas")
  .option("--json", "as JSON")
  .parse(argv)
  .opts<Flags>();

const repetitions = Math.max(1, Math.floor(Number(flags.repetitions)) || 1);
const names = flags.only?.split(",");
const kernels = KERNELS.filter(({ name }) => names?.includes(name) ?? true);
const guests = SUITES.filter(({ bits }) => flags.bits === undefined || flags.bits === `${bits}`);
const peers = flags.peers === "none" ? [] : await findPeers(COMPUTE, flags.v86);
const suites: Suite[] = [];
for (const guest of guests) {
  suites.push(await measureSuite(guest, peers, { kernels, repetitions, onProgress: progress }));
}
const others = names === undefined ? await measureOthers() : undefined;
progress("");
if (flags.json) {
  const figures = { node: process.versions.node, repetitions, suites: suites.map(computeRecord) };
  stdout.write(`${JSON.stringify({ ...figures, ...others }, undefined, 2)}\n`);
} else {
  stdout.write(`${[...head(), ...suites.flatMap(suiteLines), ...otherLines()].join("\n")}\n`);
}

/** What has no peer: idle CPUs, a whole process. */
async function measureOthers() {
  const image = readFileSync(COMPUTE);
  const alu = KERNELS[0]!;
  const alone: number[] = [];
  const amongIdle: number[] = [];
  const hello: number[] = [];
  for (let i = 0; i < repetitions; i++) {
    progress(`${i + 1} of ${repetitions}: idle CPUs, start of a process`);
    alone.push(mips(await computeHere(image, alu)));
    amongIdle.push(mips(await computeHere(image, alu, { cpus: IDLE_CPUS + 1 }, " wake")));
    hello.push(cliMs(["run", guestPath("hello.bin")], HELLO_STATUS));
  }
  return {
    aloneMips: summarize(alone),
    amongIdleMips: summarize(amongIdle),
    helloMs: summarize(hello),
    coreBytes: statSync(CORE).size,
  };
}

function head(): string[] {
  const beside = peers.map(({ title }) => title).join(", ");
  return [
    `${availableParallelism()} host CPUs, Node ${process.versions.node}. Beside x2vm: ${beside || "no peer"}.`,
    `Median of ${repetitions} runs by the CPU time of each machine's process, and their range.`,
  ];
}

function suiteLines(suite: Suite): string[] {
  const notes = [...suite.obstacles.values()].map((why) => `not compared: ${why}`);
  const title = `Guest code of ${suite.guest.bits} bits, through paging`;
  return ["", title, computeTable(suite), ...goalLines(suite), ...notes];
}

function otherLines(): string[] {
  if (others === undefined) return [];
  return [
    "",
    `loop on registers, no other CPU        ${figure(others.aloneMips, "MIPS")}`,
    `loop on registers, ${IDLE_CPUS} halted CPUs   ${figure(others.amongIdleMips, "MIPS")}`,
    `x2vm run hello.bin, whole process      ${figure(others.helloMs, "ms")}`,
    `release.wasm                           ${(others.coreBytes / 1000).toFixed(1)} KB`,
  ];
}

function mips({ instructionsEach, nsEach }: CountedSample): number {
  return (instructionsEach / nsEach) * 1e3;
}

function progress(text: string): void {
  if (stderr.isTTY) stderr.write(`\r\x1b[K${text}`);
}
