/** The result of the Linux benchmark as a table and as records. */
import type { CountedLinuxSample, LinuxSample, Stage } from "./linux.js";
import { summarize, type Summary } from "./statistics.js";
import { number, range, tableOf } from "./text.js";

/** What was measured with one number of CPUs. */
export interface LinuxResult {
  readonly cpus: number;
  readonly here: readonly CountedLinuxSample[];
  /** By title of the peer. */
  readonly there: ReadonlyMap<string, readonly LinuxSample[]>;
}

type Figure = "bootWallMs" | "bootCpuMs" | "addWallMs" | "addCpuMs";

const HERE = "x2vm";

const STAGE_TITLES: Partial<Record<Stage["kind"], string>> = {
  added: "request",
  interrupt: "GED interrupt",
  acknowledged: "event seen in the registers",
  answer: "_OST",
  init: "INIT",
  startup: "STARTUP",
  start: "first instruction",
  mode: "change of the APIC mode",
  online: "online",
};

/** For the terminal. */
export function linuxTable(results: readonly LinuxResult[]): string {
  const head = [
    ["CPUs", "machine", "to user space, s", "from - to", "CPU time, s", "M instructions", "MIPS"],
    ["CPU added, s", "CPU time, s", "x2vm takes", "by CPU time"],
  ].flat();
  const lines = results.flatMap((result) => {
    const { cpus, here, there } = result;
    const instructions = here[0]!.instructions / 1e6;
    const computed = of(here, "bootCpuMs")!.median / 1e3;
    const counts = [number(instructions), number(instructions / computed)];
    const others = [...there].map(([title, samples]) => {
      const shares = (["bootWallMs", "bootCpuMs"] as const).map((figure) => {
        const there = of(samples, figure);
        return there === undefined ? "" : `${number(of(here, figure)!.median / there.median)} x`;
      });
      return [String(cpus), title, ...figures(samples, ["", ""]), ...shares];
    });
    return [[String(cpus), HERE, ...figures(here, counts), "", ""], ...others];
  });
  return tableOf(head, 2, lines);
}

function figures(samples: readonly LinuxSample[], counts: readonly string[]): string[] {
  const boot = of(samples, "bootWallMs")!;
  return [
    number(boot.median / 1e3),
    range({ ...boot, least: boot.least / 1e3, most: boot.most / 1e3 }),
    seconds(of(samples, "bootCpuMs")),
    ...counts,
    seconds(of(samples, "addWallMs")),
    seconds(of(samples, "addCpuMs")),
  ];
}

/** The stages of the hot-add, one after the other, of the run whose hot-add took the median time. */
export function stageLines({ cpus, here }: LinuxResult): string[] {
  const sorted = here.toSorted((a, b) => (a.addWallMs ?? 0) - (b.addWallMs ?? 0));
  const { stages } = sorted[sorted.length >> 1]!;
  if (stages.length === 0) return [];
  const texts = stages.map(
    ({ kind, wallMs, virtualMs }) =>
      `  ${(STAGE_TITLES[kind] ?? kind).padEnd(28)} ${wallMs.toFixed(1).padStart(8)} ms, virtual ${virtualMs.toFixed(3)} ms`,
  );
  return [`A CPU added to ${cpus}, from the request on x2vm:`, ...texts];
}

/** A plain object: milliseconds. */
export function linuxRecord({ cpus, here, there }: LinuxResult) {
  const record = (samples: readonly LinuxSample[]) => ({
    bootWallMs: of(samples, "bootWallMs"),
    bootCpuMs: of(samples, "bootCpuMs"),
    addWallMs: of(samples, "addWallMs"),
    addCpuMs: of(samples, "addCpuMs"),
  });
  return {
    cpus,
    instructions: here[0]!.instructions,
    stages: here[0]!.stages,
    [HERE]: record(here),
    peers: Object.fromEntries([...there].map(([title, samples]) => [title, record(samples)])),
  };
}

function of(samples: readonly LinuxSample[], figure: Figure): Summary | undefined {
  const known = samples.map((sample) => sample[figure]).filter((ms) => ms !== undefined);
  return known.length === 0 ? undefined : summarize(known);
}

function seconds(summary: Summary | undefined): string {
  return summary === undefined ? "" : number(summary.median / 1e3);
}
