/**
 * CR4.UMIP: SGDT, SIDT, SLDT, SMSW and STR raise #GP(0) above ring 0, and nothing else changes. Source: SDM 3A "Control
 * Registers" (CR4.UMIP); SDM 2, these instructions.
 */
import { describe, expect, it } from "vitest";
import { BUILDS, hex, readU64 } from "../../support/machine.js";
import { rewinder } from "../../support/rewind.js";
import { enterRing, worldOf, WORLDS, type WorldName } from "../../support/worlds.js";

const [UD, GP] = [6, 13];
const UMIP = 1n << 11n;

/** Memory and register forms; "isProtected": #UD in real-address and virtual-8086 mode. */
const CODES: [what: string, code: string, isProtected: boolean][] = [
  ["SGDT", "0f 01 03", false],
  ["SIDT", "0f 01 0b", false],
  ["SLDT m16", "0f 00 03", true],
  ["SLDT r", "0f 00 c0", true],
  ["STR m16", "0f 00 0b", true],
  ["STR r", "0f 00 c8", true],
  ["SMSW m16", "0f 01 23", false],
  ["SMSW r", "0f 01 e0", false],
];
const isProtectedMode = (world: WorldName) => world !== "real" && world !== "v86";

describe.each(BUILDS)("UMIP (%s)", (build) => {
  const rows = CODES.flatMap(([what, code, isProtected]) =>
    WORLDS.map((world) => [what, world, code, isProtected] as const),
  );
  it.each(rows)("%s, %s", async (_, world, code, isProtected) => {
    const target = await worldOf(build, world, hex(code));
    const vcpu = target.vcpus[0]!;
    const rewind = rewinder(vcpu);
    const rings = world.endsWith("ring 0") ? [0, 1, 2, 3] : [vcpu.cpl];
    for (const ring of rings) {
      for (const isOn of [false, true]) {
        rewind();
        if (isOn) vcpu.control.cr4 |= UMIP;
        if (world.endsWith("ring 0")) enterRing(vcpu, ring);
        let vector: number | undefined;
        if (isProtected && !isProtectedMode(world)) vector = UD;
        else if (isOn && ring > 0) vector = GP;
        const { rip } = vcpu;
        expect([ring, isOn, target.step(0).exception?.vector]).toEqual([ring, isOn, vector]);
        if (vector !== GP) continue;
        const frame = Number(vcpu.gpr.rsp);
        const is64 = world.startsWith("64") || world.startsWith("compat");
        const error = BigInt.asUintN(is64 ? 64 : 32, readU64(target, frame));
        const saved = BigInt.asUintN(is64 ? 64 : 32, readU64(target, frame + (is64 ? 8 : 4)));
        expect([error, saved]).toEqual([0n, rip]);
      }
    }
  });
});
