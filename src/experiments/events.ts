/** Experiments 20 to 31 and 33 to 36: pending events, unplugging, arbitration, paravirtual calls, changes at run time. */
import * as abi from "../../assembly/abi.js";
import { hex } from "../errors.js";
import { outcomes, USUAL, type Experiment } from "./experiment.js";
import { FIXED, INIT, LOWEST_PRIORITY, names, NMI, STARTUP, type Lab } from "./lab.js";
import { wake } from "./wake.js";

/** 0x00 runs, 0x05 was created and never started; no ID is aliased. */
function pair(lab: Lab): void {
  lab.boot(0x00);
  lab.hotAdd(0x05);
}

/** How many of vectors 0x30 to 0x3f get lost on their way to logical bits 0, 1 and 3 of cluster 0x12. */
function lostVectors(lab: Lab): number {
  let lost = 0;
  for (let vector = 0x30; vector < 0x40; vector++) {
    const sent = { dest: 0x12000b, mode: LOWEST_PRIORITY, vector, logical: true };
    if (lab.ipi(0, sent).length === 0) lost++;
  }
  return lost;
}

/** Sends to 0x23 in each of the modes that 0x23 goes through. */
function toggleModes(lab: Lab): string {
  const hits: string[] = [];
  const send = (mode: string): void => {
    hits.push(`${mode}: ${names(lab.ipi(0, { dest: 0x23, mode: NMI }))}`);
  };
  send("x2APIC");
  lab.setEnabled(0x23, false);
  send("off");
  lab.setEnabled(0x23, true);
  send("xAPIC");
  lab.enterX2apic(0x23);
  send("x2APIC");
  return hits.join("; ");
}

