/**
 * Rows of decision tables: machines and destinations in a short notation.
 *
 * A machine is a list of `id[mode,...]` in creation order, numbers in hex: mode `x`, `2` or `off`; `xid5` the 8-bit ID,
 * `ldr2` LDR[31:24], `cluster` DFR 0fffffff, `sw-` software-disabled, `hot` hot-added (in x2APIC mode under the policy
 * x2apic-reset; every `sw-` CPU is hot). A destination is `P 23`, `L 00120008`, `self`, `all` or `all-but-self`.
 * An expected set is a list of IDs, `-` for nobody; a trailing F or S is the path: map or scan.
 */
import type { Lapic, Message } from "./model-types.js";
import { lapic, type ModelPolicyName } from "./presets.js";
import { x2apicLdr } from "./model-types.js";

export interface Row {
  readonly name: string;
  readonly cpus: string;
  /** ID of the sender, hex; "-" for a message without a sender. */
  readonly from: string;
  readonly dest: string;
  readonly want: Partial<Record<ModelPolicyName, string>>;
}

export interface Expectation {
  readonly row: Row;
  readonly policy: ModelPolicyName;
  readonly ids: readonly number[];
  readonly path: "map" | "scan" | null;
}

/** One expectation for each policy column of each row. */
export function expectations(rows: readonly Row[]): Expectation[] {
  return rows.flatMap((row) =>
    Object.entries(row.want).map(([policy, text]) => {
      const words = text.split(" ");
      const last = words.at(-1);
      const path = last === "F" ? "map" : last === "S" ? "scan" : null;
      if (path !== null) words.pop();
      const ids = words[0] === "-" ? [] : words.map((word) => parseInt(word, 16));
      return { row, policy: policy as ModelPolicyName, ids, path };
    }),
  );
}

export function machineOf(row: Row, policy: ModelPolicyName): Lapic[] {
  return row.cpus.split(" ").map((text) => cpuOf(text, policy));
}

function cpuOf(text: string, policy: ModelPolicyName): Lapic {
  const match = /^([0-9a-f]+)\[(.*)\]$/.exec(text);
  if (match === null) throw new Error(`not a CPU: ${text}`);
  const id = parseInt(match[1]!, 16);
  const [mode, ...marks] = match[2]!.split(",");
  const cpu = lapic(id, mode === "2" ? "x2" : mode === "off" ? "off" : "x");
  for (const mark of marks) {
    if (mark.startsWith("xid")) cpu.xid = parseInt(mark.slice(3), 16);
    else if (mark.startsWith("ldr")) cpu.ldr = (parseInt(mark.slice(3), 16) << 24) >>> 0;
    else if (mark === "cluster") cpu.dfr = 0x0fffffff;
    else if (mark === "sw-") cpu.sw = false;
    else if (mark !== "hot") throw new Error(`not a mark: ${mark}`);
  }
  const isHot = marks.includes("hot") || marks.includes("sw-");
  if (isHot && policy === "x2apic-reset") {
    cpu.mode = "x2";
    cpu.ldr = x2apicLdr(id);
  }
  return cpu;
}

/** @param mode - delivery mode, ICR[10:8] */
export function messageIn(row: Row, lapics: readonly Lapic[], mode: number): Message {
  const from =
    row.from === "-" ? null : lapics.findIndex((cpu) => cpu.x2id === parseInt(row.from, 16));
  const shorthand = ["", "self", "all", "all-but-self"].indexOf(row.dest);
  const [kind, hex] = row.dest.split(" ");
  return {
    from,
    dest: shorthand > 0 ? 0 : parseInt(hex!, 16),
    logical: kind === "L",
    shorthand: Math.max(0, shorthand),
    mode,
    vector: mode === 0 ? 0x40 : 0,
    levelTriggered: false,
    assert: true,
    hint: false,
  };
}
