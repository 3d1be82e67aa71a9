/**
 * Every exception in every mode and ring: vector, error code, what is saved; and what an exception during the delivery of
 * another one becomes. Source: SDM 3A "Exception and Interrupt Reference", "Conditions for Generating a Double Fault".
 */
import { describe, expect, it } from "vitest";
import type { Machine, Vcpu } from "../../../src/index.js";
import { BUILDS, hex, readU64, writeU64, type Build } from "../../support/machine.js";
import {
  CODE,
  DATA,
  HANDLERS,
  GDT,
  HANDLER_BYTES,
  IDT,
  interrupt,
  PT,
  TSS,
  worldOf,
  WORLDS,
  type WorldName,
} from "../../support/worlds.js";

const NOT_CANONICAL = (1n << 47n) + 0x100n;

const isShort = (name: WorldName) => name === "real" || name === "v86" || name.startsWith("16");
const is64 = (name: WorldName) => name.startsWith("64");
const isLong = (name: WorldName) => is64(name) || name.startsWith("compat");
const isRing3 = (name: WorldName) => name === "v86" || name.endsWith("3");

interface Cause {
  /** Bytes that mean the same in all modes. */
  code: string;
  vector: number;
  /** Error code, outside real-address mode. */
  error?: number;
  /** The instruction after it is saved. */
  isTrap?: boolean;
  /** Where it can happen; everywhere if not given. */
  where?: (name: WorldName) => boolean;
  prepare?: (vcpu: Vcpu, target: Machine) => void;
}

const CAUSES: Record<string, Cause> = {
  "#DE": { code: "f6 f1", vector: 0, prepare: ({ gpr }) => (gpr.rcx = 0n) },
  "#DB of INT1": { code: "f1", vector: 1, isTrap: true },
  "#BP": { code: "cc", vector: 3, isTrap: true },
  "#OF": {
    code: "ce",
    vector: 4,
    isTrap: true,
    where: (name) => !is64(name),
    prepare: (vcpu) => (vcpu.rflags |= 0x800n),
  },
  "#BR": {
    code: "62 03", // bound eax, [rbx]
    vector: 5,
    where: (name) => !is64(name) && !isShort(name),
    prepare: ({ gpr }, target) => {
      target.writeMemory(DATA + 0x100, hex("01 00 00 00 05 00 00 00"));
      gpr.rax = 6n;
    },
  },
  "#UD": { code: "0f 0b", vector: 6 },
  "#UD of a lock": { code: "f0 90", vector: 6 },
  "#NM": { code: "d9 e8", vector: 7, prepare: ({ control }) => (control.cr0 |= 8n) },
  "#SS of a push": {
    code: "50",
    vector: 12,
    error: 0,
    where: is64,
    prepare: ({ gpr }) => (gpr.rsp = NOT_CANONICAL),
  },
  "#SS beyond the limit": {
    code: "8b 46 00", // mov ax, [bp]
    vector: 12,
    error: 0,
    where: isShort,
    prepare: ({ gpr }) => (gpr.rbp = 0xffffn),
  },
  "#GP of RDMSR": {
    code: "0f 32",
    vector: 13,
    error: 0,
    prepare: ({ gpr }) => (gpr.rcx = 0x12345n),
  },
  "#GP of a selector": {
    code: "8e c0", // mov es, ax
    vector: 13,
    error: 0x1234,
    where: (name) => name !== "real" && name !== "v86",
    prepare: ({ gpr }) => (gpr.rax = 0x1237n),
  },
  "#NP of a selector": {
    code: "8e c0", // mov es, ax
    vector: 11,
    error: 0x28,
    where: (name) => name !== "real" && name !== "v86",
    prepare: ({ gpr }, target) => {
      writeU64(target, GDT + 0x28, (readU64(target, GDT + 0x28) & ~(1n << 47n)) | (3n << 45n));
      gpr.rax = 0x2bn;
    },
  },
  "#GP of HLT": { code: "f4", vector: 13, error: 0, where: isRing3 },
  "#PF": {
    code: "8a 03",
    vector: 14,
    error: 4,
    where: (name) => isRing3(name) && !isShort(name),
    prepare: ({ gpr }) => (gpr.rbx = 0x400000n),
  },
  "#MF": {
    code: "9b",
    vector: 16,
    prepare: ({ fpu, control }) => {
      fpu.fcw = 0x340;
      fpu.fsw = 0x8081;
      control.cr0 |= 0x20n;
    },
  },
  "#AC": {
    code: "66 8b 03",
    vector: 17,
    error: 0,
    where: (name) => isRing3(name) && !isShort(name),
    prepare: (vcpu) => {
      vcpu.rflags |= 0x40000n;
      vcpu.gpr.rbx += 1n;
    },
  },
  "#XM": { code: "0f 5e c9", vector: 19, prepare: ({ fpu }) => (fpu.mxcsr = 0) },
};

