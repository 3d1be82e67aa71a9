/** The rows of the IPI benchmark: patterns of guests/ipi-bench.asm, and how often each is done. */

export type ApicMode = "xapic" | "x2apic";

/** What belongs into one picture. */
export const IPI_GROUPS = ["base", "one to one", "one to many", "start"] as const;
export type IpiGroup = (typeof IPI_GROUPS)[number];

export interface IpiRow {
  /** Word of the guest's command line. */
  readonly name: string;
  readonly title: string;
  readonly group: IpiGroup;
  /** CPUs that it needs. */
  readonly leastCpus: number;
  /** Interrupts that one repetition of the pattern takes. */
  readonly each: (cpus: number) => number;
  /** Interrupts that a run should have in all, about. */
  readonly inAll: number;
  /** The only APIC mode in which it makes sense. */
  readonly onlyMode?: ApicMode;
  /** It sends to logical IDs of x2APIC mode. */
  readonly hasClusters?: boolean;
  /** Features of KVM's CPUID leaf that the machine must offer. */
  readonly kvmFeatures?: number;
}

/** The loop is translated after a tenth of a million rounds, and V8 takes some milliseconds to compile that well. */
const DRY = 20_000_000;
/** Handlers are translated after a tenth of a million entries: most of a run is to be the machine at its full speed. */
const UNICAST = 2_000_000;
const BROADCAST = 1_500_000;
const WAKE = 40_000;
const one = () => 1;
const thereAndBack = () => 2;
const toOthers = (cpus: number) => cpus - 1;
/** KVM_FEATURE_PV_SEND_IPI. */
const PV_SEND_IPI = 1 << 11;
/** CPUs that one logical destination names beside the sender: guests/ipi-bench/destinations.inc. */
const FLAT_MEMBERS = 7;
const CLUSTER_MEMBERS = 4;

export const IPI_ROWS: readonly IpiRow[] = [
  {
    name: "dry",
    title: "dry run: the loop alone",
    group: "base",
    leastCpus: 1,
    each: one,
    inAll: DRY,
  },
  { name: "self", title: "self-IPI", group: "one to one", leastCpus: 1, each: one, inAll: UNICAST },
  {
    name: "pingpong-spin",
    title: "ping-pong, spinning",
    group: "one to one",
    leastCpus: 2,
    each: thereAndBack,
    inAll: UNICAST,
  },
  {
    name: "pingpong-halt",
    title: "ping-pong, halted",
    group: "one to one",
    leastCpus: 2,
    each: thereAndBack,
    inAll: UNICAST,
  },
  {
    name: "stream-1",
    title: "stream, 1 in flight",
    group: "one to one",
    leastCpus: 2,
    each: one,
    inAll: UNICAST,
  },
  {
    name: "stream-16",
    title: "stream, 16 in flight",
    group: "one to one",
    leastCpus: 2,
    each: one,
    inAll: UNICAST,
  },
  {
    name: "ring",
    title: "ring, halted",
    group: "one to one",
    leastCpus: 2,
    each: one,
    inAll: UNICAST,
  },
  {
    name: "pairs",
    title: "pairs at once, halted",
    group: "one to one",
    leastCpus: 2,
    each: one,
    inAll: UNICAST,
  },
  {
    name: "mesh",
    title: "all to all, spinning",
    group: "one to many",
    leastCpus: 2,
    each: (cpus) => cpus * (cpus - 1),
    inAll: UNICAST,
  },
  {
    name: "broadcast-spin",
    title: "broadcast + ack, spinning",
    group: "one to many",
    leastCpus: 2,
    each: toOthers,
    inAll: BROADCAST,
  },
  {
    name: "broadcast-halt",
    title: "broadcast + ack, halted",
    group: "one to many",
    leastCpus: 2,
    each: toOthers,
    inAll: BROADCAST,
  },
  {
    name: "nmi",
    title: "NMI, halted",
    group: "one to one",
    leastCpus: 2,
    each: one,
    inAll: UNICAST,
  },
  {
    name: "wake-broadcast",
    title: "INIT + SIPI, broadcast",
    group: "start",
    leastCpus: 2,
    each: (cpus) => 2 * (cpus - 1),
    inAll: WAKE,
  },
  {
    name: "wake-each",
    title: "INIT + SIPI, one by one",
    group: "start",
    leastCpus: 2,
    each: (cpus) => 2 * (cpus - 1),
    inAll: WAKE,
  },
  {
    name: "physical",
    title: "to all, physical, one by one",
    group: "one to many",
    leastCpus: 2,
    each: toOthers,
    inAll: BROADCAST,
  },
  {
    name: "flat",
    title: "to 7, logical flat",
    group: "one to many",
    leastCpus: 2,
    each: (cpus) => Math.min(cpus - 1, FLAT_MEMBERS),
    inAll: UNICAST,
    onlyMode: "xapic",
  },
  {
    name: "cluster",
    title: "to 4, logical cluster",
    group: "one to many",
    leastCpus: 2,
    each: (cpus) => Math.min(cpus - 1, CLUSTER_MEMBERS),
    inAll: UNICAST,
    onlyMode: "xapic",
  },
  {
    name: "x2cluster",
    title: "to all, x2APIC clusters",
    group: "one to many",
    leastCpus: 2,
    each: toOthers,
    inAll: BROADCAST,
    onlyMode: "x2apic",
    hasClusters: true,
  },
  {
    name: "pv-send-ipi",
    title: "to all, PV_SEND_IPI",
    group: "one to many",
    leastCpus: 2,
    each: toOthers,
    inAll: BROADCAST,
    kvmFeatures: PV_SEND_IPI,
  },
];

/**
 * How often to do it.
 *
 * @param part - of the usual number of interrupts: less on a slow machine
 */
export function countOf({ each, inAll }: IpiRow, cpus: number, part = 1): number {
  return Math.max(1, Math.round((inAll * part) / each(cpus)));
}
