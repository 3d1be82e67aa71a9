/**
 * RDRAND (0F C7 /6) and RDSEED (0F C7 /7): numbers from one generator of the machine, so that a run repeats exactly.
 *
 * Source: SDM 2B "RDRAND", "RDSEED". The generator is a 64-bit counter through a mixing function (the finalizer of
 * SplitMix64): every value comes once in 2^64 calls, and a number is always available (CF = 1).
 */
import { raise } from "../fault";
import { Vcpu } from "../vcpu";
import { FEATURE_RDRAND, FEATURE_RDSEED } from "../x86/cpuid";
import { CF } from "../x86/eflags";
import { UD } from "../x86/exception";
import { offers } from "./features";
import { setArithmetic } from "./flags";
import { Op } from "./op";
import { setRegister } from "./operand";

const STEP: u64 = 0x9e3779b97f4a7c15;

/** State of the generator: part of a snapshot. */
export let randomState: u64 = 0;

/** @param state - the machine's seed, or a saved `randomState` */
export function setRandomState(state: u64): void {
  randomState = state;
}

function next(): u64 {
  randomState += STEP;
  let z = randomState;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

function give(cpu: Vcpu, op: Op): void {
  const value = next();
  if (op.size === 2) setRegister<u16>(cpu, op.rm, <u16>value);
  else if (op.size === 4) setRegister<u32>(cpu, op.rm, <u32>value);
  else setRegister<u64>(cpu, op.rm, value);
  setArithmetic(cpu, CF);
}

/** RDRAND r. */
export function rdrand(cpu: Vcpu, op: Op): void {
  if (offers(FEATURE_RDRAND)) give(cpu, op);
  else raise(cpu, UD);
}

/** RDSEED r. */
export function rdseed(cpu: Vcpu, op: Op): void {
  if (offers(FEATURE_RDSEED)) give(cpu, op);
  else raise(cpu, UD);
}
