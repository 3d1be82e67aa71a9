/** Random register accesses on model and core side by side: every answer and every visible bit must be the same. */
import fc from "fast-check";
import type { ApicCore } from "../../src/apic-exports.js";
import { CoreDriver, knobsOf, lapicKnobsOf } from "./core-driver.js";
import type { ApicDriver } from "./driver.js";
import { REG, type LapicOptions } from "./lapic-model.js";
import { MachineModel } from "./machine-model.js";
import { MODEL_POLICIES } from "./presets.js";

/** IDs of the machine: two of them alias in 8 bits. */
const IDS = [0x00, 0x23, 0x123];
/** Expiries followed in one step of time; a period of a few ns would give millions. */
const EXPIRIES_MAX = 40;

type Access =
  /** Through the interface of the mode that the LAPIC is in. */
  | { readonly kind: "read"; readonly cpu: number; readonly offset: number }
  | {
      readonly kind: "write";
      readonly cpu: number;
      readonly offset: number;
      readonly value: number;
    }
  | {
      readonly kind: "mmio read";
      readonly cpu: number;
      readonly offset: number;
      readonly size: 1 | 2 | 4;
    }
  | {
      readonly kind: "mmio write";
      readonly cpu: number;
      readonly offset: number;
      readonly size: 1 | 2 | 4;
      readonly value: number;
    }
  | { readonly kind: "rdmsr"; readonly cpu: number; readonly msr: number }
  | { readonly kind: "wrmsr"; readonly cpu: number; readonly msr: number; readonly value: bigint }
  | { readonly kind: "host base"; readonly cpu: number; readonly value: bigint }
  | { readonly kind: "acknowledge"; readonly cpu: number }
  /** The guest skips the EOI that it may skip. */
  | { readonly kind: "skip EOI"; readonly cpu: number }
  | { readonly kind: "process"; readonly cpu: number }
  | { readonly kind: "init"; readonly cpu: number }
  | { readonly kind: "reset"; readonly cpu: number }
  | {
      readonly kind: "fixed";
      readonly cpu: number;
      readonly vector: number;
      readonly trigger: number;
    }
  | { readonly kind: "time"; readonly by: number };

const KVM_PV_EOI = 0x4b564d04;
const REGISTERS = Object.values(REG);
const cpu = fc.nat({ max: IDS.length - 1 });

const offset = fc.oneof(
  { weight: 10, arbitrary: fc.constantFrom<number>(...REGISTERS) },
  { weight: 1, arbitrary: fc.nat({ max: 0xfff }) },
  { weight: 1, arbitrary: fc.nat({ max: 0xff }).map((n) => n << 4) },
);
const size = fc.constantFrom<(1 | 2 | 4)[]>(4, 4, 4, 4, 4, 1, 2);

const value32 = fc.oneof(
  fc.constantFrom(
    0,
    1,
    0xff,
    0x1ff,
    0x1ff,
    0x10ff,
    0x11ff,
    0xffffffff,
    0x700,
    0x20040,
    0x40050,
    0x60,
    0x10060,
  ),
  fc.constantFrom(0x01000000, 0x23000000, 0xff000000, 0x0fffffff, 0xb, 0x3, 0x8, 1000, 250, 65536),
  // ICR: Fixed and others, with every shorthand
  fc.constantFrom(
    0x40041,
    0x44045,
    0x80051,
    0xc0061,
    0xc4500,
    0x4500,
    0x8500,
    0xc4610,
    0x610,
    0x400,
    0x131,
    0x931,
  ),
  fc.nat({ max: 0xffffffff }),
  fc.nat({ max: 0xff }),
);

const msr = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.constantFrom<number>(...REGISTERS).map((register) => 0x800 + (register >> 4)),
  },
  { weight: 2, arbitrary: fc.integer({ min: 0x800, max: 0x8ff }) },
  { weight: 1, arbitrary: fc.constant(0x6e0) },
);

const value64 = fc.oneof(
  { weight: 6, arbitrary: value32.map((low) => BigInt(low)) },
  {
    weight: 2,
    arbitrary: fc.tuple(value32, fc.constantFrom(1, 0x23, 0x123, 0xffffffff)).map(join),
  },
);

/** High half first in meaning, second in the pair. */
function join([low, high]: [number, number]): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}

