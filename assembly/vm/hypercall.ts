/**
 * KVM hypercalls: RAX is the number, RBX RCX RDX RSI the arguments.
 *
 * Source: Linux Documentation/virt/kvm/x86/hypercalls.rst; KVM `__kvm_emulate_hypercall`.
 * Not modelled: CLOCK_PAIRING, MAP_GPA_RANGE. SCHED_YIELD is accepted and changes nothing: the schedule is the machine's.
 */
import { pvKickCpu, pvSendIpi } from "../apic/paravirt";
import { offers } from "../cpu/features";
import { is64 } from "../cpu/mode";
import { Vcpu } from "../vcpu";
import * as feature from "../x86/cpuid";

const VAPIC_POLL_IRQ: u64 = 1;
const KICK_CPU: u64 = 5;
const SEND_IPI: u64 = 10;
const SCHED_YIELD: u64 = 11;
/** An unknown number, or CPUID does not offer the feature. */
const KVM_ENOSYS: u64 = -1000;

/** @returns what goes to RAX: 0, a count, or a negative error */
export function hypercall(cpu: Vcpu): u64 {
  const long = is64(cpu);
  // Callers outside 64-bit mode pass 32 bits.
  const mask: u64 = long ? u64.MAX_VALUE : 0xffffffff;
  switch (cpu.rax & mask) {
    case VAPIC_POLL_IRQ:
      return 0;
    case KICK_CPU:
      if (!offers(feature.FEATURE_KVM_PV_UNHALT)) return KVM_ENOSYS;
      pvKickCpu(<u32>cpu.rcx);
      return 0;
    case SEND_IPI:
      if (!offers(feature.FEATURE_KVM_PV_SEND_IPI)) return KVM_ENOSYS;
      return sendIpi(cpu, mask, long);
    case SCHED_YIELD:
      return offers(feature.FEATURE_KVM_PV_SCHED_YIELD) ? 0 : KVM_ENOSYS;
    default:
      return KVM_ENOSYS;
  }
}

function sendIpi(cpu: Vcpu, mask: u64, long: bool): u64 {
  const count = pvSendIpi(cpu.rbx & mask, cpu.rcx & mask, <u32>cpu.rdx, <u32>cpu.rsi, long);
  return <u64>(<i64>count);
}
