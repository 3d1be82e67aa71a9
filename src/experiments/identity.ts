/** Experiments 9 to 19 and 32: who has which ID, and how broadcasts and clusters see it. */
import { hex } from "../errors.js";
import { outcomes, type Experiment } from "./experiment.js";
import { FIXED, INIT, names, NMI, type Lab } from "./lab.js";
import { wake } from "./wake.js";

const CLUSTER_12 = Array.from({ length: 16 }, (_, n) => 0x120 + n);

/** 0x05 takes the 8-bit ID of 0x23. */
function aliasByWriting(lab: Lab): void {
  lab.boot(0x00, "xapic");
  lab.boot(0x05, "xapic");
  lab.boot(0x23, "xapic");
  lab.writeXid(0x05, 0x23);
}

/** 0x23 leaves its 8-bit ID to 0x123. */
function renumber(lab: Lab): void {
  lab.usual("xapic");
  lab.writeXid(0x23, 0x05);
}

export const IDENTITY_EXPERIMENTS: readonly Experiment[] = [
  {
    number: 9,
    title: "a guest writes an 8-bit ID that is taken",
    setup: "0x00, 0x05 and 0x23 in xAPIC mode, in this order; 0x05 writes 0x23 to its ID register",
    action: "0x00 sends vector 0x40 to 0x23",
    expected: outcomes("0x05", {
      "kvm-f0": "0x05, 0x23",
      "kvm-scan": "0x05, 0x23",
      "kvm-legacy": "0x23",
      knl: "0x23",
      "knl,xidWritable=on": "0x05, 0x23",
      strict8: "0x23",
      "strict8,xidWritable=on": "0x05, 0x23",
    }),
    note: "first created, all, or last created; on silicon since Nehalem the ID cannot be written",
    play: (lab) => {
      aliasByWriting(lab);
      return names(lab.ipi(0, { dest: 0x23, mode: FIXED, vector: 0x40 }));
    },
  },
  {
    number: 10,
    title: "disabling and enabling the LAPIC brings the ID back",
    setup: "as 9, then 0x05 clears and sets APIC_BASE.EN",
    action: "0x00 sends NMI to 0x23; 0x05 reads its ID",
    expected: outcomes("ID 0x05; 0x23"),
    note: "the 8-bit ID is derived anew whenever the LAPIC is enabled",
    play: (lab) => {
      aliasByWriting(lab);
      lab.setEnabled(0x05, false);
      lab.setEnabled(0x05, true);
      const id = hex(lab.pageId(0x05) >>> 24, 2);
      return `ID ${id}; ${names(lab.ipi(0, { dest: 0x23, mode: NMI }))}`;
    },
  },
  {
    number: 11,
    title: "0x23 renumbers itself: INIT to 0x23",
    setup: "0x00 in x2APIC mode, 0x23 in xAPIC mode writes 0x05 to its ID; 0x123 is hot-added",
    action: "0x00 sends INIT to 0x23",
    expected: {
      ...outcomes("0x123", {
        "x2apic-reset": "nobody",
        knl: "0x23, 0x123",
        strict8: "0x23, 0x123",
      }),
      "knl,xidWritable=on": "0x123",
      "strict8,xidWritable=on": "0x123",
    },
    note: "nobody but 0x123 has 8-bit ID 0x23 now; where the ID is read-only nothing was renumbered",
    play: (lab) => {
      renumber(lab);
      return names(lab.ipi(0, { dest: 0x23, mode: INIT }));
    },
  },
  {
    number: 12,
    title: "0x23 renumbers itself: INIT to 0x123",
    setup: "as 11",
    action: "0x00 sends INIT to 0x123",
    expected: {
      ...outcomes("0x123", {
        "kvm-f0": "nobody",
        "kvm-legacy": "nobody",
        knl: "0x23, 0x123",
        strict8: "nobody",
      }),
      "knl,xidWritable=on": "0x123",
      "strict8,xidWritable=on": "nobody",
    },
    note: "without an alias kvm-f0 keeps its map, and the map has 0x123 under 0x23 alone",
    play: (lab) => {
      renumber(lab);
      return names(lab.ipi(0, { dest: 0x123, mode: INIT }));
    },
  },
  {
    number: 13,
    title: "the new CPU reads its own ID",
    setup: "0x123 was started by INIT and SIPI",
    action: "0x123 reads the ID register of the page, then MSR 802H",
    expected: outcomes("page 0x23000000, MSR #GP", {
      "kvm-legacy": "0x123 does not run",
      strict8: "0x123 does not run",
      "x2apic-reset": "page 0xffffffff, MSR 0x123",
    }),
    note: "start-up code that looks itself up by the 8-bit ID finds the data of 0x23",
    play: (lab) => {
      lab.usual();
      wake(lab, 0x123);
      if (!lab.isRunning(0x123)) return "0x123 does not run";
      const msr = lab.msrId(0x123);
      return `page ${hex(lab.pageId(0x123), 8)}, MSR ${msr === null ? "#GP" : hex(msr)}`;
    },
  },
  {
    number: 14,
    title: "the new CPU enters x2APIC mode",
    setup: "0x00, 0x23 and 0x123 all in x2APIC mode",
    action: "0x00 sends NMI to 0x23, then to 0x123",
    expected: outcomes("0x23; 0x123"),
    note: "in x2APIC mode every ID is unique again, under every policy",
    play: (lab) => {
      lab.usual();
      lab.enterX2apic(0x123);
      const first = names(lab.ipi(0, { dest: 0x23, mode: NMI }));
      return `${first}; ${names(lab.ipi(0, { dest: 0x123, mode: NMI }))}`;
    },
  },
  {
    number: 15,
    title: "a logical NMI to a cluster with a new CPU",
    setup: "0x00, 0x23 and 0x120 to 0x122 run in x2APIC mode; 0x123 is hot-added",
    action: "0x00 sends NMI to the logical ID 0x0012000f",
    expected: outcomes("0x120, 0x121, 0x122, 0x123", {
      "kvm-f0": "0x120, 0x121, 0x122",
      "kvm-scan": "0x120, 0x121, 0x122",
      "kvm-legacy": "0x120, 0x121, 0x122",
      knl: "0x120, 0x121, 0x122",
      strict8: "0x120, 0x121, 0x122",
    }),
    note: "KVM's map takes cluster members from the physical table, whatever their mode; a scan asks the LDR",
    play: (lab) => {
      for (const apicId of [0x00, 0x23, 0x120, 0x121, 0x122]) lab.boot(apicId);
      lab.hotAdd(0x123);
      return names(lab.ipi(0, { dest: 0x12000f, mode: NMI, logical: true }));
    },
  },
  {
    number: 16,
    title: "a full cluster by one write",
    setup: "0x00 and 0x120 to 0x12f run in x2APIC mode",
    action: "0x00 sends vector 0x40 to the logical ID 0x0012ffff",
    expected: outcomes("16 CPUs"),
    note: "what x2APIC clusters are for",
    play: (lab) => {
      for (const apicId of [0x00, ...CLUSTER_12]) lab.boot(apicId);
      const taken = lab.ipi(0, { dest: 0x12ffff, mode: FIXED, vector: 0x40, logical: true });
      return `${taken.length} CPUs`;
    },
  },
  {
    number: 17,
    title: "a new 0x1ff, and no CPU 0xff",
    setup: "0x00 and 0x23 run in x2APIC mode; 0x1ff is hot-added",
    action: "0x00 sends NMI to 0xff",
    expected: outcomes("0x1ff", { "x2apic-reset": "nobody" }),
    note: "0x1ff has the 8-bit broadcast ID",
    play: (lab) => {
      lab.boot(0x00);
      lab.boot(0x23);
      lab.hotAdd(0x1ff);
      return names(lab.ipi(0, { dest: 0xff, mode: NMI }));
    },
  },
  {
    number: 18,
    title: "0xff from x2APIC mode: a CPU or a broadcast",
    setup: "0x00, 0x23 and 0xff run in x2APIC mode; 0x123 is hot-added",
    action: "0x00 sends NMI to 0xff",
    expected: outcomes("0xff", {
      "kvm-f0": "0xff, 0x123",
      "kvm-scan": "0xff, 0x123",
      knl: "0xff, 0x123",
      strict8: "0xff, 0x123",
    }),
    note: "to an xAPIC-mode LAPIC 0xff is everybody",
    play: (lab) => {
      for (const apicId of [0x00, 0x23, 0xff]) lab.boot(apicId);
      lab.hotAdd(0x123);
      return names(lab.ipi(0, { dest: 0xff, mode: NMI }));
    },
  },
  {
    number: 19,
    title: "MSI to 0xff, with and without KVM's broadcast quirk",
    setup: "0x00, 0x23 and 0xff run in x2APIC mode; 0x123 is hot-added",
    action: "a device sends an MSI in NMI mode to 0xff",
    expected: {
      "kvm,quirk=on": "0x00, 0x23, 0xff, 0x123",
      "kvm,quirk=off": "0xff",
      "kvm-f0,quirk=on": "0x00, 0x23, 0xff, 0x123",
      "kvm-f0,quirk=off": "0xff, 0x123",
      "kvm-scan,quirk=on": "0x00, 0x23, 0xff, 0x123",
      "kvm-scan,quirk=off": "0xff, 0x123",
      "kvm-legacy": "0x00, 0x23, 0xff, 0x123",
      knl: "0xff, 0x123",
      "x2apic-reset,quirk=on": "0x00, 0x23, 0xff, 0x123",
      "x2apic-reset,quirk=off": "0xff",
      strict8: "0xff, 0x123",
    },
    note: "KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK: without it 0xff can never be an ID for a device",
    play: (lab) => {
      for (const apicId of [0x00, 0x23, 0xff]) lab.boot(apicId);
      lab.hotAdd(0x123);
      return names(lab.msi(0xff, NMI));
    },
  },
  {
    number: 32,
    title: "the order of creation",
    setup: "0x00, 0x123 and 0x23, created in this order, all in xAPIC mode",
    action: "0x00 sends NMI to 0x23",
    expected: outcomes("0x123", {
      "kvm-f0": "0x123, 0x23",
      "kvm-scan": "0x123, 0x23",
      "kvm-legacy": "0x23",
      knl: "0x123, 0x23",
      "x2apic-reset": "0x23",
      strict8: "0x123, 0x23",
    }),
    note: "among CPUs in xAPIC mode KVM's map keeps the first created, 4.9 the last",
    play: (lab) => {
      lab.boot(0x00, "xapic");
      lab.hotAdd(0x123);
      lab.boot(0x23, "xapic");
      return names(lab.ipi(0, { dest: 0x23, mode: NMI }));
    },
  },
];