/** Where a handler begins, as an offset in its CS. */
function handlerAt(name: WorldName, vector: number): bigint {
  return BigInt((name === "real" ? 0 : HANDLERS) + vector * HANDLER_BYTES);
}

/** The frame on the stack, as numbers: error code, IP, CS, FLAGS. */
function frameOf(target: Machine, name: WorldName, hasError: boolean): bigint[] {
  const vcpu = target.vcpus[0]!;
  const width = name === "real" ? 2 : isLong(name) ? 8 : 4;
  let at = Number(vcpu.gpr.rsp + vcpu.segment("ss").base);
  const next = () => {
    const value = BigInt.asUintN(width * 8, readU64(target, at));
    at += width;
    return value;
  };
  const error = hasError ? next() : -1n;
  return [error, next(), next() & 0xffffn, next()];
}

describe.each(BUILDS)("exceptions (%s)", (build) => {
  const rows = WORLDS.flatMap((name) =>
    Object.entries(CAUSES)
      .filter(([, { where }]) => where?.(name) ?? true)
      .map(([what, cause]) => [what, name, cause] as const),
  );
  it.each(rows)("%s, %s", async (_, name, { code, vector, error, isTrap, prepare }) => {
    const target = await worldOf(build, name, hex(code));
    const vcpu = target.vcpus[0]!;
    prepare?.(vcpu, target);
    const before = { cs: vcpu.segment("cs").selector, rip: vcpu.rip, rflags: vcpu.rflags };
    expect(target.step(0).exception?.vector).toBe(vector);
    expect(vcpu.rip).toBe(handlerAt(name, vector));
    expect(vcpu.cpl).toBe(0);
    const hasError = error !== undefined && name !== "real";
    const [code_, rip, cs, flags] = frameOf(target, name, hasError);
    expect(code_).toBe(hasError ? BigInt(error) : -1n);
    expect(rip).toBe(before.rip + (isTrap === true ? BigInt(code.split(" ").length) : 0n));
    expect(cs).toBe(BigInt(before.cs));
    // Faults save RF, traps do not; INT1 is a trap.
    const rf = isTrap === true || name === "real" ? 0n : 0x10000n;
    expect(flags).toBe(name === "real" ? before.rflags & 0xffffn : before.rflags | rf);
    expect(vcpu.rflags & 0x34300n).toBe(0n); // TF IF NT RF VM
  });
});

/** What makes the delivery of the first exception raise the second. */
type Obstacle = "#GP" | "#NP" | "#PF" | "#SS" | "#TS";
const OBSTACLES: Record<Obstacle, number> = {
  "#GP": 13,
  "#NP": 11,
  "#PF": 14,
  "#SS": 12,
  "#TS": 10,
};
const CONTRIBUTORY = new Set([0, 10, 11, 12, 13]);
const DF = 8;

/** By the manual's table of pairs. */
function secondOf(first: number, second: number): number {
  if (first === 14 && (second === 14 || CONTRIBUTORY.has(second))) return DF;
  return CONTRIBUTORY.has(first) && CONTRIBUTORY.has(second) ? DF : second;
}

interface First {
  vector: number;
  /** Or else an interrupt. */
  cause?: Cause;
  interrupt?: "nmi" | "interrupt";
}
const FIRSTS: Record<string, First> = {
  "#DE": { vector: 0, cause: CAUSES["#DE"]! },
  "#DB": { vector: 1, cause: CAUSES["#DB of INT1"]! },
  NMI: { vector: 2, interrupt: "nmi" },
  "an interrupt": { vector: 0x40, interrupt: "interrupt" },
  INT3: { vector: 3, cause: CAUSES["#BP"]! },
  "#UD": { vector: 6, cause: CAUSES["#UD"]! },
  "#OF": { vector: 4, cause: CAUSES["#OF"]! },
  "#BR": { vector: 5, cause: CAUSES["#BR"]! },
  "#NM": { vector: 7, cause: CAUSES["#NM"]! },
  "#NP": { vector: 11, cause: CAUSES["#NP of a selector"]! },
  "#SS": { vector: 12, cause: CAUSES["#SS of a push"]! },
  "#GP": { vector: 13, cause: CAUSES["#GP of HLT"]! },
  "#PF": { vector: 14, cause: CAUSES["#PF"]! },
  "#MF": { vector: 16, cause: CAUSES["#MF"]! },
  "#AC": { vector: 17, cause: CAUSES["#AC"]! },
  "#XM": { vector: 19, cause: CAUSES["#XM"]! },
};

/** An IDT of its own in the data pages, so that one gate can be alone in a page that is not present. */
const OTHER_IDT = 0x30000;

