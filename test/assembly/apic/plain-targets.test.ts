/** The short way of plain IPIs: what a write of ICR comes to is what the same message comes to that goes the long way. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as abi from "../../../assembly/abi.js";
import { Apics } from "../../support/apics.js";

const CPUS = 5;
/** Two with one 8-bit ID, two with places that are 1,024 apart, and one with an ID beyond any table. */
const IDS = [0, 0x21, 0x121, 0x521, 0xfffffff0] as const;
const XIDS = [0x21, 0x22, 0xff, 0] as const;
const MESSAGE_TRACE = 1 << abi.TRACE_APIC_MESSAGE;

const short = await Apics.create();
const long = await Apics.create();
const both = [short, long] as const;

const cpu = fc.integer({ min: 0, max: CPUS - 1 });
const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant("send" as const),
      from: cpu,
      dest: fc.constantFrom(...IDS, 0x22, 0xff, 0xffffffff),
      vector: fc.constantFrom(0x0f, 0x10, 0x41, 0xf2),
      // Mostly plain, or to the sender.
      fields: fc.constantFrom(0x4000, 0x4000, 0, 0x44000, 0x44000, 0x4800, 0x4100, 0xc000, 0xc4000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("state" as const),
      cpu,
      mode: fc.constantFrom("off" as const, "x" as const, "x2" as const, "x2" as const),
      xid: fc.constantFrom(...XIDS),
      svr: fc.constantFrom(0x1ff, 0x1ff, 0xff),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("svr" as const), cpu }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("xid" as const), cpu }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("init" as const), cpu }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reset" as const), cpu }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("remove" as const), cpu }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("serve" as const), cpu }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("trace" as const), on: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("drop" as const), on: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("knob" as const),
      knob: fc.constantFrom(
        abi.KNOB_SLOT,
        abi.KNOB_LOW,
        abi.KNOB_IDS32,
        abi.KNOB_FOLLOW_IDS32,
        abi.KNOB_ERRORS,
      ),
      value: fc.integer({ min: 0, max: 2 }),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const isX2apic = (apics: Apics, n: number): boolean => apics.msr(n, 0x802) !== "#GP";
const isXapic = (apics: Apics, n: number): boolean => apics.read(n, 0x30) !== 0xffffffff;

/** By the register, in the sender's mode; an 8-bit destination is cut off before. */
function sendByIcr(apics: Apics, from: number, dest: number, low: number): void {
  if (isX2apic(apics, from)) {
    apics.setMsr(from, 0x830, (BigInt(dest) << 32n) | BigInt(low));
    return;
  }
  apics.write(from, 0x310, (dest << 24) >>> 0);
  apics.write(from, 0x300, low);
}

function sendByMessage(apics: Apics, from: number, dest: number, low: number): void {
  const isLong = isX2apic(apics, from);
  if (!isLong && !isXapic(apics, from)) return;
  const vector = low & 0xff;
  const delivery = (low >> 8) & 7;
  // The sender's side of an illegal vector comes before the message.
  if (apics.x.apicKnob(abi.KNOB_ERRORS) === 1 && delivery <= 1 && vector < 16) return;
  apics.send(from, isLong ? dest : dest & 0xff, {
    mode: delivery,
    vector,
    logical: (low & 0x800) !== 0,
    level: (low >> 14) & 1,
    trigger: (low >> 15) & 1,
    shorthand: (low >> 18) & 3,
  });
}

function apply(apics: Apics, s: Step, send: typeof sendByIcr): void {
  switch (s.kind) {
    case "send":
      send(apics, s.from, s.dest, s.fields | s.vector);
      break;
    case "state":
      apics.x.apicSetState(
        s.cpu,
        { off: 0, x: 1, x2: 2 }[s.mode],
        s.xid,
        s.svr,
        1 << 24,
        0xffffffff,
        0,
      );
      break;
    case "svr":
      // By the guest, in its mode.
      apics.setMsr(s.cpu, 0x80f, 0xffn);
      apics.write(s.cpu, 0xf0, 0xff);
      break;
    case "xid":
      apics.write(s.cpu, 0x20, 0x22 << 24);
      break;
    case "init":
      apics.x.apicInit(s.cpu);
      break;
    case "reset":
      apics.x.apicReset(s.cpu, 0);
      break;
    case "remove":
      apics.x.apicRemove(s.cpu);
      break;
    case "serve":
      apics.x.apicAcknowledge(s.cpu);
      apics.setMsr(s.cpu, 0x80b, 0n);
      break;
    case "trace":
      apics.x.setTraceMask(s.on ? MESSAGE_TRACE : 0);
      break;
    case "drop":
      if (s.on) apics.x.apicInject(abi.INJECT_DROP, 0, 0, 0, 0, 0, 2, 2, 0, 0, 0);
      else apics.x.apicClearRules();
      break;
    default:
      apics.x.apicSetKnob(s.knob, s.value);
  }
}

/** All that may differ, but for ICR itself. */
function look(apics: Apics): unknown {
  const registers = Array.from({ length: CPUS }, (_, n) => ({
    irr: Array.from({ length: 8 }, (_unused, word) => apics.field(n, abi.VCPU_LAPIC + 4 * word)),
    request: apics.request(n),
    highest: apics.x.apicHighestPending(n),
    errors: apics.msr(n, 0x828),
  }));
  return {
    registers,
    accepted: apics.accepted(),
    path: apics.x.apicPath(),
    mode: apics.x.apicDeliveredMode(),
    events: [...apics.events],
  };
}

function begin(apics: Apics, policy: string): void {
  apics.clear(policy);
  for (const id of IDS) apics.add(id);
}

describe("an IPI by ICR", () => {
  it.each(["kvm", "kvm-legacy", "knl", "strict8"])(
    "is the message of the long way: %s",
    (policy) => {
      fc.assert(
        fc.property(fc.array(step, { minLength: 20, maxLength: 60, size: "max" }), (steps) => {
          for (const apics of both) begin(apics, policy);
          for (const s of steps) {
            apply(short, s, sendByIcr);
            apply(long, s, sendByMessage);
            expect(look(short), JSON.stringify(s)).toEqual(look(long));
          }
        }),
        { seed: 20261201, numRuns: 150 },
      );
    },
  );

  const again = (): void => {
    short.setMsr(0, 0x830, (0x21n << 32n) | 0x4041n);
  };

  it("is seen by a trace that begins when its target is known", () => {
    begin(short, "kvm");
    again();
    again();
    short.x.setTraceMask(MESSAGE_TRACE);
    again();
    expect(short.events).toHaveLength(1);
  });

  it("is dropped by a rule that comes when its target is known", () => {
    begin(short, "kvm");
    again();
    short.x.apicInject(abi.INJECT_DROP, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    short.x.apicAcknowledge(1);
    again();
    expect(short.x.apicHighestPending(1)).toBe(-1);
    expect(short.accepted()).toEqual([]);
  });

  it("finds nobody in a machine without CPUs, whoever was there before", () => {
    begin(short, "kvm");
    again();
    short.clear().add(0);
    again();
    expect(short.accepted()).toEqual([]);
  });
});
