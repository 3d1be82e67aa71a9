/** Experiments 1 to 8: waking one CPU, or all of them. */
import { outcomes, USUAL, type Experiment } from "./experiment.js";
import { FIXED, INIT, names, NMI, STARTUP, type Lab } from "./lab.js";

const START_PAGE = 0x9a;

/** INIT, SIPI to one destination; both are pending when the targets look. */
export function wake(lab: Lab, dest: number): string {
  lab.ipi(0, { dest, mode: INIT });
  lab.ipi(0, { dest, mode: STARTUP, vector: START_PAGE });
  return lab.process();
}

export const WAKE_EXPERIMENTS: readonly Experiment[] = [
  {
    number: 1,
    title: "waking 0x123",
    setup: USUAL,
    action: "0x00 sends INIT and SIPI to 0x123",
    expected: outcomes("0x123 starts", { "kvm-legacy": "nobody", strict8: "nobody" }),
    note: "a LAPIC in xAPIC mode holds 0x23 only; whether it answers to its 32-bit ID is the policy",
    play: (lab) => {
      lab.usual();
      return wake(lab, 0x123);
    },
  },
  {
    number: 2,
    title: "waking 0x123 while 0x23 is in xAPIC mode",
    setup: "0x00 in x2APIC mode, 0x23 in xAPIC mode; 0x123 is hot-added",
    action: "0x00 sends INIT and SIPI to 0x123",
    expected: outcomes("0x123 starts", {
      "kvm-legacy": "nobody",
      knl: "0x23 restarts, 0x123 starts",
      strict8: "nobody",
    }),
    note: "a LAPIC that truncates takes 0x123 for 0x23: the running neighbour is reset, too",
    play: (lab) => {
      lab.usual("xapic");
      return wake(lab, 0x123);
    },
  },
  {
    number: 3,
    title: "re-onlining 0x23 beside a new 0x123",
    setup: USUAL,
    action: "0x00 sends INIT and SIPI to 0x23",
    expected: outcomes("0x23 restarts", {
      "kvm-f0": "0x23 restarts, 0x123 starts",
      "kvm-scan": "0x23 restarts, 0x123 starts",
      "kvm-legacy": "0x123 starts",
      knl: "0x23 restarts, 0x123 starts",
      strict8: "0x23 restarts, 0x123 starts",
    }),
    note: "the new CPU wakes up with the 8-bit ID of another one; in KVM 4.9 it even takes that ID over",
    play: (lab) => {
      lab.usual();
      return wake(lab, 0x23);
    },
  },
  {
    number: 4,
    title: "NMI to 0x23 while 0x123 waits",
    setup: USUAL,
    action: "0x00 sends NMI to 0x23",
    expected: outcomes("0x23", {
      "kvm-f0": "0x23, 0x123",
      "kvm-scan": "0x23, 0x123",
      "kvm-legacy": "0x123",
      knl: "0x23, 0x123",
      strict8: "0x23, 0x123",
    }),
    note: "an NMI is not gated by SVR: one that 0x123 takes now it handles right after SIPI",
    play: (lab) => {
      lab.usual();
      return names(lab.ipi(0, { dest: 0x23, mode: NMI }));
    },
  },
  {
    number: 5,
    title: "a fixed interrupt to 0x23",
    setup: USUAL,
    action: "0x00 sends vector 0x40 to 0x23",
    expected: outcomes("0x23", { "kvm-legacy": "nobody" }),
    note: "0x123 is software-disabled and refuses it; in KVM 4.9 it owns the ID, and the interrupt is lost",
    play: (lab) => {
      lab.usual();
      return names(lab.ipi(0, { dest: 0x23, mode: FIXED, vector: 0x40 }));
    },
  },
  {
    number: 6,
    title: "INIT and SIPI to 0xffffffff",
    setup: USUAL,
    action: "0x00 sends INIT, then SIPI, to 0xffffffff",
    expected: outcomes("0x00 is reset, 0x23 restarts", {
      "kvm-legacy": "0x00 is reset, 0x23 restarts, 0x123 starts",
      knl: "0x00 is reset, 0x23 restarts, 0x123 starts",
      strict8: "0x00 is reset, 0x23 restarts, 0x123 starts",
      "x2apic-reset": "0x00 is reset, 0x23 restarts, 0x123 starts",
    }),
    note: "today's KVM does not take the 32-bit broadcast to CPUs in xAPIC mode: 0x123 sleeps on",
    play: (lab) => {
      lab.usual();
      return wake(lab, 0xffffffff);
    },
  },
  {
    number: 7,
    title: "INIT-SIPI-SIPI to all but self",
    setup: USUAL,
    action: "0x00 sends INIT and two SIPIs by shorthand",
    expected: outcomes("0x23 restarts, 0x123 starts"),
    note: "shorthands compare no ID: this is how firmware starts CPUs above 0xff at boot",
    play: (lab) => {
      lab.usual();
      lab.allButSelf(0, INIT);
      lab.allButSelf(0, STARTUP, START_PAGE);
      lab.allButSelf(0, STARTUP, START_PAGE);
      return lab.process();
    },
  },
  {
    number: 8,
    title: "INIT to 0x100 beside a bootstrap processor in xAPIC mode",
    setup: "0x00 in xAPIC mode, 0x01 in x2APIC mode; 0x100 is hot-added",
    action: "0x01 sends INIT to 0x100",
    expected: outcomes("0x100 waits", {
      "kvm-legacy": "nobody",
      knl: "0x00 is reset, 0x100 waits",
      strict8: "nobody",
    }),
    note: "the low byte of 0x100 is the bootstrap processor's ID: on Knights Landing the machine restarts",
    play: (lab) => {
      lab.boot(0x00, "xapic");
      lab.boot(0x01);
      lab.hotAdd(0x100);
      lab.ipi(0x01, { dest: 0x100, mode: INIT });
      return lab.process();
    },
  },
];
