/** Model and core, each as a fresh set of local APICs, for facts that both must show. */
import { createApicCore } from "../../src/apic-machine.js";
import { CoreDriver, knobsOf, lapicKnobsOf } from "./core-driver.js";
import type { ApicDriver } from "./driver.js";
import { KVM_OPTIONS } from "./differential.js";
import type { LapicOptions } from "./lapic-model.js";
import { MachineModel } from "./machine-model.js";
import { MODEL_POLICIES, type ModelPolicyName } from "./presets.js";

export type Make = (options?: Partial<LapicOptions>, policy?: ModelPolicyName) => ApicDriver;

const core = await createApicCore();

/** [name, maker of a fresh machine] */
export const SIDES: readonly (readonly [string, Make])[] = [
  [
    "model",
    (options, policy = "kvm") =>
      new MachineModel(MODEL_POLICIES[policy], { ...KVM_OPTIONS, ...options }),
  ],
  [
    "core",
    (options, policy = "kvm") => {
      const knobs = lapicKnobsOf({ ...KVM_OPTIONS, ...options }, false);
      return new CoreDriver(core, [...knobsOf(MODEL_POLICIES[policy]), ...knobs]);
    },
  ],
];

export const BASE = {
  OFF: 0xfee00000n,
  XAPIC: 0xfee00800n,
  X2APIC: 0xfee00c00n,
  EXTD_ONLY: 0xfee00400n,
} as const;

/** One application processor, 0x123, in a mode; its LAPIC software-enabled. @returns its vcpuIndex */
export function processor(
  driver: ApicDriver,
  mode: "x" | "x2" | "off" = "x",
  apicId = 0x123,
): number {
  const n = driver.addVcpu(apicId, false, true);
  driver.writeMmio(n, 0xf0, 4, 0x1ff);
  if (mode === "x2") driver.writeMsr(n, 0x1b, BASE.X2APIC);
  if (mode === "off") driver.writeMsr(n, 0x1b, BASE.OFF);
  return n;
}
