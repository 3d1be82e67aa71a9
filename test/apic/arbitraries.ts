/** Random machines and messages, weighted towards the IDs and destinations where the rules differ. */
import fc from "fast-check";
import type { CpuState } from "./driver.js";
import { lapic } from "./presets.js";
import type { Lapic, Message, Mode, Policy } from "./model-types.js";
import { x2apicLdr } from "./model-types.js";

/** IDs that alias one another in 8 bits, fill one x2APIC cluster, or lie at a border. */
const CURIOUS_IDS = [
  0, 1, 2, 5, 0x0f, 0x10, 0x20, 0x23, 0x24, 0x40, 0xfe, 0xff, 0x100, 0x101, 0x105, 0x120, 0x121,
  0x122, 0x123, 0x12f, 0x1ff, 0x200, 0x223, 0x2ff, 0x3ff, 0x1023, 0xffff, 0x10023, 0xfffff,
];

export const apicId = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...CURIOUS_IDS) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 0x3ff }) },
);

const DFRS = [0xffffffff, 0xffffffff, 0xffffffff, 0x0fffffff, 0x0fffffff, 0x1fffffff, 0xefffffff];

const ldr = fc.oneof(
  fc.integer({ min: 0, max: 7 }).map((bit) => (1 << (24 + bit)) >>> 0),
  fc.integer({ min: 0, max: 0xff }).map((bits) => (bits << 24) >>> 0),
  fc.constantFrom(0, 0, 0x00120008, 0x01000000, 0x11000000, 0x12000000, 0xf1000000, 0xff000000),
);

const mode: fc.Arbitrary<Mode> = fc.constantFrom("x", "x", "x", "x2", "x2", "x2", "off");

/** One CPU of a mixed machine. */
export const mixedCpu: fc.Arbitrary<Lapic> = fc
  .record({
    id: apicId,
    mode,
    xid: fc.option(fc.oneof(fc.constantFrom(0, 5, 0x23, 0xff), fc.integer({ min: 0, max: 255 })), {
      freq: 4,
    }),
    sw: fc.boolean(),
    ldr,
    dfr: fc.constantFrom(...DFRS),
    tpr: fc.constantFrom(0, 0x10, 0x20),
  })
  .map((cpu) => {
    const isLong = cpu.mode === "x2";
    return lapic(cpu.id, cpu.mode, {
      xid: isLong ? cpu.id & 0xff : (cpu.xid ?? cpu.id & 0xff),
      sw: cpu.sw,
      ldr: isLong ? x2apicLdr(cpu.id) : cpu.ldr,
      dfr: cpu.dfr,
      tpr: cpu.tpr,
    });
  });

export const mixedMachine = fc.uniqueArray(mixedCpu, {
  selector: (cpu) => cpu.x2id,
  minLength: 1,
  maxLength: 9,
});

/** A machine whose LAPICs are all in one mode, with distinct 8-bit IDs and distinct one-bit logical IDs. */
export const orderlyMachine: fc.Arbitrary<Lapic[]> = fc
  .record({
    kind: fc.constantFrom("x2", "flat", "cluster"),
    ids: fc.uniqueArray(apicId, { selector: (id) => id & 0xff, minLength: 2, maxLength: 8 }),
    longIds: fc.uniqueArray(apicId, { minLength: 2, maxLength: 9 }),
    slots: fc.uniqueArray(fc.integer({ min: 0, max: 59 }), { minLength: 8, maxLength: 8 }),
  })
  .map(({ kind, ids, longIds, slots }) => {
    if (kind === "x2") return longIds.map((id) => lapic(id, "x2"));
    if (kind === "flat") return ids.map((id, n) => lapic(id, "x", { ldr: (1 << (24 + n)) >>> 0 }));
    return ids.map((id, n) => {
      const cluster = slots[n]! >> 2;
      const bit = 1 << (slots[n]! & 3);
      return lapic(id, "x", { ldr: (((cluster << 4) | bit) << 24) >>> 0, dfr: 0x0fffffff });
    });
  });

/** A destination that has something to do with the machine, mostly. */
function destination(cpus: readonly Lapic[]): fc.Arbitrary<number> {
  const known = cpus.flatMap((cpu) => [
    cpu.x2id,
    cpu.xid,
    cpu.ldr >>> 24,
    x2apicLdr(cpu.x2id),
    (x2apicLdr(cpu.x2id) | 0xffff) >>> 0,
    (cpu.xid << 24) >>> 0,
  ]);
  return fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...known) },
    {
      weight: 3,
      arbitrary: fc.constantFrom(0xff, 0xffffffff, 0x1ff, 0xff000000, 0x113, 0x000000ff, 0x2000f),
    },
    { weight: 2, arbitrary: apicId },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xffffffff }) },
  );
}

/** A message that one of the CPUs, or nobody, can send: 8 bits from an xAPIC-mode sender. */
export function message(cpus: readonly Lapic[]): fc.Arbitrary<Message> {
  const senders = cpus
    .map((_, position) => position)
    .filter((position) => cpus[position]!.mode !== "off");
  return fc
    .record({
      from: fc.oneof(
        fc.constant(null),
        fc.constantFrom(...(senders.length > 0 ? senders : [null])),
      ),
      dest: destination(cpus),
      logical: fc.boolean(),
      shorthand: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 1, 2, 3),
      mode: fc.constantFrom(0, 0, 1, 1, 1, 3, 4, 4, 5, 6, 7),
      vector: fc.integer({ min: 0x10, max: 0xff }),
      levelTriggered: fc.constantFrom(false, false, true),
      assert: fc.constantFrom(true, true, false),
      hint: fc.constantFrom(false, false, false, true),
    })
    .map((msg) => {
      if (msg.from === null) return { ...msg, shorthand: 0 };
      const isLong = cpus[msg.from]!.mode === "x2";
      return { ...msg, hint: false, dest: isLong ? msg.dest : msg.dest & 0xff };
    });
}

/** A machine and messages for it. */
export function scene(
  machine: fc.Arbitrary<Lapic[]>,
  messages = { minLength: 1, maxLength: 12 },
): fc.Arbitrary<{ cpus: Lapic[]; sent: Message[] }> {
  return machine.chain((cpus) =>
    fc.record({ cpus: fc.constant(cpus), sent: fc.array(message(cpus), messages) }),
  );
}

export function stateOf(cpu: Lapic, runState: number): CpuState {
  return {
    mode: cpu.mode,
    xid: cpu.xid,
    svr: cpu.sw ? 0x1ff : 0xff,
    ldr: cpu.ldr,
    dfr: cpu.dfr,
    runState,
  };
}

/** Any combination of knobs. The map of 4.9 knows a LAPIC by the ID of its mode only. */
export const anyPolicy: fc.Arbitrary<Policy> = fc
  .record({
    map: fc.constantFrom("both" as const, "mode" as const, "none" as const),
    low: fc.constantFrom("all" as const, "owner" as const, "last" as const),
    mapForm: fc.constantFrom("6" as const, "4.9" as const),
    high: fc.constantFrom("hack" as const, "drop" as const, "trunc" as const),
    bc32: fc.boolean(),
    bc8x2: fc.boolean(),
    quirk: fc.boolean(),
    senderFormat: fc.boolean(),
    truncBroadcast: fc.boolean(),
    msi32: fc.boolean(),
    lowest: fc.constantFrom("hash" as const, "counter" as const, "tpr" as const),
  })
  .map((knobs) => ({ ...knobs, name: "any", mapForm: knobs.map === "both" ? "6" : knobs.mapForm }));
