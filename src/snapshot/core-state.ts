/** The core's part of a snapshot: its module variables and the areas of its memory that are state. */
import type { Core } from "../core.js";
import { malformed } from "./malformed.js";
import { CORE_VARIABLES, CURRENT, TIMER_COUNT, VCPU_COUNT } from "./core-variables.js";

/** Parts that `finishRestore` of the core names by number, from 1 (assembly/vm/snapshot.ts). */
const PARTS = [
  "the interrupt policy",
  "CPUID",
  "the TLB",
  "a CPU",
  "the APIC map",
  "the messages on hold",
  "the timers",
  "the scheduler",
  "the ROM",
];

export interface CoreState {
  /** Where guest RAM was: TLB entries tell. */
  readonly ramBase: number;
  readonly variables: ReadonlyMap<string, bigint>;
  /** All areas, one after the other. */
  readonly areas: Uint8Array;
}

/** Takes the state out of a core that is between two instructions. */
export function saveCore(core: Core): CoreState {
  const areas = areasOf(core);
  const bytes = new Uint8Array(areas.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const area of areas) {
    bytes.set(area, at);
    at += area.length;
  }
  const variables = new Map(CORE_VARIABLES.map(({ name }) => [name, core.variable(name)]));
  return { ramBase: core.exports.ramAddress() >>> 0, variables, areas: bytes };
}

/**
 * Puts state into a new core without vCPUs, whose guest RAM has been put back.
 *
 * @param capacity - vCPU slots of that core
 * @throws X2vmError BAD_SNAPSHOT for state that no machine can be in; the core is of no use then
 */
export function restoreCore(core: Core, state: CoreState, capacity: number): void {
  for (const { name, least, most } of CORE_VARIABLES) {
    const value = state.variables.get(name);
    if (value === undefined || value < least || value > most)
      throw malformed(`${name} is ${value === undefined ? "missing" : value}`);
  }
  const count = state.variables.get(VCPU_COUNT)!;
  if (count > BigInt(capacity)) throw malformed(`it has ${count} CPUs in ${capacity} slots`);
  if (state.variables.get(TIMER_COUNT)! > count || state.variables.get(CURRENT)! >= count)
    throw malformed(`a CPU is beyond the ${count} that there are`);
  for (const { name } of CORE_VARIABLES) core.setVariable(name, state.variables.get(name)!);

  const areas = areasOf(core);
  const expected = areas.reduce((sum, { length }) => sum + length, 0);
  if (expected !== state.areas.length)
    throw malformed(`its state areas have ${state.areas.length} bytes instead of ${expected}`);
  let at = 0;
  for (const area of areas) {
    area.set(state.areas.subarray(at, at + area.length));
    at += area.length;
  }
  const refused = core.exports.finishRestore(state.ramBase);
  if (refused !== 0) throw malformed(`${PARTS[refused - 1]!} is in a state that cannot be`);
}

/** The areas in the core's memory, writable, in the core's order. */
function areasOf(core: Core): Uint8Array[] {
  const count = core.exports.stateAreas();
  const list = core.exchangeAddress();
  const { view, bytes } = core;
  return Array.from({ length: count }, (_, i) => {
    const address = view.getUint32(list + i * 8, true);
    return bytes.subarray(address, address + view.getUint32(list + i * 8 + 4, true));
  });
}
