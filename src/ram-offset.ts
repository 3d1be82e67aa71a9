/** Guest-physical addresses as a machine's driver gives them. */
import { X2vmError, hex } from "./errors.js";

/**
 * Where a range of guest RAM begins.
 *
 * @param gpa - guest-physical address; @param memoryBytes - size of guest RAM
 * @throws X2vmError MEMORY_OUT_OF_RANGE unless all of it is RAM
 */
export function ramOffset(gpa: number | bigint, length: number, memoryBytes: number): number {
  const start = Number(gpa);
  if (Number.isSafeInteger(start) && start >= 0 && length >= 0 && start + length <= memoryBytes) {
    return start;
  }
  throw new X2vmError(
    "MEMORY_OUT_OF_RANGE",
    `${length} bytes at ${hex(gpa)} leave the ${hex(memoryBytes)} bytes of guest memory.`,
  );
}
