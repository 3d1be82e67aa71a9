/** The rows of the compute benchmark: kernels of guests/compute.asm and guests/compute32.asm. */

/** What a kernel is about: goals of speed are set for each kind. */
export type KernelKind = "integer" | "float" | "system";

export interface Kernel {
  /** Word of the guest's command line. */
  readonly name: string;
  readonly title: string;
  readonly kind: KernelKind;
  /** How often the guest does its work: about a tenth of a second. */
  readonly count: number;
  /** Nanoseconds are shown for each of these; without it the row is in millions of instructions a second. */
  readonly per?: { readonly what: string; readonly eachCount: number };
}

const KIB_OF_A_COPY = 1024;

export const KERNELS: readonly Kernel[] = [
  { name: "alu", title: "loop on registers", kind: "integer", count: 8_000_000 },
  { name: "sieve", title: "sieve of 64 KiB", kind: "integer", count: 60 },
  { name: "modify", title: "read-modify-write", kind: "integer", count: 6_000 },
  { name: "calls", title: "recursive calls", kind: "integer", count: 150 },
  { name: "crc", title: "CRC by branches", kind: "integer", count: 200 },
  { name: "muldiv", title: "multiply and divide", kind: "integer", count: 2_000_000 },
  { name: "chase", title: "pointer chase, 512 pages", kind: "integer", count: 10_000_000 },
  { name: "packed", title: "packed integers", kind: "integer", count: 20_000 },
  { name: "copy", title: "copy loop, 1 MiB", kind: "integer", count: 50 },
  {
    name: "repmovs",
    title: "REP MOVS, 1 MiB",
    kind: "integer",
    count: 400,
    per: { what: "KiB", eachCount: KIB_OF_A_COPY },
  },
  { name: "doubles", title: "scalar doubles", kind: "float", count: 2_000_000 },
  { name: "x87", title: "x87", kind: "float", count: 800_000 },
  system("trap", "INT and IRET", 500_000, "trap"),
  system("identify", "CPUID", 4_000_000, "CPUID"),
  system("port", "port write", 2_000_000, "OUT"),
  system("reload", "CR3 reload, 4 first accesses", 500_000, "reload"),
  system("fault", "page fault and back", 300_000, "fault"),
];

function system(name: string, title: string, count: number, what: string): Kernel {
  return { name, title, kind: "system", count, per: { what, eachCount: 1 } };
}

/** The kernel with another amount of work. */
export function withShare(kernel: Kernel, share: number): Kernel {
  return { ...kernel, count: Math.max(1, Math.round(kernel.count * share)) };
}
