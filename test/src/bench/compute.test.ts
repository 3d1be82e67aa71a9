/** Every row of the compute benchmark is a kernel of the guest, and computes what it says. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { computeHere } from "../../../src/bench/compute.js";
import { KERNELS } from "../../../src/bench/kernels.js";
import { CRC_OF_NUMBERS } from "./numbers.js";

const image = readFileSync(new URL("../../../guests/compute.bin", import.meta.url));

/** What is known from elsewhere: numbers of primes, of Fibonacci, of repetitions; a CRC-32. */
const RESULTS: Readonly<Record<string, number>> = {
  sieve: 6542,
  calls: 6765,
  crc: CRC_OF_NUMBERS,
  trap: 2,
  identify: 0,
  port: 2,
  fault: 2,
};

describe("compute kernels", () => {
  it.each(KERNELS)("$name runs and is counted", async (kernel) => {
    const sample = await computeHere(image, { ...kernel, count: 2 });
    const known = RESULTS[kernel.name];
    if (known !== undefined) expect(Number(sample.result)).toBe(known);
    expect(sample.result).toMatch(/^0x[0-9a-f]+$/);
    expect(sample.wallNs).toBeGreaterThan(0);
  });

  it("tells when the guest knows no such kernel", async () => {
    const unknown = { name: "nothing-of-the-kind", title: "", count: 1 };
    await expect(computeHere(image, unknown)).rejects.toThrow("names no kernel");
  });
});