const baseValue = fc.constantFrom(
  0xfee00000n,
  0xfee00800n,
  0xfee00800n,
  0xfee00c00n,
  0xfee00c00n,
  0xfee00900n,
  0xfee00d00n,
  0xfee00400n,
  0xfee00801n,
  0xfee00a00n,
  0x1fee00800n,
  0xfed00800n,
  0x8000_fee0_0800n,
);

const VECTORS = [0x05, 0x0e, 0x10, 0x31, 0x3f, 0x40, 0x80, 0xff];

/** A write that means something: [register, value]. */
const sensible: fc.Arbitrary<[number, number]> = fc.oneof(
  fc.tuple(fc.constant<number>(REG.SVR), fc.constantFrom(0x1ff, 0x11ff, 0x11ff, 0x11ff, 0xff)),
  fc.tuple(fc.constant<number>(REG.TPR), fc.constantFrom(0, 0, 0x10, 0x1f, 0x30, 0x33, 0x41, 0xff)),
  fc.tuple(fc.constant<number>(REG.EOI), fc.constant(0)),
  fc.tuple(fc.constant<number>(REG.EOI), fc.constant(0)),
  fc.tuple(
    fc.constant<number>(REG.TIMER),
    fc
      .tuple(
        fc.constantFrom(0, 0, 0x20000, 0x20000, 0x40000, 0x10000, 0x30000),
        fc.constantFrom(...VECTORS),
      )
      .map(([mode, vector]) => mode | vector),
  ),
  fc.tuple(fc.constant<number>(REG.TMICT), fc.constantFrom(0, 1, 3, 7, 100, 250, 1000, 0xffffffff)),
  fc.tuple(fc.constant<number>(REG.TDCR), fc.constantFrom(0, 1, 2, 3, 8, 9, 0xa, 0xb)),
  fc.tuple(fc.constant<number>(REG.LDR), fc.constantFrom(0x01000000, 0x02000000, 0x12000000, 0)),
  fc.tuple(fc.constant<number>(REG.DFR), fc.constantFrom(0xffffffff, 0x0fffffff, 0x1fffffff)),
  fc.tuple(fc.constant<number>(REG.ID), fc.constantFrom(0x05000000, 0x23000000, 0xff000000)),
  fc.tuple(fc.constant<number>(REG.LINT0), value32),
  fc.tuple(fc.constant<number>(REG.ERROR), fc.constantFrom(0x33, 0x0c, 0xf1, 0x10033)),
  fc.tuple(fc.constant<number>(REG.ESR), fc.constant(0)),
  fc.tuple(fc.constant<number>(REG.ICR2), fc.constantFrom(0, 0x23000000, 0xff000000)),
  fc.tuple(
    fc.constant<number>(REG.ICR),
    fc
      .tuple(
        fc.constantFrom(
          0x40000,
          0x80000,
          0xc0000,
          0,
          0x44000,
          0x8c000,
          0x88000,
          0xc0400,
          0x80100,
          0xc4500,
          0x600,
        ),
        fc.constantFrom(...VECTORS),
      )
      .map(([low, vector]) => low | vector),
  ),
  fc.tuple(fc.constant<number>(REG.SELF_IPI), fc.constantFrom(...VECTORS)),
);

const startup = fc.constantFrom(0x0c4500, 0x0c4610, 0x0c4620, 0x0c8500);

const access: fc.Arbitrary<Access> = fc.oneof(
  {
    weight: 40,
    arbitrary: fc.record({ cpu, write: sensible }).map(({ cpu: n, write: [register, value] }) => ({
      kind: "write" as const,
      cpu: n,
      offset: register,
      value,
    })),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("write" as const),
      cpu,
      offset: fc.constant<number>(REG.ICR),
      value: startup,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("write" as const),
      cpu,
      offset: fc.constantFrom<number>(...REGISTERS),
      value: value32,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("read" as const),
      cpu,
      offset: fc.constantFrom<number>(...REGISTERS),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("wrmsr" as const),
      cpu,
      msr: fc.constant(0x6e0),
      value: fc.constantFrom(0n, 1n, 1_000_500n, 1_002_000n, 1_010_000n),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("mmio write" as const),
      cpu,
      offset,
      size,
      value: value32,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("mmio read" as const), cpu, offset, size }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("wrmsr" as const), cpu, msr, value: value64 }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("rdmsr" as const), cpu, msr }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("wrmsr" as const),
      cpu,
      msr: fc.constant(KVM_PV_EOI),
      value: fc.constantFrom(0x1001n, 0x1001n, 0x1001n, 0n, 0x1002n),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("skip EOI" as const), cpu }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("wrmsr" as const),
      cpu,
      msr: fc.constant(0x1b),
      value: baseValue,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("host base" as const), cpu, value: baseValue }),
  },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant("acknowledge" as const), cpu }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("process" as const), cpu }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom("init" as const, "reset" as const), cpu }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant("fixed" as const),
      cpu,
      vector: fc.constantFrom(...VECTORS),
      trigger: fc.nat({ max: 1 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("time" as const), by: fc.nat({ max: 3000 }) }),
  },
);

