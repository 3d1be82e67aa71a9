/** The decision tables T1 to T11: aliased IDs, mixed modes, logical destinations. Sets are for INIT and NMI. */
import type { Row } from "./rows.js";
import type { ModelPolicyName } from "./presets.js";

type Cells = Partial<Record<ModelPolicyName, string>>;

/** Rows of one machine and sender: [destination, cells]. */
function table(name: string, cpus: string, from: string, rows: readonly [string, Cells][]): Row[] {
  return rows.map(([dest, want]) => ({ name: `${name} ${dest}`, cpus, from, dest, want }));
}

const EVERY: readonly ModelPolicyName[] = [
  "kvm",
  "kvm-noquirk",
  "kvm-scan",
  "kvm-f0",
  "kvm-legacy",
  "knl",
  "strict8",
  "x2apic-reset",
];

/** The same cell under every policy, with exceptions. */
function every(cell: string, except: Cells = {}): Cells {
  return { ...Object.fromEntries(EVERY.map((policy) => [policy, cell])), ...except };
}

/** Under every KVM that has one. */
function kvms(cell: string): Cells {
  return { kvm: cell, "kvm-noquirk": cell, "kvm-scan": cell, "kvm-f0": cell };
}

const BIG = "0[2] 23[2] ff[2] 100[2] 123[x,sw-]";
const ALL5 = "0 23 ff 100 123";

const T1 = table("T1 big guest, B=123 hot-added", BIG, "0", [
  [
    "P 0",
    every("0", {
      kvm: "0 F",
      "kvm-scan": "0 S",
      "kvm-f0": "0 S",
      "kvm-legacy": "0 F",
      "x2apic-reset": "0 F",
    }),
  ],
  [
    "P 23",
    {
      kvm: "23 F",
      "kvm-scan": "23 123 S",
      "kvm-f0": "23 123 S",
      "kvm-legacy": "123 F",
      knl: "23 123",
      strict8: "23 123",
      "x2apic-reset": "23 F",
    },
  ],
  [
    "P 123",
    {
      kvm: "123 F",
      "kvm-scan": "123 S",
      "kvm-f0": "123 S",
      "kvm-legacy": "-",
      knl: "123",
      strict8: "-",
      "x2apic-reset": "123 F",
    },
  ],
  [
    "P ff",
    {
      kvm: "ff F",
      "kvm-scan": "ff 123 S",
      "kvm-f0": "ff 123 S",
      "kvm-legacy": "ff F",
      knl: "ff 123",
      strict8: "ff 123",
      "x2apic-reset": "ff F",
    },
  ],
  ["P 100", every("100", { kvm: "100 F", "kvm-f0": "100 S" })],
  ["P 1ff", every("-", { knl: "123", "knl-exact": "-" })],
  [
    "P ffffffff",
    {
      ...kvms("0 23 ff 100 S"),
      "kvm-legacy": ALL5,
      knl: ALL5,
      strict8: ALL5,
      "x2apic-reset": ALL5,
    },
  ],
  ["all-but-self", every("23 ff 100 123")],
  ["all", every(ALL5)],
  ["self", every("0")],
]);

const T2 = table("T2 big guest, message without a sender", BIG, "-", [
  [
    "P 23",
    {
      "kvm-noquirk": "23 F",
      kvm: "23 F",
      "kvm-f0": "23 123 S",
      "kvm-legacy": "123 F",
      knl: "23 123",
    },
  ],
  [
    "P 123",
    { "kvm-noquirk": "123 F", kvm: "123 F", "kvm-f0": "23 123 S", "kvm-legacy": "-", knl: "123" },
  ],
  [
    "P ff",
    {
      "kvm-noquirk": "ff F",
      kvm: `${ALL5} S`,
      "kvm-f0": `${ALL5} S`,
      "kvm-legacy": `${ALL5} S`,
      knl: "ff 123",
    },
  ],
  [
    "P ffffffff",
    {
      "kvm-noquirk": "0 23 ff 100 S",
      kvm: "- F",
      "kvm-f0": `${ALL5} S`,
      "kvm-f0-noquirk": "ff 123 S",
      "kvm-legacy": "-",
      knl: ALL5,
    },
  ],
]);

