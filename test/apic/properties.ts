/**
 * Properties of delivery that hold for every machine, stated once and checked on the model and on the core.
 *
 * A check takes `send`: it builds the machine, sends one message and gives the IDs of the LAPICs that accepted.
 */
import fc from "fast-check";
import { mixedMachine, mixedCpu, orderlyMachine, message, scene } from "./arbitraries.js";
import type { Lapic, Message } from "./model-types.js";
import type { ModelPolicyName } from "./presets.js";

export type Send = (cpus: readonly Lapic[], message: Message, policy: ModelPolicyName) => number[];

const equal = (a: readonly number[], b: readonly number[]): boolean =>
  JSON.stringify([...a].sort()) === JSON.stringify([...b].sort());

const isUnicastMode = (msg: Message): boolean => msg.mode !== 1 && !msg.hint;

/** Is a physical destination a broadcast by KVM's rules? */
function isBroadcast(msg: Message, cpus: readonly Lapic[], quirk: boolean): boolean {
  if (msg.dest === 0xffffffff) return true;
  const isX2apicIpi = msg.from !== null && cpus[msg.from]!.mode === "x2";
  return msg.dest === 0xff && !(quirk && isX2apicIpi);
}

/** Orderly machines see no difference between map and scan, with exactly two exceptions. */
export function mapEqualsScan(
  send: Send,
): fc.IProperty<[{ cpus: Lapic[]; sent: Message[] }, boolean]> {
  return fc.property(scene(orderlyMachine), fc.boolean(), ({ cpus, sent }, quirk) => {
    const [byMap, byScan]: [ModelPolicyName, ModelPolicyName] = quirk
      ? ["kvm", "kvm-scan"]
      : ["kvm-noquirk", "kvm-scan-noquirk"];
    for (const msg of sent.filter(isUnicastMode)) {
      const isMsiToAll = msg.from === null && msg.dest === 0xffffffff && quirk;
      const isLongCluster = msg.logical && msg.dest > 0xff && cpus[0]!.dfr === 0x0fffffff;
      if (isMsiToAll || isLongCluster) continue;
      if (!equal(send(cpus, msg, byMap), send(cpus, msg, byScan))) return false;
    }
    return true;
  });
}

/** Under kvm a physical destination that is no broadcast reaches one LAPIC at most. */
export function oneReceiver(
  send: Send,
): fc.IProperty<[{ cpus: Lapic[]; sent: Message[] }, boolean]> {
  return fc.property(scene(mixedMachine), fc.boolean(), ({ cpus, sent }, quirk) =>
    sent
      .filter((msg) => msg.shorthand === 0 && !msg.logical && !isBroadcast(msg, cpus, quirk))
      .every((msg) => send(cpus, msg, quirk ? "kvm" : "kvm-noquirk").length <= 1),
  );
}

/** Under kvm a physical destination above 0xff never depends on an 8-bit ID. */
export function longIgnoresXid(
  send: Send,
): fc.IProperty<[{ cpus: Lapic[]; sent: Message[] }, number, number]> {
  const machines = scene(mixedMachine);
  return fc.property(
    machines,
    fc.nat(),
    fc.integer({ min: 0, max: 255 }),
    ({ cpus, sent }, which, xid) => {
      const changed = cpus.map((cpu, n) =>
        n === which % cpus.length && cpu.mode === "x" ? { ...cpu, xid } : cpu,
      );
      return sent
        .filter((msg) => msg.shorthand === 0 && !msg.logical && msg.dest > 0xff)
        .every((msg) => equal(send(cpus, msg, "kvm"), send(changed, msg, "kvm")));
    },
  );
}

/** Under kvm an added CPU never takes the ID of one in x2APIC mode. */
export function addingKeepsX2apic(send: Send): fc.IProperty<[Lapic[], Lapic, number]> {
  return fc.property(mixedMachine, mixedCpu, fc.nat(), (cpus, added, which) => {
    const long = cpus.filter((cpu) => cpu.mode === "x2");
    fc.pre(long.length > 0 && cpus.every((cpu) => cpu.x2id !== added.x2id));
    const target = long[which % long.length]!;
    const msg = nmiTo(target.x2id, cpus.indexOf(target));
    return (
      equal(send(cpus, msg, "kvm"), [target.x2id]) &&
      equal(send([...cpus, added], msg, "kvm"), [target.x2id])
    );
  });
}

/** An added CPU never changes who owns an ID; false under kvm-legacy. */
export function addingKeepsOwners(
  send: Send,
  policy: ModelPolicyName,
): fc.IProperty<[Lapic[], Lapic, number]> {
  return fc.property(mixedMachine, mixedCpu, fc.nat(), (cpus, added, which) => {
    fc.pre(cpus.every((cpu) => cpu.x2id !== added.x2id));
    const sender = cpus.findIndex((cpu) => cpu.mode === "x2");
    fc.pre(sender >= 0);
    const owner = cpus[which % cpus.length]!;
    const msg = nmiTo(owner.xid, sender);
    const before = send(cpus, msg, policy);
    fc.pre(before.length === 1 && owner.xid !== 0xff);
    return send([...cpus, added], msg, policy).includes(before[0]!);
  });
}

/** Two creation orders differ only in who owns an aliased ID among xAPIC-mode CPUs. */
export function orderChangesOnlyAliases(
  send: Send,
): fc.IProperty<[{ cpus: Lapic[]; order: number[]; msg: Message }]> {
  const scenes = mixedMachine.chain((cpus) =>
    fc.record({
      cpus: fc.constant(cpus),
      order: fc.shuffledSubarray(
        cpus.map((_, n) => n),
        { minLength: cpus.length },
      ),
      msg: message(cpus),
    }),
  );
  return fc.property(scenes, ({ cpus, order, msg }) => {
    fc.pre(isUnicastMode(msg));
    const moved = order.map((position) => cpus[position]!);
    const from = msg.from === null ? null : order.indexOf(msg.from);
    const one = send(cpus, msg, "kvm");
    const other = send(moved, { ...msg, from }, "kvm");
    const changed = [
      ...one.filter((id) => !other.includes(id)),
      ...other.filter((id) => !one.includes(id)),
    ];
    return changed.every((id) => isAliased(cpus, id));
  });
}

function isAliased(cpus: readonly Lapic[], id: number): boolean {
  const cpu = cpus.find((candidate) => candidate.x2id === id)!;
  const shares = cpus.filter((other) => other.mode === "x" && other.xid === cpu.xid);
  return cpu.mode === "x" && shares.length > 1;
}

function nmiTo(dest: number, from: number): Message {
  return {
    from,
    dest,
    logical: false,
    shorthand: 0,
    mode: 4,
    vector: 0,
    levelTriggered: false,
    assert: true,
    hint: false,
  };
}
