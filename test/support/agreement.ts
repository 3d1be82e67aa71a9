/**
 * Two machines that must agree: one runs as it is, the other loses its TLB before each step, and with it every short way
 * that relies on what the TLB knows.
 */
import { expect } from "vitest";
import type { Machine } from "../../src/index.js";

export type Patch = (target: Machine) => void;

/** Steps both; `patches[n]` is done to both before step n. */
export async function expectAgreement(
  create: () => Promise<Machine>,
  patches: readonly (Patch | undefined)[],
  steps: number,
): Promise<void> {
  const warm = await create();
  const cold = await create();
  for (let step = 0; step < steps; step++) {
    patches[step]?.(warm);
    patches[step]?.(cold);
    cold.vcpus[0]!.setSegment("fs", {}); // drops its TLB
    warm.step(0);
    cold.step(0);
    expect(warm.stateHash(), describeState(warm, cold, step)).toBe(cold.stateHash());
  }
  warm.dispose();
  cold.dispose();
}

function describeState(warm: Machine, cold: Machine, step: number): string {
  const of = ({ vcpus: [vcpu] }: Machine) =>
    `rip ${vcpu!.rip.toString(16)} rsp ${vcpu!.gpr.rsp.toString(16)} cpl ${vcpu!.cpl} ` +
    `rflags ${vcpu!.rflags.toString(16)}`;
  return `after step ${step}: ${of(warm)} | ${of(cold)}`;
}
