/**
 * Scenarios of interrupt delivery: a fresh machine, its local APICs programmed, one message sent, and what happened.
 *
 * One JSON object a line. The recorded answers are KVM's; the field names are those of the files.
 */
import { X2vmError } from "../errors.js";

/** One vCPU before the message. */
export interface ScenarioCpu {
  /** x2APIC ID; 0 is the bootstrap processor. */
  readonly id: number;
  /** xAPIC mode, x2APIC mode, or APIC_BASE.EN = 0. */
  readonly mode: "x" | "x2" | "off";
  /** 8-bit APIC ID. */
  readonly xid: number;
  /** SVR bit 8. */
  readonly sw: boolean;
  /** 32-bit register; of no meaning in x2APIC mode. */
  readonly ldr: number;
  readonly dfr: number;
  /** 0 RUNNABLE, 1 UNINITIALIZED, 2 INIT_RECEIVED, 3 HALTED. */
  readonly mp: number;
}

export interface Scenario {
  /** KVM_X2APIC_API_USE_32BIT_IDS. */
  readonly ids32: boolean;
  /** KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK. */
  readonly noquirk: boolean;
  /** In creation order. */
  readonly cpus: readonly ScenarioCpu[];
  /** Position of the sender in `cpus`, or null for a message without a sender (MSI). */
  readonly from: number | null;
  /** 8 bits from an xAPIC-mode sender, 32 bits otherwise. */
  readonly dest: number;
  /** Destination mode: 0 physical, 1 logical. */
  readonly dm: number;
  /** Shorthand: 0 none, 1 self, 2 all, 3 all but self. */
  readonly sh: number;
  /** Delivery mode, ICR[10:8]. */
  readonly dlv: number;
  readonly vec: number;
  /** ICR bit 15. */
  readonly trig: number;
  /** ICR bit 14. */
  readonly level: number;
  /** MSI redirection hint. */
  readonly rh: number;
}

/** What happened. */
export interface Outcome {
  /** x2APIC IDs of the LAPICs that accepted the message as sent, in creation order. */
  readonly acc: readonly number[];
  /** Number of LAPICs that accepted, 0 = the map knew nobody, -1 = a scan matched nobody; null for IPIs. */
  readonly ret: number | null;
  /** Run states in creation order, after INIT and SIPI were processed. */
  readonly mpAfter: readonly number[];
  /** STARTUP only: x2APIC ID and CS selector of every CPU that started. */
  readonly cs: readonly (readonly [number, number])[] | null;
}

export interface Vector {
  /** 1-based line in the file. */
  readonly line: number;
  readonly scenario: Scenario;
  readonly expected: Outcome;
}

/**
 * Reads a file of scenarios. Empty lines are skipped.
 *
 * @param file - its name, for errors
 * @throws X2vmError `BAD_SCENARIO` naming file, line and field
 */
export function parseVectors(text: string, file: string): Vector[] {
  const vectors: Vector[] = [];
  text.split("\n").forEach((raw, index) => {
    if (raw.trim() === "") return;
    const line = index + 1;
    vectors.push({ line, ...parseVector(raw, `${file}:${line}`) });
  });
  return vectors;
}

function parseVector(raw: string, where: string): Omit<Vector, "line"> {
  let json: unknown;
  try {
    json = JSON.parse(raw);
  } catch {
    throw bad(where, "not a JSON object");
  }
  const reader = new Fields(json, where);
  const cpus = reader.list("cpus").map((cpu, n) => parseCpu(cpu, `${where}: cpus[${n}]`));
  if (cpus.length === 0) throw bad(where, "cpus is empty");
  const ids = new Set(cpus.map((cpu) => cpu.id));
  if (ids.size !== cpus.length) throw bad(where, "two cpus have the same id");
  const from = reader.raw("from") === null ? null : reader.number("from", cpus.length - 1);
  const scenario: Scenario = {
    ids32: reader.flag("ids32"),
    noquirk: reader.flag("noquirk"),
    cpus,
    from,
    dest: reader.number("dest", 0xffffffff),
    dm: reader.number("dm", 1, 0),
    sh: reader.number("sh", 3, 0),
    dlv: reader.number("dlv", 7),
    vec: reader.number("vec", 0xff, 0),
    trig: reader.number("trig", 1, 0),
    level: reader.number("level", 1, 1),
    rh: reader.number("rh", 1, 0),
  };
  checkSender(scenario, where);
  return { scenario, expected: parseResult(reader.raw("result"), cpus, `${where}: result`) };
}

