/** Random walks of model and core side by side: every answer must be the same. */
import fc from "fast-check";
import { mixedMachine, message, stateOf } from "./arbitraries.js";
import { CoreDriver, knobsOf, lapicKnobsOf } from "./core-driver.js";
import type { ApicDriver, Receipt } from "./driver.js";
import type { LapicOptions } from "./lapic-model.js";
import { MachineModel } from "./machine-model.js";
import type { Lapic, Message, Policy } from "./model-types.js";
import type { ApicCore } from "../../src/apic-exports.js";

export const KVM_OPTIONS: LapicOptions = {
  reservedBits: "kvm",
  xidWritable: true,
  physicalAddressBits: 46,
  directedEoi: "absent",
  cmci: false,
  tscDeadline: true,
  x2apic: true,
  timerModeDisarms: false,
  periodMin: 0,
  busCycle: 1,
  errors: false,
  spurious: false,
  lint0Reenabled: true,
};

/** A change of one CPU between messages, or a message. */
type Step =
  | { readonly kind: "send"; readonly message: Message }
  | { readonly kind: "set"; readonly position: number; readonly to: Lapic }
  | { readonly kind: "add"; readonly cpu: Lapic; readonly visible: boolean }
  | { readonly kind: "process"; readonly position: number };

/** A machine and what happens to it. */
export interface Walk {
  readonly cpus: Lapic[];
  readonly steps: Step[];
}

/** Walks with few or many CPUs; every message fits the machine as it was built. */
export const walk: fc.Arbitrary<Walk> = mixedMachine.chain((cpus) => {
  const position = fc.nat({ max: cpus.length - 1 });
  const changed = mixedMachine.map((others) => others[0]!);
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 6, arbitrary: message(cpus).map((msg) => ({ kind: "send" as const, message: msg })) },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant("set" as const), position, to: changed }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("add" as const),
        cpu: changed,
        visible: fc.boolean(),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("process" as const), position }) },
  );
  return fc.record({
    cpus: fc.constant(cpus),
    steps: fc.array(step, { minLength: 1, maxLength: 16 }),
  });
});

/** Runs a walk on both and compares every receipt and, at the end, every run state. */
export function compareWalk(core: ApicCore, { cpus, steps }: Walk, policy: Policy): void {
  const model = new MachineModel(policy, KVM_OPTIONS);
  const real = new CoreDriver(core, [...knobsOf(policy), ...lapicKnobsOf(KVM_OPTIONS, false)]);
  const both: ApicDriver[] = [model, real];
  const ids = cpus.map((cpu) => cpu.x2id);
  const now = [...cpus];
  cpus.forEach((cpu) => both.forEach((driver) => driver.addVcpu(cpu.x2id, cpu.x2id === 0, true)));
  const set = (n: number, cpu: Lapic, runState: number): void => {
    for (const driver of both) {
      driver.setState(n, stateOf(cpu, runState));
      if (cpu.mode === "x") driver.writeMmio(n, 0x80, 4, cpu.tpr);
      if (cpu.mode === "x2") driver.writeMsr(n, 0x808, BigInt(cpu.tpr));
    }
  };
  cpus.forEach((cpu, n) => set(n, cpu, n % 4));

  for (const step of steps) {
    if (step.kind === "set") {
      now[step.position] = { ...step.to, x2id: ids[step.position]! };
      set(step.position, now[step.position]!, 1);
    } else if (step.kind === "add") {
      if (ids.includes(step.cpu.x2id)) continue;
      ids.push(step.cpu.x2id);
      both.forEach((driver) => driver.addVcpu(step.cpu.x2id, step.cpu.x2id === 0, step.visible));
    } else if (step.kind === "process") {
      same(
        step,
        both.map((driver) => driver.processEvents(step.position)),
      );
    } else {
      const receipts = both.map((driver) => sendTo(driver, step.message, now));
      if (receipts[0] !== null) same(step, receipts);
    }
  }
  ids.forEach((_, n) =>
    same(
      `run state of ${n}`,
      both.map((driver) => [
        [driver.pending(n), driver.nmis(n)],
        [driver.processEvents(n), driver.runState(n), driver.sipiVector(n), driver.nmis(n)],
      ]),
    ),
  );
}

/** @returns null when the sender cannot send, since it is disabled by now */
function sendTo(driver: ApicDriver, msg: Message, cpus: readonly Lapic[]): Receipt | null {
  const fields = {
    logical: msg.logical ? 1 : 0,
    mode: msg.mode,
    vector: msg.vector,
    trigger: msg.levelTriggered ? 1 : 0,
    level: msg.assert ? 1 : 0,
  };
  if (msg.from === null)
    return driver.sendMsi({ ...fields, dest: msg.dest, hint: msg.hint ? 1 : 0 });
  const sender = cpus[msg.from]!;
  if (sender.mode === "off") return null;
  const dest = sender.mode === "x2" ? msg.dest : msg.dest & 0xff;
  return driver.sendIpi({ ...fields, from: msg.from, dest, shorthand: msg.shorthand });
}

function same(what: unknown, [expected, got]: unknown[]): void {
  const [wanted, found] = [JSON.stringify(expected), JSON.stringify(got)];
  if (wanted !== found) throw new Error(`${JSON.stringify(what)}: model ${wanted}, core ${found}`);
}
