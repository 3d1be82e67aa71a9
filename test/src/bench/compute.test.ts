/** Every row of the compute benchmark is a kernel of the guests, and computes what it says. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { computeHere } from "../../../src/bench/compute.js";
import { KERNELS } from "../../../src/bench/kernels.js";
import { CRC_OF_NUMBERS_32, CRC_OF_NUMBERS_64 } from "./numbers.js";

/** What is known from elsewhere: numbers of primes, of Fibonacci, of repetitions. */
const RESULTS: Readonly<Record<string, number>> = {
  sieve: 6542,
  calls: 6765,
  trap: 2,
  identify: 0,
  port: 2,
  fault: 2,
};

describe.each([
  { guest: "compute.bin", crc: CRC_OF_NUMBERS_64 },
  { guest: "compute32.bin", crc: CRC_OF_NUMBERS_32 },
])("kernels of $guest", ({ guest, crc }) => {
  const image = readFileSync(new URL(`../../../guests/${guest}`, import.meta.url));

  it.each(KERNELS)("$name runs and is counted", async (kernel) => {
    const sample = await computeHere(image, { ...kernel, count: 2 });
    const known = kernel.name === "crc" ? crc : RESULTS[kernel.name];
    if (known !== undefined) expect(Number(sample.result)).toBe(known);
    expect(sample.result).toMatch(/^0x[0-9a-f]+$/);
    expect(sample.nsEach).toBeGreaterThan(0);
  });

  it("tell when there is no such kernel", async () => {
    const unknown = { ...KERNELS[0]!, name: "nothing-of-the-kind" };
    await expect(computeHere(image, unknown)).rejects.toThrow("names no kernel");
  });
});
