/** Figures that others have published for KVM on bare metal. */

export interface PublishedFigure {
  readonly what: string;
  /** Microseconds for each interrupt or, where `text` stands, something else. */
  readonly us?: string;
  readonly text?: string;
  readonly machine: string;
  readonly source: string;
  readonly url: string;
}

const SEND_IPI = {
  machine: "Xeon Skylake 2.5 GHz, 80 vCPUs on 80 threads; Linux IPI benchmark, 100,000 of each",
  source: "Linux commit 4180bf1b655a, “send IPI” hypercall (2018)",
  url: "https://git.kernel.org/torvalds/c/4180bf1b655a",
} as const;
const IPIV = {
  machine: "kvm-unit-tests, source vCPU to the end of the target's handler",
  source: "Cover letter “IPI virtualization support for VM” (2021)",
  url: "https://lore.kernel.org/kvm/20210716064808.14757-1-guang.zeng@intel.com/",
} as const;

export const PUBLISHED: readonly PublishedFigure[] = [
  { what: "self-IPI, x2APIC cluster mode", us: "0.15", ...SEND_IPI },
  { what: "unicast, until its handler runs", us: "2.24", ...SEND_IPI },
  { what: "unicast, until the sender knows", us: "2.51", ...SEND_IPI },
  { what: "to 79 others, x2APIC cluster mode, in all", us: "92.8", ...SEND_IPI },
  { what: "to 79 others, x2APIC physical mode, in all", us: "198", ...SEND_IPI },
  { what: "to 79 others, PV_SEND_IPI, in all", us: "75.7 – 78.1", ...SEND_IPI },
  { what: "unicast with IPI virtualization, xAPIC mode", text: "22 % fewer cycles", ...IPIV },
  { what: "unicast with IPI virtualization, x2APIC mode", text: "16 % fewer cycles", ...IPIV },
];

/** What these figures are and ours are not. */
export const PUBLISHED_CAVEAT =
  "These include real traffic between cores and a real kernel's handler, and usually an exit to the hypervisor. The " +
  "figures of x2vm are the work of one host thread that plays all CPUs: they say what the simulation costs, not what " +
  "hardware does. They do not compare; they show the order of magnitude.";
