/**
 * What a plan does to its machine while it runs: CPUs that come and go, keys that are typed, snapshots; each at a virtual time, or
 * when a line of the console matches.
 *
 * A pattern is tried as the guest prints, character by character; one that ends in "$", on complete lines only.
 */
import { ConsoleLines, type Machine } from "../index.js";
import type { Moment, PlannedHotplug, PlannedInput, PlannedSave } from "./args.js";
import { writeUserFile } from "./files.js";

export interface ActionPlan {
  readonly hotplugs: readonly PlannedHotplug[];
  readonly unplugs: readonly PlannedHotplug[];
  readonly inputs: readonly PlannedInput[];
  readonly saves: readonly PlannedSave[];
}

type Planned = PlannedHotplug | PlannedInput | PlannedSave;

interface Trigger {
  readonly planned: Planned;
  readonly pattern: RegExp;
  readonly needsWholeLine: boolean;
  readonly action: () => void;
}

export class PlannedActions {
  readonly #machine: Machine;
  readonly #plan: ActionPlan;
  readonly #done = new Set<Planned>();
  readonly #lines: ConsoleLines;
  #triggers: readonly Trigger[] = [];

  /** @param machine - loaded, not run yet; @param addCpu - does a planned hotplug */
  constructor(machine: Machine, plan: ActionPlan, addCpu: (apicId: number) => void) {
    this.#machine = machine;
    this.#plan = plan;
    this.#lines = new ConsoleLines((line) => this.#match(line, true));
    const { hotplugs, unplugs, inputs, saves } = plan;
    for (const each of hotplugs) this.#add(each, () => addCpu(each.apicId));
    for (const each of unplugs) this.#add(each, () => machine.unplug({ apicId: each.apicId }));
    for (const each of inputs) this.#add(each, () => machine.sendSerial(each.text));
    for (const each of saves) this.#add(each, () => writeUserFile(each.path, machine.snapshot()));
    if (this.#triggers.length > 0) machine.onSerial((byte) => this.#print(byte));
  }

  /** What has not happened yet, with times that count from now. */
  remaining(): ActionPlan {
    const passed = this.#machine.virtualNs;
    const rest = <T extends Planned>(all: readonly T[]): T[] =>
      all
        .filter((each) => !this.#done.has(each))
        .map((each) => ({ ...each, moment: later(each.moment, passed) }));
    const { hotplugs, unplugs, inputs, saves } = this.#plan;
    return {
      hotplugs: rest(hotplugs),
      unplugs: rest(unplugs),
      inputs: rest(inputs),
      saves: rest(saves),
    };
  }

  #add(planned: Planned, act: () => void): void {
    const action = () => {
      this.#done.add(planned);
      act();
    };
    const { moment } = planned;
    if ("ns" in moment) {
      this.#machine.at(moment.ns, action);
      return;
    }
    const needsWholeLine = /(^|[^\\])(\\\\)*\$$/.test(moment.line.source);
    this.#triggers = [...this.#triggers, { planned, pattern: moment.line, needsWholeLine, action }];
  }

  #print(byte: number): void {
    this.#lines.put(byte);
    const { begun } = this.#lines;
    if (begun !== "") this.#match(begun, false);
  }

  #match(line: string, isWhole: boolean): void {
    const matches = ({ pattern, needsWholeLine }: Trigger) =>
      (isWhole || !needsWholeLine) && pattern.test(line);
    const fired = this.#triggers.filter(matches);
    if (fired.length === 0) return;
    this.#triggers = this.#triggers.filter((each) => !fired.includes(each));
    // Between two instructions: the guest is in the middle of one that prints.
    for (const { action } of fired) this.#machine.at(this.#machine.virtualNs, action);
  }
}

function later(moment: Moment, passedNs: number): Moment {
  return "ns" in moment ? { ns: Math.max(0, moment.ns - passedNs) } : moment;
}
