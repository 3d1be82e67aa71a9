/** kvm-clock as a guest meets it: what its MSRs accept, what they write. */
import { describe, expect, it } from "vitest";
import { BUILDS, longMode, readU64 } from "../../support/machine.js";

const CLOCKSOURCE = 1 << 0;
const CLOCKSOURCE2 = 1 << 3;
const STABLE = 1 << 24;
const WALL_NEW = 0x4b564d00;
const TIME_NEW = 0x4b564d01;
const STRUCTURE = 0x20000;

describe.each(BUILDS)("kvm-clock (%s)", (build) => {
  it.each([
    ["new numbers with CLOCKSOURCE2", CLOCKSOURCE2, WALL_NEW, TIME_NEW, true],
    ["new numbers without it", CLOCKSOURCE, WALL_NEW, TIME_NEW, false],
    ["old numbers with CLOCKSOURCE", CLOCKSOURCE, 0x11, 0x12, true],
    ["old numbers without it", CLOCKSOURCE2, 0x11, 0x12, false],
  ])("%s", async (_, kvmFeatures, wall, time, exists) => {
    const cpu = (await longMode(build, "f4", { kvmFeatures })).vcpus[0]!;
    expect(cpu.writeMsr(wall, BigInt(STRUCTURE))).toBe(exists);
    expect(cpu.writeMsr(time, BigInt(STRUCTURE + 64 + 1))).toBe(exists);
    expect(cpu.readMsr(wall)).toBe(exists ? BigInt(STRUCTURE) : undefined);
    expect(cpu.readMsr(time)).toBe(exists ? BigInt(STRUCTURE + 64 + 1) : undefined);
  });

  it("gives the moment, the scale of a 1 GHz TSC, and an even version", async () => {
    const kvmFeatures = CLOCKSOURCE2 | STABLE;
    // wrmsr
    const target = await longMode(build, "90 90 90 90 0f 30", { kvmFeatures });
    const cpu = target.vcpus[0]!;
    cpu.writeMsr(0x10, 5_000_000n); // the TSC is ahead of the clock
    cpu.gpr.rcx = BigInt(TIME_NEW);
    cpu.gpr.rax = BigInt(STRUCTURE + 1);
    cpu.gpr.rdx = 0n;
    target.run({ maxInstructions: 5 });
    const tsc = readU64(target, STRUCTURE + 8);
    const ns = readU64(target, STRUCTURE + 16);
    expect(ns).toBe(4n);
    expect(tsc).toBe(5_000_004n);
    const mul = readU64(target, STRUCTURE + 24) & 0xffffffffn;
    const shift = Number((readU64(target, STRUCTURE + 24) >> 32n) & 0xffn);
    expect(((1000n << BigInt(shift)) * mul) >> 32n).toBe(1000n);
    expect((readU64(target, STRUCTURE + 24) >> 40n) & 0xffn).toBe(1n);
    expect(readU64(target, STRUCTURE) & 0xffffffffn).toBe(2n);
    cpu.writeMsr(TIME_NEW, BigInt(STRUCTURE + 1));
    expect(readU64(target, STRUCTURE) & 0xffffffffn).toBe(4n);
  });

  it("writes nothing where it is switched off or outside RAM", async () => {
    const target = await longMode(build, "f4", { kvmFeatures: CLOCKSOURCE2 });
    const cpu = target.vcpus[0]!;
    expect(cpu.writeMsr(TIME_NEW, BigInt(STRUCTURE))).toBe(true);
    expect(readU64(target, STRUCTURE + 24)).toBe(0n);
    expect(cpu.writeMsr(TIME_NEW, 0xffffffff_ffffffe1n)).toBe(true);
    expect(cpu.writeMsr(TIME_NEW, BigInt(target.memoryBytes - 16 + 1))).toBe(true);
    expect(readU64(target, target.memoryBytes - 8)).toBe(0n);
  });

  it("starts the calendar at the same second in every run", async () => {
    const target = await longMode(build, "f4", { kvmFeatures: CLOCKSOURCE2 });
    target.vcpus[0]!.writeMsr(WALL_NEW, BigInt(STRUCTURE));
    expect(readU64(target, STRUCTURE) >> 32n).toBe(BigInt(Date.UTC(2025, 0, 1) / 1000));
    expect(readU64(target, STRUCTURE + 8) & 0xffffffffn).toBe(0n);
  });
});
