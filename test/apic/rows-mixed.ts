/** 29 machines and messages with the receivers under every policy. Sets are for INIT and NMI. */
import type { Row } from "./rows.js";
import type { ModelPolicyName } from "./presets.js";

const COLUMNS = [
  "kvm-noquirk",
  "kvm",
  "kvm-scan-noquirk",
  "kvm-f0",
  "kvm-legacy",
  "knl",
  "x2apic-reset",
] as const satisfies ModelPolicyName[];

/** Cells in the order of COLUMNS; "=" repeats the first one, "n/a" leaves the policy out. */
function row(name: string, cpus: string, from: string, dest: string, ...cells: string[]): Row {
  const want: Partial<Record<ModelPolicyName, string>> = {};
  COLUMNS.forEach((policy, n) => {
    const cell = cells[n] === "=" ? cells[0]! : cells[n]!;
    if (cell !== "n/a") want[policy] = cell;
  });
  return { name, cpus, from, dest, want };
}

const BIG = "0[2] 23[2] ff[2] 100[2] 123[x,sw-]";
const ALL5 = "0 23 ff 100 123";
const SMALL = "0[x,ldr1] 5[x,xid23,ldr4] 23[x,ldr2]";
const CLUSTER12 = "0[2] 23[2] 120[2] 125[2] 123[x,sw-]";
const FLAT = "0[x,ldr1] 1[x,ldr2] 2[x,ldr4] 3[x,ldr8] 123[x,sw-]";
const CLUSTERS = "0[x,cluster,ldr01] 1[x,cluster,ldr02] 2[x,cluster,ldr11] 3[x,cluster,ldr12]";
const SIXTEEN = Array.from({ length: 16 }, (_, n) => (0x120 + n).toString(16));

// prettier-ignore
export const MIXED_ROWS: readonly Row[] = [
  //                                                                  kvm, quirk off  kvm    kvm scan   kvm-f0     v4.9   knl        x2apic-reset
  row("V1", BIG, "0", "P 23",                                         "23",           "23",  "23 123",  "23 123",  "123", "23 123",  "23"),
  row("V2", BIG, "0", "P 123",                                        "123",          "123", "123",     "123",     "-",   "123",     "123"),
  row("V3", BIG, "0", "P ff",                                         "ff",           "ff",  "ff 123",  "ff 123",  "ff",  "ff 123",  "ff"),
  row("V4", BIG, "0", "P 100",                                        "100",          "100", "100",     "100",     "100", "100",     "100"),
  row("V5", BIG, "0", "P ffffffff",                                   "0 23 ff 100",  "=",   "=",       "=",       ALL5,  ALL5,      ALL5),
  row("V6", BIG, "0", "all-but-self",                                 "23 ff 100 123", "=",  "=",       "=",       "=",   "=",       "="),
  row("V7", BIG, "-", "P ff",                                         "ff",           ALL5,  "ff 123",  ALL5,      ALL5,  "ff 123",  "ff"),
  row("V8", BIG, "-", "P ffffffff",                                   "0 23 ff 100",  "-",   "0 23 ff 100", ALL5,  "-",   ALL5,      ALL5),
  row("V9", "0[x,ldr1] 23[x,ldr2] 123[x,sw-]", "0", "P 23",           "23",           "23",  "23 123",  "23 123",  "123", "23 123",  "23"),
  row("V10", "0[x] 123[x,sw-] 23[x]", "0", "P 23",                    "123",          "123", "123 23",  "123 23",  "23",  "123 23",  "23"),
  row("V11", "0[2] 23[x,ldr2] 123[x,sw-]", "0", "P 123",              "123",          "123", "123",     "123",     "-",   "23 123",  "123"),
  row("V12", "0[2] 23[x,ldr2] 123[x,sw-]", "0", "P ff",               "23 123",       "-",   "23 123",  "23 123",  "-",   "23 123",  "23"),
  row("V13", SMALL, "0", "P 5",                                       "-",            "-",   "-",       "-",       "-",   "-",       "-"),
  row("V14", SMALL, "0", "P 23",                                      "5",            "5",   "5 23",    "5 23",    "23",  "5 23",    "5"),
  row("V15", "0[2] 5[x,xid23] 23[2]", "0", "P 23",                    "23",           "23",  "5 23",    "5 23",    "23",  "5 23",    "23"),
  row("V16", "0[x] 23[x,xid5] 123[x,sw-]", "-", "P 123",              "123",          "123", "123",     "123",     "-",   "123",     "123"),
  row("V17", "0[2] 1ff[x,sw-]", "0", "P ff",                          "1ff",          "1ff", "1ff",     "1ff",     "1ff", "1ff",     "-"),
  row("V18", "0[2] 1ff[x,sw-]", "0", "P 1ff",                         "1ff",          "1ff", "1ff",     "-",       "-",   "1ff",     "1ff"),
  row("V19", CLUSTER12, "0", "L 00020008",                            "23",           "23",  "23",      "23",      "123", "23",      "23"),
  row("V20", CLUSTER12, "0", "L 00120008",                            "123",          "123", "-",       "-",       "-",   "-",       "123"),
  row("V21", CLUSTER12, "0", "L 0012ffff",                            "120 123 125",  "=",   "120 125", "120 125", "120 125", "120 125 123", "120 125 123"),
  row("V22", "0[2] 120[2] 125[2] 123[x,sw-]", "0", "L 00020008",      "123",          "123", "-",       "123",     "123", "-",       "-"),
  row("V23", "0[2] 40[2] 41[2] 23[x,ldr1]", "0", "L 00040003",        "40 41 23",     "=",   "=",       "=",       "40 41", "40 41 23", "n/a"),
  row("V24", FLAT, "0", "L 0a",                                       "1 3",          "=",   "=",       "=",       "=",   "=",       "="),
  row("V25", FLAT, "0", "L ff",                                       "0 1 2 3 123",  "=",   "=",       "=",       "=",   "=",       "0 1 2 3"),
  row("V26", CLUSTERS, "0", "L 13",                                   "2 3",          "=",   "=",       "=",       "=",   "=",       "="),
  row("V27", CLUSTERS, "-", "L 113",                                  "2 3",          "2 3", "-",       "2 3",     "2 3", "2 3",     "n/a"),
  row("V28", `${SIXTEEN.map((id) => `${id}[2]`).join(" ")} 0[2]`, "0", "L 0012ffff", SIXTEEN.join(" "), "=", "=", "=", "=", "=", "="),
  row("V29", "1[2] 0[x,ldr1] 100[x,sw-]", "1", "P 100",               "100",          "100", "100",     "100",     "-",   "0 100",   "100"),
];