/** Makes the delivery of `vector` raise the obstacle, and nothing else do so. */
function obstruct(target: Machine, name: WorldName, vector: number, obstacle: Obstacle): void {
  const vcpu = target.vcpus[0]!;
  const bytes = isLong(name) ? 16 : 8;
  if (obstacle === "#PF") {
    // The gate lies in a page of its own: the table begins as far before it as need be.
    const page = OTHER_IDT + 0x1000;
    const base = page - vector * bytes;
    for (let n = 0; n < 32; n++)
      target.writeMemory(base + n * bytes, target.readMemory(IDT + n * bytes, bytes));
    vcpu.idtr = { base: BigInt(base), limit: 32 * bytes - 1 };
    writeU64(target, PT + (page >> 12) * 8, 0n);
    return;
  }
  const gate = IDT + vector * bytes;
  const low = readU64(target, gate);
  if (obstacle === "#NP") writeU64(target, gate, low & ~(1n << 47n));
  else if (obstacle === "#GP") writeU64(target, gate, low & ~(0x1fn << 40n));
  else {
    writeU64(target, gate, low & ~(7n << 32n)); // RSP0 instead of IST1
    if (obstacle === "#SS") writeU64(target, TSS + 4, NOT_CANONICAL);
    else {
      // IST1 has to stay in reach: the limit leaves nothing out but what is asked for.
      writeU64(target, gate, (low & ~(7n << 32n)) | (7n << 32n));
      vcpu.setSegment("tr", { limit: 0x53 });
    }
  }
}

async function prepared(build: Build, name: WorldName, first: First) {
  const target = await worldOf(build, name, hex(first.cause?.code ?? "90"));
  first.cause?.prepare?.(target.vcpus[0]!, target);
  return target;
}

/** Steps until something is delivered. @returns its vector, or the reason why the machine stopped */
function delivered(target: Machine, first: First): number | string {
  if (first.interrupt !== undefined) interrupt(target, first.interrupt);
  const { exception, reason } = target.step(0);
  return reason === "stepped" ? (exception?.vector ?? -1) : reason;
}

describe.each(BUILDS)("an exception during the delivery of another (%s)", (build) => {
  const worlds = ["64-bit ring 3", "compatibility ring 3", "32-bit ring 3"] as const;
  const rows = worlds.flatMap((name) =>
    Object.entries(FIRSTS).flatMap(([what, first]) =>
      (Object.keys(OBSTACLES) as Obstacle[])
        // A stack of its own for the second one is what only IA-32e mode has.
        .filter((obstacle) => isLong(name) || obstacle === "#GP" || obstacle === "#NP")
        // Behind the obstructed gate lie those that are not present with it; the table that is put elsewhere has 32.
        .filter((obstacle) => obstacle !== "#PF" || (first.vector > 14 && first.vector < 32))
        .filter(() => first.cause?.where?.(name) ?? true)
        .map((obstacle) => [what, obstacle, name, first] as const),
    ),
  );
  it.each(rows)("%s, then %s, %s", async (_, obstacle, name, first) => {
    const target = await prepared(build, name, first);
    obstruct(target, name, first.vector, obstacle);
    const second = OBSTACLES[obstacle];
    // INT3 and INTO count as instructions that raise the second by themselves.
    const isInstruction = first.vector === 3 || first.vector === 4;
    const expected = isInstruction ? second : secondOf(first.vector, second);
    expect(delivered(target, first)).toBe(expected);
    const vcpu = target.vcpus[0]!;
    // The step that takes an interrupt goes on with an instruction of the handler.
    if (first.cause === undefined) return;
    expect(vcpu.rip).toBe(handlerAt(name, expected));
    const error = readU64(target, Number(vcpu.gpr.rsp));
    if (expected === DF) expect(BigInt.asUintN(32, error)).toBe(0n);
  });

  it("shuts the machine down when the double fault has no handler either", async () => {
    const first = FIRSTS["#GP"]!;
    const target = await prepared(build, "64-bit ring 3", first);
    obstruct(target, "64-bit ring 3", 13, "#NP");
    obstruct(target, "64-bit ring 3", DF, "#NP");
    expect(delivered(target, first)).toBe("shutdown");
    expect(target.vcpus[0]!.shutdownCause).toEqual({ first: DF, second: 11 });
    expect(target.vcpus[0]!.rip).toBe(BigInt(CODE));
  });

  it("shuts the machine down when the double fault's stack is not there", async () => {
    const first = FIRSTS["#GP"]!;
    const target = await prepared(build, "64-bit ring 3", first);
    obstruct(target, "64-bit ring 3", 13, "#NP");
    writeU64(target, TSS + 0x24, 0x400000n);
    expect(delivered(target, first)).toBe("shutdown");
    expect(target.vcpus[0]!.shutdownCause).toEqual({ first: DF, second: 14 });
  });
});
