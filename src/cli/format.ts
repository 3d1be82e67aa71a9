/** Numbers as people read them. */

/** 470 ns, 2.13 ms, 1.50 s. */
export function formatNs(ns: number): string {
  if (ns < 1e3) return `${Math.round(ns)} ns`;
  if (ns < 1e6) return `${(ns / 1e3).toFixed(2)} µs`;
  if (ns < 1e9) return `${(ns / 1e6).toFixed(2)} ms`;
  return `${(ns / 1e9).toFixed(2)} s`;
}

/** 1,234,567. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** An APIC ID with at least two digits: 0x00, 0x123. */
export function formatApicId(apicId: number): string {
  return `0x${apicId.toString(16).padStart(2, "0")}`;
}
