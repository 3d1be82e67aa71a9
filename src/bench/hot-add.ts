/**
 * Hot-add by stage: how long it takes from the request to add a CPU until that CPU works, in virtual time.
 *
 * The guest polls the CPU-hotplug registers, wakes the CPU, and ejects it again; its report on the ejection is the word
 * for the next. Everything but the wall time is the same in every run.
 */
import { readFileSync } from "node:fs";
import type { Machine } from "../index.js";
import { runHere } from "./here.js";
import type { ApicMode } from "./ipi-rows.js";
import { latencyOfSamples, type Latency } from "./latency.js";

/** Stages in their order, each named by what ends it. */
export const HOT_ADD_STAGES = [
  "found in the registers",
  "INIT sent",
  "STARTUP sent",
  "first instruction",
  "online",
] as const;
export type HotAddStage = (typeof HOT_ADD_STAGES)[number];

export interface HotAddCase {
  /** CPUs that are there before. */
  readonly cpus: number;
  readonly mode: ApicMode;
}

export interface HotAddResult extends HotAddCase {
  /** APIC ID of the CPU that is added. */
  readonly apicId: number;
  readonly stages: ReadonlyMap<HotAddStage, Latency>;
  /** From the request to the end of the last stage. */
  readonly all: Latency;
  /** Wall and CPU time of one hot-add and ejection, ns. */
  readonly wallNs: number;
  readonly cpuNs: number;
}

const COUNT = 200;
/** An ID that no xAPIC-mode destination can name. */
const LONG_ID = 0x123;
const XAPIC_IDS = 255;
/** Virtual time from START, or from a report, to the next request: spread, so that the guest is anywhere in its loop. */
const PAUSE_NS = 1000;
const SPREAD_NS = 10;

const LINE = /^hot-add 0x\w+ found (\d+), INIT (\d+), STARTUP (\d+), first (\d+), seen (\d+)$/;

/** Why a case makes no sense, or undefined. */
export function hotAddObstacle({ cpus, mode }: HotAddCase): string | undefined {
  return mode === "xapic" && cpus >= XAPIC_IDS ? "xAPIC mode has no ID left" : undefined;
}

/** @param imagePath - ipi-bench.bin @throws Error when the guest fails */
export async function measureHotAdd(
  each: HotAddCase,
  { imagePath, policy }: { readonly imagePath: string; readonly policy: string },
): Promise<HotAddResult> {
  const { cpus, mode } = each;
  const apicId = mode === "xapic" ? cpus : Math.max(cpus, LONG_ID);
  const words = `hot-add count=${COUNT}${mode === "xapic" ? " xapic-only" : ""}`;
  const requests: number[] = [];
  const lines = await runHere(readFileSync(imagePath), words, { cpus, policy }, (machine) =>
    addAgainAndAgain(machine, apicId, requests),
  );
  const marks = lines.flatMap(({ text }) => {
    const match = LINE.exec(text);
    return match === null ? [] : [match.slice(1).map(Number)];
  });
  const start = lines.find(({ text }) => text === "START")!;
  const end = lines.find(({ text }) => text.startsWith("interrupts "))!;
  const stages = HOT_ADD_STAGES.map((stage, i) => {
    const samples = marks.map((mark, n) => mark[i]! - (i === 0 ? requests[n]! : mark[i - 1]!));
    return [stage, latencyOfSamples(samples)] as const;
  });
  return {
    ...each,
    apicId,
    stages: new Map(stages),
    all: latencyOfSamples(marks.map((mark, n) => mark.at(-1)! - requests[n]!)),
    wallNs: ((end.atMs - start.atMs) * 1e6) / COUNT,
    cpuNs: ((end.cpuMs - start.cpuMs) * 1e6) / COUNT,
  };
}

function addAgainAndAgain(machine: Machine, apicId: number, requests: number[]): void {
  const plan = () => {
    const ns = machine.virtualNs + PAUSE_NS + requests.length * SPREAD_NS;
    machine.at(ns, () => {
      requests.push(machine.virtualNs);
      machine.hotplug({ apicId, force: true });
    });
  };
  let line = "";
  const forget = machine.onSerial((byte) => {
    line += String.fromCharCode(byte);
    if (!line.endsWith("START\n")) return;
    forget();
    plan();
  });
  machine.onOst(() => {
    if (requests.length < COUNT) plan();
  });
}