const XAPIC_ONLY = "0[x,ldr1] 23[x,ldr2] 123[x,sw-]";
const T3 = [
  ...table("T3 xAPIC-only guest", XAPIC_ONLY, "0", [
    [
      "P 23",
      {
        kvm: "23 F",
        "kvm-scan": "23 123",
        "kvm-f0": "23 123",
        "kvm-legacy": "123 F",
        knl: "23 123",
        strict8: "23 123",
        "x2apic-reset": "23 F",
      },
    ],
    [
      "P ff",
      {
        kvm: "0 23 123 S",
        "kvm-scan": "0 23 123",
        "kvm-f0": "0 23 123",
        "kvm-legacy": "0 23 123 S",
        knl: "0 23 123",
        strict8: "0 23 123",
        "x2apic-reset": "0 23",
      },
    ],
    ["all-but-self", every("23 123")],
  ]),
  ...table("T3 B created before A", "0[x,ldr1] 123[x,sw-] 23[x,ldr2]", "0", [
    [
      "P 23",
      {
        kvm: "123 F",
        "kvm-scan": "123 23",
        "kvm-f0": "123 23",
        "kvm-legacy": "23 F",
        knl: "123 23",
        strict8: "123 23",
        "x2apic-reset": "23 F",
      },
    ],
  ]),
  ...table("T3 MSI", XAPIC_ONLY, "-", [
    [
      "P 123",
      {
        kvm: "123 F",
        "kvm-scan": "123",
        "kvm-f0": "23 123",
        "kvm-legacy": "-",
        knl: "23 123",
        strict8: "-",
        "x2apic-reset": "123 F",
      },
    ],
  ]),
];

const T4 = table("T4 Z in x2APIC mode, A still in xAPIC mode", "0[2] 23[x,ldr2] 123[x,sw-]", "0", [
  [
    "P 23",
    {
      "kvm-noquirk": "23 F",
      kvm: "23 F",
      "kvm-scan": "23 123",
      "kvm-f0": "23 123",
      "kvm-legacy": "123 F",
      "kvm-legacy-scan": "-",
      knl: "23 123",
    },
  ],
  [
    "P 123",
    {
      "kvm-noquirk": "123 F",
      kvm: "123 F",
      "kvm-scan": "123",
      "kvm-f0": "123",
      "kvm-legacy": "-",
      "kvm-legacy-scan": "-",
      knl: "23 123",
    },
  ],
  [
    "P ff",
    {
      "kvm-noquirk": "23 123 S",
      kvm: "-",
      "kvm-scan": "23 123",
      "kvm-f0": "23 123",
      "kvm-legacy": "-",
      "kvm-legacy-scan": "-",
      knl: "23 123",
    },
  ],
  [
    "P ffffffff",
    {
      ...kvms("0"),
      "kvm-legacy": "0 23 123",
      "kvm-legacy-scan": "0 23 123",
      knl: "0 23 123",
    },
  ],
]);

const T5 = [
  ...table("T5 sender A in xAPIC mode", "0[2] 23[x,ldr2] ff[2] 100[2]", "23", [
    ["P 0", { kvm: "0 F", "kvm-noquirk": "0 F", "kvm-scan": "0", "kvm-legacy": "0 F" }],
    ["P 0", { "kvm-legacy-scan": "0" }], // 0 << 24 is 0: equal raw encodings
    ["P ff", { kvm: "23 ff S", "kvm-scan": "23 ff S" }],
  ]),
  ...table("T5 cross-format unicast", "0[2] 23[x,ldr2] 40[2]", "23", [
    ["P 40", { kvm: "40 F", "kvm-legacy": "40 F", "kvm-legacy-scan": "-" }],
  ]),
  ...table("T5 corner: the only sw-enabled LAPICs are x2APIC", "0[2] 23[x,ldr2,sw-] ff[2]", "23", [
    ["P ff", { "kvm-noquirk": "ff F", kvm: "23 ff S" }],
  ]),
];

const T6 = [
  ...table("T6 100 next to a BSP in x2APIC mode", "0[2] 1[2] 100[x,sw-]", "1", [
    ["P 100", { kvm: "100 F", "kvm-f0": "100 S", "kvm-legacy": "-", knl: "100" }],
    ["P 0", { kvm: "0 F", "kvm-f0": "0 100 S", "kvm-legacy": "100 F", knl: "0 100" }],
  ]),
  ...table("T6 100 next to a BSP in xAPIC mode", "0[x,ldr1] 1[2] 100[x,sw-]", "1", [
    ["P 100", { kvm: "100 F", "kvm-f0": "100 S", "kvm-legacy": "-", knl: "0 100" }],
  ]),
];