/** What no LAPIC, and no device, can send. */
function checkSender({ cpus, from, dest, sh, rh }: Scenario, where: string): void {
  if (from === null) {
    if (sh !== 0) throw bad(where, `sh is ${sh}, but a message without a sender has no shorthand`);
    return;
  }
  const { mode } = cpus[from]!;
  if (mode === "off") throw bad(where, `from is ${from}, a CPU whose local APIC is off`);
  if (rh !== 0) throw bad(where, `rh is ${rh}, but only a message without a sender has a hint`);
  if (mode === "x" && dest > 0xff) {
    throw bad(where, `dest is ${dest}, but a sender in xAPIC mode has 8 bits`);
  }
}

function parseResult(json: unknown, cpus: readonly ScenarioCpu[], where: string): Outcome {
  const result = new Fields(json, where);
  const problem = result.raw("err");
  if (problem !== undefined) throw bad(where, `the recording failed: ${String(problem)}`);
  const isKnown = (id: unknown): boolean => cpus.some((cpu) => cpu.id === id);
  const acc = result.numbers("acc");
  const stranger = acc.find((id) => !isKnown(id));
  if (stranger !== undefined) throw bad(where, `acc has ${stranger}, which is the id of no cpu`);
  const mpAfter = result.numbers("mpAfter");
  if (mpAfter.length !== cpus.length) {
    throw bad(where, `mpAfter has ${mpAfter.length} states for ${cpus.length} cpus`);
  }
  return {
    acc,
    ret: result.raw("ret") === null ? null : result.integer("ret"),
    mpAfter,
    cs: result.raw("cs") === undefined ? null : startsOf(result.list("cs"), isKnown, where),
  };
}

/** Pairs of an id and a CS selector. */
function startsOf(
  list: readonly unknown[],
  isKnown: (id: unknown) => boolean,
  where: string,
): [number, number][] {
  return list.map((item) => {
    if (!Array.isArray(item) || item.length !== 2 || !isKnown(item[0]) || !isWord(item[1])) {
      throw bad(where, `cs has ${JSON.stringify(item)}, not the id of a cpu and a CS selector`);
    }
    return item as [number, number];
  });
}

function isWord(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffff;
}

function bad(where: string, problem: string): X2vmError {
  return new X2vmError("BAD_SCENARIO", `${where}: ${problem}`);
}

function parseCpu(json: unknown, where: string): ScenarioCpu {
  const reader = new Fields(json, where);
  const id = reader.number("id", 0xfffffffe); // 0xffffffff addresses all
  const mode = reader.raw("mode");
  if (mode !== "x" && mode !== "x2" && mode !== "off") {
    throw bad(where, `mode is "${String(mode)}", not x, x2 or off`);
  }
  return {
    id,
    mode,
    xid: reader.number("xid", 0xff, id & 0xff),
    sw: reader.number("sw", 1, 1) === 1,
    ldr: reader.number("ldr", 0xffffffff, 0),
    dfr: reader.number("dfr", 0xffffffff, 0xffffffff),
    mp: reader.number("mp", 3, id === 0 ? 0 : 1),
  };
}

/** Checked access to the fields of one JSON object. */
class Fields {
  private readonly object: Record<string, unknown>;
  private readonly where: string;

  constructor(json: unknown, where: string) {
    if (typeof json !== "object" || json === null || Array.isArray(json)) {
      throw bad(where, "not a JSON object");
    }
    this.object = json as Record<string, unknown>;
    this.where = where;
  }

  raw(name: string): unknown {
    return this.object[name];
  }

  /** An integer in 0..max. @param fallback - value of an absent field; without one the field must be there */
  number(name: string, max: number, fallback?: number): number {
    const value = this.object[name] ?? fallback;
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > max) {
      throw this.wrong(name, `an integer in 0..${max}`);
    }
    return value;
  }

  integer(name: string): number {
    const value = this.object[name];
    if (typeof value !== "number" || !Number.isInteger(value)) throw this.wrong(name, "an integer");
    return value;
  }

  flag(name: string): boolean {
    const value = this.object[name] ?? false;
    if (typeof value !== "boolean") throw this.wrong(name, "true or false");
    return value;
  }

  list(name: string): unknown[] {
    const value = this.object[name];
    if (!Array.isArray(value)) throw this.wrong(name, "a list");
    return value;
  }

  numbers(name: string): number[] {
    const list = this.list(name);
    if (!list.every((item) => Number.isInteger(item))) throw this.wrong(name, "a list of integers");
    return list as number[];
  }

  private wrong(name: string, wanted: string): X2vmError {
    const found = JSON.stringify(this.object[name]) ?? "absent";
    return bad(this.where, `${name} is ${found}, not ${wanted}`);
  }
}
