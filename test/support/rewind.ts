/** Puts a CPU's registers back, so that one machine serves many cases. */
import { GPR_NAMES, SEGMENT_NAMES, type Vcpu } from "../../src/vcpu.js";

const CONTROL_NAMES = ["efer", "cr4", "cr0", "cr2"] as const;
const DEBUG_NAMES = ["dr0", "dr1", "dr2", "dr3", "dr6", "dr7"] as const;

/** Writes what has changed: a write of a control register costs the host a flush of the TLB. */
function putBack<Name extends string>(
  registers: Record<Name, bigint>,
  names: readonly Name[],
): () => void {
  const values = names.map((name) => registers[name]);
  return () =>
    names.forEach((name, i) => {
      if (registers[name] !== values[i]) registers[name] = values[i]!;
    });
}

/** @returns a function that puts back what the CPU's registers (without x87, SSE and MSRs) are now */
export function rewinder(vcpu: Vcpu): () => void {
  const registers = [
    putBack(vcpu.control, CONTROL_NAMES),
    putBack(vcpu.debug, DEBUG_NAMES),
    putBack(vcpu.gpr, GPR_NAMES),
  ];
  const segments = SEGMENT_NAMES.map((name) => vcpu.segment(name));
  const { rip, rflags, gdtr, idtr } = vcpu;
  return () => {
    registers.forEach((each) => each());
    vcpu.rflags = rflags;
    SEGMENT_NAMES.forEach((name, i) => {
      const [now, then] = [vcpu.segment(name), segments[i]!];
      const isSame =
        now.selector === then.selector &&
        now.base === then.base &&
        now.limit === then.limit &&
        now.accessRights === then.accessRights;
      if (!isSame) vcpu.setSegment(name, then);
    });
    Object.assign(vcpu, { rip, gdtr, idtr });
  };
}
