/**
 * The dispatch loop alone, without guest code: a host writes an ICR, the targets acknowledge and write EOI.
 *
 * Anything that has local APICs can be measured: the core, and in the project's own tests a plain model beside it.
 */
import { createApicCore } from "../apic-machine.js";
import { summarize, type Summary } from "./statistics.js";

/** A set of local APICs with IDs from 0, all in x2APIC mode and software-enabled. */
export interface DispatchMachine {
  /** WRMSR to the ICR of one CPU. @param low - ICR bits 31:0 */
  send(vcpuIndex: number, dest: number, low: number): void;
  /** Takes the highest pending interrupt into service. @returns its vector, or -1 */
  acknowledge(vcpuIndex: number): number;
  /** WRMSR to the EOI register. */
  endOfInterrupt(vcpuIndex: number): void;
}

export interface DispatchTarget {
  readonly name: string;
  create(cpus: number): DispatchMachine;
}

export interface DispatchRow {
  readonly name: string;
  readonly title: string;
  /** ICR bits 31:0. */
  readonly low: number;
  /** After so many messages they begin anew. */
  messages(cpus: number): number;
  /** Destination of the n-th message. */
  dest(n: number, cpus: number): number;
  /** CPUs that take it, by vcpuIndex. */
  takers(n: number, cpus: number): readonly [first: number, last: number];
}

export interface DispatchResult {
  readonly row: DispatchRow;
  readonly cpus: number;
  /** CPU time of one interrupt from the ICR to its EOI, ns, by target's name. */
  readonly nsEach: ReadonlyMap<string, Summary>;
}

const VECTOR = 0x50;
const ASSERT = 1 << 14;
const LOGICAL = 1 << 11;
const ALL_BUT_SELF = 3 << 18;
const CLUSTER_CPUS = 16;

const target = (n: number) => 1 + n;

export const DISPATCH_ROWS: readonly DispatchRow[] = [
  {
    name: "unicast",
    title: "unicast, physical",
    low: ASSERT | VECTOR,
    messages: (cpus) => cpus - 1,
    dest: target,
    takers: (n) => [target(n), target(n)],
  },
  {
    name: "cluster",
    title: "logical, first cluster but its first",
    low: LOGICAL | ASSERT | VECTOR,
    messages: () => 1,
    dest: () => 0xfffe,
    takers: (_, cpus) => [1, Math.min(cpus, CLUSTER_CPUS) - 1],
  },
  {
    name: "broadcast",
    title: "all but self",
    low: ALL_BUT_SELF | ASSERT | VECTOR,
    messages: () => 1,
    dest: () => 0,
    takers: (_, cpus) => [1, cpus - 1],
  },
];

/** Interrupts before the first look at the clock, which costs as much as twenty of them. */
const FIRST_BATCH = 64;
/** Later ones go by this part of a turn. */
const BATCH_PART = 1 / 8;

/**
 * Measures one row on each target, in turns.
 *
 * @param cpus - at least 2; @param ms - CPU time of each turn; @param turns - of which the median counts
 * @throws Error when an interrupt does not come
 */
export function measureDispatch(
  row: DispatchRow,
  cpus: number,
  targets: readonly DispatchTarget[],
  { ms, turns }: { readonly ms: number; readonly turns: number },
): DispatchResult {
  const plan = planOf(row, cpus);
  const machines = targets.map((each) => each.create(cpus));
  const samples = targets.map((): number[] => []);
  for (const machine of machines) runFor(plan, machine, ms); // warms the engine up
  for (let turn = 0; turn < turns; turn++) {
    machines.forEach((machine, i) => samples[i]!.push(runFor(plan, machine, ms)));
  }
  const nsEach = targets.map(({ name }, i) => [name, summarize(samples[i]!)] as const);
  return { row, cpus, nsEach: new Map(nsEach) };
}

/** The messages of a row, drawn up beforehand: what is timed asks nobody for the next one. */
interface Plan {
  readonly low: number;
  readonly dests: Uint32Array;
  readonly firsts: Uint32Array;
  readonly lasts: Uint32Array;
}

function planOf(row: DispatchRow, cpus: number): Plan {
  const takers = Array.from({ length: row.messages(cpus) }, (_, n) => row.takers(n, cpus));
  return {
    low: row.low,
    dests: Uint32Array.from(takers, (_, n) => row.dest(n, cpus)),
    firsts: Uint32Array.from(takers, ([first]) => first),
    lasts: Uint32Array.from(takers, ([, last]) => last),
  };
}

/** @returns ns of CPU time for each interrupt */
function runFor(plan: Plan, machine: DispatchMachine, ms: number): number {
  let interrupts = 0;
  let batch = FIRST_BATCH;
  let n = 0;
  const start = process.cpuUsage();
  for (;;) {
    const enough = interrupts + batch;
    while (interrupts < enough) {
      const first = plan.firsts[n]!;
      const last = plan.lasts[n]!;
      machine.send(0, plan.dests[n]!, plan.low);
      for (let taker = first; taker <= last; taker++) {
        const vector = machine.acknowledge(taker);
        if (vector !== VECTOR)
          throw new Error(`CPU ${taker} acknowledged ${vector}, not ${VECTOR}`);
        machine.endOfInterrupt(taker);
      }
      interrupts += last - first + 1;
      n = n + 1 < plan.dests.length ? n + 1 : 0;
    }
    const { user, system } = process.cpuUsage(start);
    if (user + system >= ms * 1e3) return ((user + system) * 1e3) / interrupts;
    if (user + system < ms * 1e3 * BATCH_PART) batch *= 2;
  }
}

const MSR_ICR = 0x830;
const MSR_EOI = 0x80b;
const MODE_X2APIC = 2;
const SVR_ENABLED = 0x1ff;
const FLAT = 0xffffffff;
const RUNNABLE = 0;

/** The core. @param capacity - most CPUs of a machine */
export async function coreTarget(capacity: number): Promise<DispatchTarget> {
  const { exports } = await createApicCore({ vcpuCapacity: capacity });
  return {
    name: "x2vm",
    create(cpus) {
      exports.apicClear();
      for (let id = 0; id < cpus; id++) {
        const vcpuIndex = exports.apicAddVcpu(id, id === 0 ? 1 : 0, 1);
        exports.apicSetState(vcpuIndex, MODE_X2APIC, id & 0xff, SVR_ENABLED, 0, FLAT, RUNNABLE);
      }
      return {
        send: (vcpuIndex, dest, low) => exports.apicWriteMsr(vcpuIndex, MSR_ICR, low, dest, 0, 0),
        acknowledge: (vcpuIndex) => exports.apicAcknowledge(vcpuIndex),
        endOfInterrupt: (vcpuIndex) => exports.apicWriteMsr(vcpuIndex, MSR_EOI, 0, 0, 0, 0),
      };
    },
  };
}
