/** Puts a CPU's registers back, so that one machine serves many cases. */
import { GPR_NAMES, SEGMENT_NAMES, type Vcpu } from "../../src/vcpu.js";

const CONTROL_NAMES = ["efer", "cr4", "cr0", "cr2"] as const;
const DEBUG_NAMES = ["dr0", "dr1", "dr2", "dr3", "dr6", "dr7"] as const;

/** @returns a function that puts back what the CPU's registers (without x87, SSE and MSRs) are now */
export function rewinder(vcpu: Vcpu): () => void {
  const gpr = GPR_NAMES.map((name) => vcpu.gpr[name]);
  const control = CONTROL_NAMES.map((name) => vcpu.control[name]);
  const debug = DEBUG_NAMES.map((name) => vcpu.debug[name]);
  const segments = SEGMENT_NAMES.map((name) => vcpu.segment(name));
  const { rip, rflags, gdtr, idtr } = vcpu;
  return () => {
    CONTROL_NAMES.forEach((name, i) => (vcpu.control[name] = control[i]!));
    vcpu.rflags = rflags;
    SEGMENT_NAMES.forEach((name, i) => vcpu.setSegment(name, segments[i]!));
    DEBUG_NAMES.forEach((name, i) => (vcpu.debug[name] = debug[i]!));
    GPR_NAMES.forEach((name, i) => (vcpu.gpr[name] = gpr[i]!));
    Object.assign(vcpu, { rip, gdtr, idtr });
  };
}