/** The options under which registers differ, and accesses. */
export interface RegisterWalk {
  readonly options: LapicOptions;
  readonly firstSipi: boolean;
  readonly startInX2apic: readonly boolean[];
  readonly accesses: Access[];
}

export const registerWalk: fc.Arbitrary<RegisterWalk> = fc.record({
  options: fc.record({
    reservedBits: fc.constantFrom("sdm" as const, "kvm" as const),
    xidWritable: fc.boolean(),
    physicalAddressBits: fc.constantFrom(36, 46, 52),
    directedEoi: fc.constantFrom("absent" as const, "advertised" as const, "works" as const),
    cmci: fc.boolean(),
    tscDeadline: fc.constantFrom(true, true, true, false),
    x2apic: fc.constantFrom(true, true, true, false),
    timerModeDisarms: fc.boolean(),
    periodMin: fc.constantFrom(0, 0, 500),
    busCycle: fc.constantFrom(1, 1, 1, 3, 40, 10_000),
    errors: fc.boolean(),
    spurious: fc.boolean(),
    lint0Reenabled: fc.boolean(),
  }),
  firstSipi: fc.boolean(),
  startInX2apic: fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()),
  accesses: fc.array(access, { minLength: 10, maxLength: 80 }),
});

/** Asks both, and fails where they differ. */
type Pair = (what: unknown, ask: (driver: ApicDriver) => unknown) => unknown[];

/** Runs a walk on both and compares every answer and, at the end, every register. */
export function compareRegisters(core: ApicCore, walk: RegisterWalk): void {
  const policy = MODEL_POLICIES.kvm;
  const model = new MachineModel(policy, walk.options, walk.firstSipi);
  const knobs = [...knobsOf(policy), ...lapicKnobsOf(walk.options, walk.firstSipi)];
  const both: ApicDriver[] = [model, new CoreDriver(core, knobs)];
  const pair: Pair = (what, ask) => {
    const answers = both.map(ask);
    const [expected, got] = answers.map(show);
    if (expected !== got) throw new Error(`${show(what)}: model ${expected}, core ${got}`);
    return answers;
  };
  IDS.forEach((id, n) => {
    both.forEach((driver) => driver.addVcpu(id, n === 0, true));
    both.forEach((driver) => driver.writeMmio(n, REG.SVR, 4, 0x1ff));
    if (walk.startInX2apic[n] && walk.options.x2apic) {
      pair("start in x2APIC mode", (driver) =>
        driver.writeBaseByHost(n, n === 0 ? 0xfee00d00n : 0xfee00c00n),
      );
    }
  });

  let now = 1_000_000;
  both.forEach((driver) => driver.setNow(now));
  const pvEoi = new PvEoi(both, pair);
  for (const step of walk.accesses) {
    if (step.kind === "time") now = passTime(both, pair, now, now + step.by);
    else if (step.kind === "skip EOI") pvEoi.skip(step.cpu);
    else if (!isUnlikely(step, walk.options)) {
      if (looksAtLapic(step)) pvEoi.resolve(step.cpu);
      pair(step, (driver) => perform(driver, step));
      if (step.kind === "acknowledge") pvEoi.offer(step.cpu);
    }
    pair(["EOI broadcasts of", step], (driver) => driver.takeEois());
    IDS.forEach((_, n) => {
      pair(["pending after", step, n], (driver) => driver.pending(n));
      pair(["deadline after", step, n], (driver) => driver.deadline(n));
    });
  }
  IDS.forEach((_, n) => pair(["registers at the end", n], (driver) => dump(driver, n)));
}

/** KVM's PV EOI on a machine whose CPUs see spurious vectors: no machine has both. */
function isUnlikely(step: Access, { spurious }: LapicOptions): boolean {
  return spurious && step.kind === "wrmsr" && step.msr === KVM_PV_EOI;
}

