/** The rows of the compute benchmark: kernels of guests/compute.asm. */

export interface Kernel {
  /** Word of the guest's command line. */
  readonly name: string;
  readonly title: string;
  /** How often the guest does its work: about a tenth of a second, on either machine. */
  readonly count: number;
  /** Nanoseconds are shown for each of these; without it the row is in millions of instructions a second. */
  readonly per?: { readonly what: string; readonly eachCount: number };
}

const KIB_OF_A_COPY = 1024;

export const KERNELS: readonly Kernel[] = [
  { name: "alu", title: "tight loop on registers", count: 8_000_000 },
  { name: "sieve", title: "sieve of 64 KiB", count: 60 },
  { name: "modify", title: "read-modify-write", count: 6_000 },
  { name: "calls", title: "recursive calls", count: 150 },
  { name: "crc", title: "CRC by branches", count: 200 },
  { name: "muldiv", title: "multiply and divide", count: 3_000_000 },
  { name: "chase", title: "pointer chase, 512 pages", count: 10_000_000 },
  { name: "copy", title: "copy loop, 1 MiB", count: 50 },
  {
    name: "repmovs",
    title: "REP MOVSQ, 1 MiB",
    count: 200,
    per: { what: "KiB", eachCount: KIB_OF_A_COPY },
  },
  { name: "trap", title: "INT and IRETQ", count: 1_000_000, per: { what: "trap", eachCount: 1 } },
  { name: "identify", title: "CPUID", count: 2_000_000, per: { what: "CPUID", eachCount: 1 } },
  { name: "port", title: "port write", count: 1_000_000, per: { what: "OUT", eachCount: 1 } },
  {
    name: "reload",
    title: "CR3 reload, 4 first accesses",
    count: 1_000_000,
    per: { what: "reload", eachCount: 1 },
  },
  {
    name: "fault",
    title: "page fault and back",
    count: 1_000_000,
    per: { what: "fault", eachCount: 1 },
  },
];