const T7 = [
  ...table("T7 vCPU 5 took xid 23", "0[x,ldr1] 5[x,xid23] 23[x]", "0", [
    ["P 5", { kvm: "-", "kvm-scan": "-", "kvm-f0": "-", "kvm-legacy": "-", knl: "-" }],
    [
      "P 23",
      { kvm: "5 F", "kvm-scan": "5 23", "kvm-f0": "5 23", "kvm-legacy": "23 F", knl: "5 23" },
    ],
  ]),
  ...table("T7 read-only xid", "0[x,ldr1] 5[x] 23[x]", "0", [
    ["P 5", every("5")],
    ["P 23", every("23")],
  ]),
  ...table("T7 A in x2APIC mode", "0[2] 5[x,xid23] 23[2]", "0", [
    ["P 23", { kvm: "23 F", "kvm-scan": "5 23", knl: "5 23", "kvm-legacy": "23 F" }],
  ]),
  ...table("T7 A renumbered itself to 5", "0[2] 23[x,xid5] 123[x,sw-]", "0", [
    ["P 23", every("123", { "x2apic-reset": "-" })],
    ["P 5", every("23")],
    ["P 123", { kvm: "123 F", "kvm-f0": "- F", "kvm-legacy": "-", knl: "123" }],
  ]),
];

const T8 = [
  ...table("T8 an alias fills an empty slot", "0[2] 1ff[x,sw-]", "0", [
    ["P ff", { kvm: "1ff F" }],
    ["P 1ff", { kvm: "1ff F", "kvm-f0": "-" }],
  ]),
  ...table("T8 MSI", "0[2] 1ff[x,sw-]", "-", [["P ff", { kvm: "0 1ff S" }]]),
];

const T9 = [
  ...table("T9 x2APIC logical", "0[2] 23[2] 120[2] 125[2] 123[x,sw-]", "0", [
    ["L 00020008", { kvm: "23 F", "kvm-scan": "23", "kvm-legacy": "123 F", knl: "23" }],
    ["L 00120001", { kvm: "120 F", "kvm-scan": "120", "kvm-legacy": "120 F", knl: "120" }],
    ["L 00120008", { kvm: "123 F", "kvm-scan": "-", "kvm-legacy": "-", knl: "-" }],
    [
      "L 0012ffff",
      {
        kvm: "120 125 123 F",
        "kvm-scan": "120 125",
        "kvm-legacy": "120 125",
        knl: "120 125 123",
        "knl-exact": "120 125",
      },
    ],
    [
      "L 000000ff",
      { kvm: "0 F", "kvm-noquirk": "0 F", "kvm-scan": "0 123", "kvm-legacy": "0", knl: "0 123" },
    ],
    [
      "L ffffffff",
      {
        kvm: "0 23 120 125",
        "kvm-scan": "0 23 120 125",
        "kvm-legacy": "0 23 120 125 123",
        knl: "0 23 120 125 123",
      },
    ],
  ]),
  ...table("T9 without A", "0[2] 120[2] 125[2] 123[x,sw-]", "0", [
    ["L 00020008", { kvm: "123 F", "kvm-f0": "123 F", "kvm-scan": "-" }],
  ]),
];

const MIXED = "0[2] 40[2] 41[2] 23[x,ldr1]";
const T10 = [
  ...table("T10 logical, mixed modes", MIXED, "0", [
    ["L 00040001", { kvm: "40 23 S", "kvm-legacy": "40 S" }],
    ["L 00000001", { kvm: "0 23 S" }],
  ]),
  ...table("T10 from A", MIXED, "23", [["L 01", { kvm: "0 23 S", "kvm-legacy": "23 S" }]]),
];

const T11 = [
  ...table("T11 flat", "0[x,ldr1] 1[x,ldr2] 2[x,ldr4] 3[x,ldr8] 123[x,sw-]", "0", [
    ["L 0a", every("1 3")],
    ["L 10", every("-")],
    ["L ff", every("0 1 2 3 123", { "x2apic-reset": "0 1 2 3" })],
    ["L 00", every("-")],
  ]),
  ...table(
    "T11 cluster",
    "0[x,cluster,ldr01] 1[x,cluster,ldr02] 2[x,cluster,ldr11] 3[x,cluster,ldr12]",
    "0",
    [
      ["L 03", every("0 1")],
      ["L 11", every("2")],
      ["L f1", kvms("-")],
      ["L ff", every("0 1 2 3")],
    ],
  ),
];

export const CASE_ROWS: readonly Row[] = [
  ...T1,
  ...T2,
  ...T3,
  ...T4,
  ...T5,
  ...T6,
  ...T7,
  ...T8,
  ...T9,
  ...T10,
  ...T11,
];