/** True for what the CPU itself does: before it the machine looks whether an EOI was skipped. */
function looksAtLapic(step: Access): step is Access & { readonly cpu: number } {
  return !["init", "reset", "process", "fixed", "host base", "time"].includes(step.kind);
}

/** The guest's words of PV EOI: what the machine offered and the guest took. */
class PvEoi {
  private readonly offered = new Set<number>();
  private readonly skipped = new Set<number>();
  private readonly both: readonly ApicDriver[];
  private readonly pair: Pair;

  constructor(both: readonly ApicDriver[], pair: Pair) {
    this.both = both;
    this.pair = pair;
  }

  offer(cpu: number): void {
    const [isOffered] = this.pair(["PV EOI", cpu], (driver) => driver.offerPvEoi(cpu));
    if (isOffered === true) this.offered.add(cpu);
  }

  skip(cpu: number): void {
    if (this.offered.has(cpu)) this.skipped.add(cpu);
  }

  resolve(cpu: number): void {
    const isSkipped = this.skipped.has(cpu);
    this.both.forEach((driver) => driver.resolvePvEoi(cpu, isSkipped));
    this.offered.delete(cpu);
    this.skipped.delete(cpu);
  }
}

function perform(driver: ApicDriver, step: Access): unknown {
  switch (step.kind) {
    case "read":
      return isLong(driver, step.cpu)
        ? driver.readMsr(step.cpu, 0x800 + (step.offset >> 4))
        : driver.readMmio(step.cpu, step.offset, 4);
    case "write":
      return isLong(driver, step.cpu)
        ? driver.writeMsr(step.cpu, 0x800 + (step.offset >> 4), BigInt(step.value))
        : driver.writeMmio(step.cpu, step.offset, 4, step.value);
    case "mmio read":
      return driver.readMmio(step.cpu, step.offset, step.size);
    case "mmio write":
      return driver.writeMmio(step.cpu, step.offset, step.size, step.value);
    case "rdmsr":
      return driver.readMsr(step.cpu, step.msr);
    case "wrmsr":
      return driver.writeMsr(step.cpu, step.msr, step.value);
    case "host base":
      return driver.writeBaseByHost(step.cpu, step.value);
    case "acknowledge":
      return driver.acknowledge(step.cpu);
    case "process":
      return [
        driver.processEvents(step.cpu),
        driver.runState(step.cpu),
        driver.sipiVector(step.cpu),
      ];
    case "init":
      return driver.init(step.cpu);
    case "reset":
      return driver.reset(step.cpu, step.cpu === 0);
    case "fixed": {
      const { cpu: from, vector, trigger } = step;
      return driver.sendIpi({
        from,
        dest: 0,
        logical: 0,
        shorthand: 2,
        mode: 0,
        vector,
        trigger,
        level: 1,
      });
    }
    case "skip EOI":
    case "time":
      return null;
  }
}

function isLong(driver: ApicDriver, n: number): boolean {
  const base = driver.readMsr(n, 0x1b);
  return base !== "#GP" && (base & 0x400n) !== 0n;
}

/** Goes from deadline to deadline, all timers of both sides in the same order. */
function passTime(both: ApicDriver[], pair: Pair, from: number, to: number): number {
  let now = from;
  for (let n = 0; n < EXPIRIES_MAX; n++) {
    const deadlines = IDS.map((_, position) => both[0]!.deadline(position) ?? Infinity);
    const next = Math.min(...deadlines);
    if (next > to) {
      both.forEach((driver) => driver.setNow(to));
      return to;
    }
    now = Math.max(now, next);
    both.forEach((driver) => driver.setNow(now));
    const due = deadlines.indexOf(next);
    both.forEach((driver) => driver.timerExpired(due));
    pair(["deadline after expiry", due, now], (driver) => driver.deadline(due));
  }
  return now;
}

/** Every register that the present mode shows. */
function dump(driver: ApicDriver, n: number): unknown {
  const page = Array.from({ length: 0x40 }, (_, word) => driver.readMmio(n, word << 4, 4));
  const msrs = Array.from({ length: 0x40 }, (_, word) => driver.readMsr(n, 0x800 + word));
  const others = [0x1b, 0x6e0, KVM_PV_EOI].map((number) => driver.readMsr(n, number));
  return [others, page, msrs, driver.runState(n), driver.nmis(n)];
}

function show(value: unknown): string {
  return (
    JSON.stringify(value, (_, item: unknown) =>
      typeof item === "bigint" ? `0x${item.toString(16)}` : item,
    ) ?? ""
  );
}