export const EVENT_EXPERIMENTS: readonly Experiment[] = [
  {
    number: 20,
    title: "INIT to a running CPU",
    setup: "0x00 and 0x23 run in x2APIC mode; 0x23 serves one interrupt and has another pending",
    action: "0x00 sends INIT to 0x23",
    expected: outcomes("0x23 stops, 0 vectors left"),
    note: "INIT clears IRR and ISR and keeps the mode; the TSC goes on",
    play: (lab) => {
      lab.boot(0x00);
      lab.boot(0x23);
      lab.ipi(0, { dest: 0x23, mode: FIXED, vector: 0x40 });
      lab.acknowledge(0x23);
      lab.ipi(0, { dest: 0x23, mode: FIXED, vector: 0x51 });
      lab.ipi(0, { dest: 0x23, mode: INIT });
      return `${lab.process()}, ${lab.pendingVectors(0x23)} vectors left`;
    },
  },
  {
    number: 21,
    title: "SIPI without INIT",
    setup: "0x05 was created and never got an INIT",
    action: "0x00 sends SIPI to 0x05",
    expected: outcomes("nobody"),
    note: "KVM discards it; real hardware waits for SIPI right after reset and would start",
    play: (lab) => {
      pair(lab);
      lab.ipi(0, { dest: 0x05, mode: STARTUP, vector: 0x10 });
      return lab.process();
    },
  },
  {
    number: 22,
    title: "two SIPIs before the target looks",
    setup: "0x05 was created and never started",
    action: "0x00 sends INIT, SIPI 0x10, SIPI 0x20",
    expected: outcomes("0x05 starts at 0x20000", {
      knl: "0x05 starts at 0x10000",
      strict8: "0x05 starts at 0x10000",
    }),
    note: "KVM keeps one vector, the last; hardware starts at the first and ignores the second",
    play: (lab) => {
      pair(lab);
      lab.ipi(0, { dest: 0x05, mode: INIT });
      lab.ipi(0, { dest: 0x05, mode: STARTUP, vector: 0x10 });
      lab.ipi(0, { dest: 0x05, mode: STARTUP, vector: 0x20 });
      return `${lab.process()} at ${hex(lab.startAddress(0x05))}`;
    },
  },
  {
    number: 23,
    title: "SIPI, then INIT",
    setup: "0x05 was created and never started",
    action: "0x00 sends SIPI and INIT, in the wrong order",
    expected: outcomes("0x05 waits"),
    note: "INIT erases the pending SIPI: the CPU waits until another one comes",
    play: (lab) => {
      pair(lab);
      lab.ipi(0, { dest: 0x05, mode: STARTUP, vector: 0x10 });
      lab.ipi(0, { dest: 0x05, mode: INIT });
      return lab.process();
    },
  },
  {
    number: 24,
    title: "NMI between INIT and SIPI",
    setup: "0x05 was created and never started",
    action: "0x00 sends INIT to 0x05, NMI to all but itself, SIPI to 0x05",
    expected: outcomes("0x05 starts with an NMI pending"),
    note: "the first thing the CPU does is to take the NMI through the real-mode vector table",
    play: (lab) => {
      pair(lab);
      lab.ipi(0, { dest: 0x05, mode: INIT });
      lab.process();
      lab.allButSelf(0, NMI);
      lab.ipi(0, { dest: 0x05, mode: STARTUP, vector: 0x10 });
      return `${lab.process()} with ${lab.hasNmi(0x05) ? "an NMI" : "nothing"} pending`;
    },
  },
  {
    number: 25,
    title: "an interrupt to an unplugged CPU",
    setup: "0x00 and 0x23 run in x2APIC mode; 0x23 is unplugged",
    action: "0x00 sends vector 0x40 to 0x23",
    expected: outcomes("0x23", {
      knl: "nobody",
      strict8: "nobody",
      "kvm,unpluggedIgnores=on": "nobody",
    }),
    note: "KVM parks the vCPU: its LAPIC accepts what nobody will ever handle; real silicon is gone",
    play: (lab) => {
      lab.boot(0x00);
      lab.boot(0x23);
      lab.unplug(0x23);
      return names(lab.ipi(0, { dest: 0x23, mode: FIXED, vector: 0x40 }));
    },
  },
  {
    number: 26,
    title: "an ID left behind by an unplugged CPU",
    setup:
      "0x00 runs, 0x23 is unplugged: parked as in KVM, or gone with its LAPIC; 0x123 is hot-added",
    action: "0x00 sends INIT and SIPI to 0x23",
    expected: {
      ...outcomes("0x123 starts", { kvm: "nobody", "x2apic-reset": "nobody" }),
      "kvm,unpluggedIgnores=on": "0x123 starts",
      "kvm-f0,unpluggedIgnores=on": "0x123 starts",
      "kvm-scan,unpluggedIgnores=on": "0x123 starts",
      "kvm-legacy,unpluggedIgnores=on": "0x123 starts",
      "x2apic-reset,unpluggedIgnores=on": "nobody",
    },
    note: "KVM's map leaves the ID with the parked LAPIC; where it is gone, all claimants are asked, or the last created owns the ID, the alias answers in its place",
    play: (lab) => {
      lab.usual();
      lab.unplug(0x23);
      return wake(lab, 0x23);
    },
  },
  {
    number: 27,
    title: "unplugging 0x123 and adding it again",
    setup: `${USUAL}, enters x2APIC mode, and is unplugged`,
    action: "0x123 is added again; it reads the ID register of its page",
    expected: outcomes("page 0x23000000", { "x2apic-reset": "page 0xffffffff" }),
    note: "the parked vCPU is used again: its LAPIC must be as after power-up, in xAPIC mode, unless the VMM changes the mode of every CPU that it adds",
    play: (lab) => {
      lab.usual();
      lab.enterX2apic(0x123);
      lab.unplug(0x123);
      lab.replug(0x123);
      return `page ${hex(lab.pageId(0x123), 8)}`;
    },
  },
  {
    number: 28,
    title: "three interrupts of one vector",
    setup: "0x00 and 0x23 run in x2APIC mode",
    action:
      "0x00 sends vector 0x40 to 0x23 three times, the second and third while the first is served",
    expected: outcomes("2 handled"),
    note: "one bit in ISR and one in IRR: the third one merges with the second",
    play: (lab) => {
      lab.boot(0x00);
      lab.boot(0x23);
      const sent = { dest: 0x23, mode: FIXED, vector: 0x40 };
      lab.ipi(0, sent);
      let handled = lab.acknowledge(0x23) === 0x40 ? 1 : 0;
      lab.ipi(0, sent);
      lab.ipi(0, sent);
      for (lab.eoi(0x23); lab.acknowledge(0x23) === 0x40; lab.eoi(0x23)) handled++;
      return `${handled} handled`;
    },
  },
  {
    number: 29,
    title: "lowest priority to a cluster with a gap",
    setup: "0x00, 0x120 and 0x121 run in x2APIC mode; first with a CPU 0x130, then without",
    action: "0x00 sends vectors 0x30 to 0x3f to the logical ID 0x0012000b",
    expected: outcomes("5 lost; 0 lost", {
      "kvm-scan": "0 lost; 0 lost",
      knl: "0 lost; 0 lost",
      strict8: "0 lost; 0 lost",
    }),
    note: "KVM's map counts the bits of the message: the empty one wins every third vector, if the table reaches it; a scan and real parts choose among the CPUs that are there",
    play: (lab) => {
      for (const apicId of [0x00, 0x120, 0x121, 0x130]) lab.boot(apicId);
      const first = lostVectors(lab);
      lab.setEnabled(0x130, false);
      return `${first} lost; ${lostVectors(lab)} lost`;
    },
  },
  {
    number: 30,
    title: "KVM's hypercall for IPIs reaches 0x123",
    setup: USUAL,
    action: "SEND_IPI with lowest ID 0xe3 and bit 64: vector 0x40, then NMI",
    expected: {
      kvm: "fixed 0, NMI 1",
      "kvm-f0": "fixed -95, NMI -95",
      "kvm-scan": "fixed -95, NMI -95",
      "x2apic-reset": "fixed 0, NMI 1",
    },
    without: {
      "kvm-legacy": "the call came after 4.9",
      knl: "silicon has no such call",
      strict8: "silicon has no such call",
    },
    note: "it looks at the physical map alone; without a map there is -EOPNOTSUPP",
    play: (lab) => {
      lab.usual();
      const fixed = lab.pvSendIpi(0xe3, FIXED, 0x40);
      return `fixed ${fixed}, NMI ${lab.pvSendIpi(0xe3, NMI, 0)}`;
    },
  },
  {
    number: 31,
    title: "turning 32-bit IDs on at run time",
    setup: `${USUAL}; KVM_X2APIC_API_USE_32BIT_IDS is as the policy has it: off in kvm-f0`,
    action: "NMI to 0x23; the flag is set; NMI; 0x23 toggles SVR[8]; NMI",
    expected: {
      kvm: "0x23; 0x23; 0x23",
      "kvm-f0": "0x23, 0x123; 0x23, 0x123; 0x23",
      "kvm-scan": "0x23, 0x123; 0x23, 0x123; 0x23, 0x123",
      "x2apic-reset": "0x23; 0x23; 0x23",
    },
    without: {
      "kvm-legacy": "in 4.9 the flag has no part in it",
      knl: "silicon has no such flag",
      strict8: "silicon has no such flag",
    },
    note: "the capability only sets the flag: the map is drawn up in its new form at the next rebuild. kvm and x2apic-reset have it from the start; without a map it changes nothing",
    play: (lab) => {
      lab.usual();
      const nmi = (): string => names(lab.ipi(0, { dest: 0x23, mode: NMI }));
      const before = nmi();
      lab.setKnob(abi.KNOB_IDS32, 1);
      const after = nmi();
      lab.toggleSvr(0x23);
      return `${before}; ${after}; ${nmi()}`;
    },
  },
  {
    number: 33,
    title: "INIT and SIPI while the target is in SMM",
    setup: "0x05 is in system management mode",
    action: "0x00 sends INIT and SIPI to 0x05",
    expected: {},
    note: "there INIT is latched and the SIPI is lost: after leaving, the CPU waits and needs another one",
    play: null,
    instead: "not modelled: SMM and VMX root operation",
  },
  {
    number: 34,
    title: "a Linux guest without the 15-bit destination feature",
    setup: "CPUID.40000001H:EAX[15] is 0; 0x123 is hot-added",
    action: "the guest onlines 0x123",
    expected: {},
    note: "a decision of the guest, not of the APIC: it refuses the CPU and sends no INIT",
    play: null,
    instead: "needs a Linux guest: x2vm experiment linux-hotplug",
  },
  {
    number: 35,
    title: "onlining 0x123 after it once ran",
    setup: "0x00, 0x23 and 0x123 run in x2APIC mode",
    action: "0x00 sends INIT and SIPI to 0x123",
    expected: outcomes("0x123 restarts"),
    note: "INIT keeps x2APIC mode: the CPU stays addressable, which is why the defect went unseen",
    play: (lab) => {
      for (const apicId of [0x00, 0x23, 0x123]) lab.boot(apicId);
      return wake(lab, 0x123);
    },
  },
  {
    number: 36,
    title: "0x23 goes through its modes while 0x00 sends",
    setup: USUAL,
    action: "0x00 sends NMI to 0x23 in x2APIC mode, disabled, in xAPIC mode, in x2APIC mode again",
    expected: outcomes("x2APIC: 0x23; off: 0x123; xAPIC: 0x23; x2APIC: 0x23", {
      "kvm-f0": "x2APIC: 0x23, 0x123; off: 0x123; xAPIC: 0x23, 0x123; x2APIC: 0x23, 0x123",
      "kvm-scan": "x2APIC: 0x23, 0x123; off: 0x123; xAPIC: 0x23, 0x123; x2APIC: 0x23, 0x123",
      "kvm-legacy": "x2APIC: 0x123; off: 0x123; xAPIC: 0x123; x2APIC: 0x123",
      knl: "x2APIC: 0x23, 0x123; off: 0x123; xAPIC: 0x23, 0x123; x2APIC: 0x23, 0x123",
      strict8: "x2APIC: 0x23, 0x123; off: 0x123; xAPIC: 0x23, 0x123; x2APIC: 0x23, 0x123",
      "x2apic-reset": "x2APIC: 0x23; off: nobody; xAPIC: 0x23; x2APIC: 0x23",
    }),
    note: "never more than one target under kvm; while 0x23 is off its ID belongs to the alias",
    play: (lab) => {
      lab.usual();
      return toggleModes(lab);
    },
  },
];
