/** Byte offsets in the vCPU record of the registers that instructions name implicitly; `register<T>` takes them. */
import { Vcpu } from "../vcpu";

export const RAX: u32 = <u32>offsetof<Vcpu>("rax");
export const RCX: u32 = <u32>offsetof<Vcpu>("rcx");
export const RDX: u32 = <u32>offsetof<Vcpu>("rdx");
export const RBX: u32 = <u32>offsetof<Vcpu>("rbx");
export const RSP: u32 = <u32>offsetof<Vcpu>("rsp");
export const RBP: u32 = <u32>offsetof<Vcpu>("rbp");
export const RSI: u32 = <u32>offsetof<Vcpu>("rsi");
export const RDI: u32 = <u32>offsetof<Vcpu>("rdi");
/** AL is at RAX, AH one byte above. */
export const AH: u32 = RAX + 1;
