/** The rows of the experiment with Linux: which policy, who is there beside CPU 0x123, and what is expected. */

/** The CPU that is added. */
export const NEW_ID = 0x123;
/** Its low byte is the ID of this one. */
export const NEIGHBOUR_ID = 0x23;

export interface LinuxRow {
  /** As `parsePolicy` reads it. */
  readonly policy: string;
  /** KVM's feature of 15-bit destinations is offered: Linux then takes CPUs with IDs above 254. */
  readonly hasLongIds: boolean;
  /** CPU 0x23 is there too: waiting as after power-up, in xAPIC mode, or online, in x2APIC mode. */
  readonly neighbour: "xAPIC" | "x2APIC" | undefined;
  /** Any of these; undefined where nothing is on record. */
  readonly expected: readonly string[] | undefined;
  readonly why: string;
}

export const ONLINE = "online";
/** Two CPUs start as one: what becomes of it hangs on the smallest thing, such as the version of the kernel. */
export const CRASH = "the guest crashes";
export const TWO_AS_ONE = "online, two CPUs as one";
/** `smpboot: do_boot_cpu failed(-1) to wakeup CPU#1`, after ten seconds. */
const NOT_WOKEN = "refused, EIO";
/** `smpboot: native_cpu_up: bad cpu 1`. */
const BAD_CPU = "refused, EINVAL";

const plain = { hasLongIds: true, neighbour: undefined };

export const LINUX_ROWS: readonly LinuxRow[] = [
  {
    ...plain,
    policy: "kvm",
    expected: [ONLINE],
    why: "INIT and STARTUP reach 0x123 by its 32-bit ID while its LAPIC is in xAPIC mode",
  },
  {
    ...plain,
    policy: "kvm",
    hasLongIds: false,
    expected: [BAD_CPU],
    why: "Linux itself refuses IDs above 254 and sends nothing",
  },
  {
    ...plain,
    policy: "kvm-f0",
    expected: [NOT_WOKEN],
    why: "without USE_32BIT_IDS the map knows 0x123 by its 8-bit ID only",
  },
  {
    ...plain,
    policy: "kvm-scan",
    expected: [ONLINE],
    why: "the slow path compares the destination with the 32-bit ID too",
  },
  {
    ...plain,
    policy: "kvm-legacy",
    expected: [NOT_WOKEN],
    why: "an xAPIC-mode LAPIC has an 8-bit ID only: nobody takes the INIT",
  },
  {
    ...plain,
    policy: "knl",
    expected: [ONLINE],
    why: "0x123 in xAPIC mode compares the low byte, which is its own",
  },
  {
    ...plain,
    policy: "knl",
    neighbour: "x2APIC",
    expected: [ONLINE],
    why: "0x23 in x2APIC mode compares 32 bits and takes nothing",
  },
  {
    ...plain,
    policy: "knl",
    neighbour: "xAPIC",
    expected: [CRASH, TWO_AS_ONE],
    why: "0x23 in xAPIC mode takes INIT and STARTUP too: two CPUs start on one stack",
  },
  {
    ...plain,
    policy: "x2apic-reset",
    expected: [ONLINE],
    why: "0x123 comes in x2APIC mode: there is no 8-bit ID in the way",
  },
  {
    ...plain,
    policy: "strict8",
    expected: [NOT_WOKEN],
    why: "an xAPIC-mode LAPIC ignores destinations above 0xff",
  },
];
