/** The exports of the core, nothing else: the table of contents of its ABI. `src/core.ts` wraps it. */
export * from "./apic/drive";
export * from "./apic/exports";
export * from "./cpu/region";
export * from "./fpu/x87-region";
export * from "./vm/exports";
export * from "./vm/region";
