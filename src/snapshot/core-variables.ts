/**
 * The module variables of the core that are part of a machine's state, with what they can hold.
 *
 * All others follow from these or from the options of the machine, or hold nothing between two instructions; a test has
 * the list of them, so that a new variable is found and thought about.
 */

import { ROM_MAX_BYTES } from "../../assembly/abi.js";

export interface CoreVariable {
  /** Folder, file and name under assembly/. */
  readonly name: string;
  readonly least: bigint;
  readonly most: bigint;
}

const U32 = 2n ** 32n - 1n;
const U64 = 2n ** 64n - 1n;
/** Times and counts that a double holds exactly: the host reads them as numbers. */
const COUNT = 2n ** 53n;

function variable(name: string, most: bigint, least = 0n): CoreVariable {
  return { name, least, most };
}

/** vCPU slots ever used. */
export const VCPU_COUNT = "layout/vcpuCount";
/** Armed timers. */
export const TIMER_COUNT = "vm/timers/count";
/** vCPU whose slice it is. */
export const CURRENT = "vm/run/current";

export const CORE_VARIABLES: readonly CoreVariable[] = [
  variable(VCPU_COUNT, 2n ** 24n, 1n),
  variable("layout/romBytes", BigInt(ROM_MAX_BYTES)),
  variable("layout/lowRomStart", 2n ** 20n),
  variable("mem/tlb/pageFlushes", U32),
  variable("mem/tlb/epoch", U32),
  variable("mem/tlb/nextAsid", 4096n, 4n),
  variable("mem/space/founded", 1023n),
  variable("mem/space/foundedIn", U32),
  variable("cpu/cpuid/signature", U32),
  variable("cpu/cpuid/threadShift", 31n),
  variable("cpu/cpuid/coreShift", 31n),
  variable("cpu/cpuid/logicalPerPackage", U32, 1n),
  variable("cpu/cpuid/kvmSignature", 1n),
  variable("cpu/cpuid/busCycle", 10_000n, 1n),
  variable("cpu/control/stopRequested", 1n),
  variable("cpu/random/randomState", U64),
  variable("vm/clock/time", COUNT),
  variable("vm/clock/fraction", 2n ** 24n - 1n),
  variable("vm/clock/perInstruction", 2n ** 24n * 1000n, 1n),
  variable("vm/clock/instructionNs", 1000n, 1n),
  variable("vm/clock/used", U32),
  variable("vm/kvm-clock/wallClock", U64),
  variable(TIMER_COUNT, 2n ** 24n),
  variable(CURRENT, 2n ** 24n - 1n),
  variable("vm/run/sliceLeft", 4096n),
  variable("vm/run/totalRetired", COUNT),
];
