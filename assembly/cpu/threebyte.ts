/** The three-byte opcode maps, 0F 38 and 0F 3A. */
import { raise } from "../fault";
import { executeSse } from "../fpu/sse";
import { Vcpu } from "../vcpu";
import { FEATURE_MOVBE, FEATURE_SSE42 } from "../x86/cpuid";
import { UD } from "../x86/exception";
import { crc32 } from "./bits";
import { offers } from "./features";
import { moveSwappedToMemory, moveSwappedToReg } from "./move";
import { Op, OP_66, OP_REP, OP_REPNE } from "./op";
import { invpcid } from "./system";

/** Executes an instruction of the three-byte maps: 0F 38 and 0F 3A. */
export function executeThreeByte(cpu: Vcpu, op: Op): void {
  // prettier-ignore
  switch (op.opcode) {
    case 0x282: return op.flags & OP_66 ? invpcid(cpu, op) : raise(cpu, UD);
    case 0x2f0: return byteSwapOrCrc(cpu, op);
    case 0x2f1: return byteSwapOrCrc(cpu, op);
    default: return executeSse(cpu, op);
  }
}

/** MOVBE, and CRC32 with F2; F3 has no meaning. */
function byteSwapOrCrc(cpu: Vcpu, op: Op): void {
  if (op.flags & OP_REPNE) return offers(FEATURE_SSE42) ? crc32(cpu, op) : raise(cpu, UD);
  if (!offers(FEATURE_MOVBE) || op.flags & OP_REP) return raise(cpu, UD);
  if (op.opcode & 1) moveSwappedToMemory(cpu, op);
  else moveSwappedToReg(cpu, op);
}
