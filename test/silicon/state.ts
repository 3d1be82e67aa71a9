/** A machine state as the vectors know it. */
export interface CpuState {
  /** rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 .. r15; upper halves are 0 in 16- and 32-bit mode. */
  gpr: BigUint64Array;
  /** Offset in CS. */
  rip: bigint;
  rflags: number;
  /** Selectors of ES, CS, SS, DS, FS, GS. */
  segments: Uint16Array;
  /**
   * FXSAVE image, but with the x87 registers in physical order: R0 first, where FXSAVE has ST0 first.
   * Of its first 32 bytes only FCW, FSW, FTW (one bit a register, 1 = valid) and MXCSR mean something.
   */
  fx: Uint8Array;
}

export const FX_FCW = 0;
export const FX_FSW = 2;
export const FX_FTW = 4;
export const FX_MXCSR = 24;
export const FX_ST = 32;
export const FX_XMM = 160;

/** A state of zeros. */
export function emptyState(): CpuState {
  return {
    gpr: new BigUint64Array(16),
    rip: 0n,
    rflags: 2,
    segments: new Uint16Array(6),
    fx: new Uint8Array(512),
  };
}

/** A copy that shares nothing. */
export function copyState(from: CpuState): CpuState {
  return {
    gpr: from.gpr.slice(),
    rip: from.rip,
    rflags: from.rflags,
    segments: from.segments.slice(),
    fx: from.fx.slice(),
  };
}
