/** The interrupt fabric of a machine as its driver sees it: policy, KVM's capabilities, faults. */
import { Capabilities } from "./capabilities.js";
import type { Core } from "./core.js";
import { parsePolicyFor, type Cpu } from "./cpu-models.js";
import { X2vmError } from "./errors.js";
import { faultArguments, type Fault } from "./faults.js";
import { knobByName } from "./knobs.js";
import { applyPolicy, type Policy } from "./policies.js";

export interface InterruptsSetup {
  readonly policy: Policy;
  readonly cpu: Cpu;
  readonly vcpuCapacity: number;
  /** APIC ID of the boot CPU. */
  readonly bootId: number;
  readonly idLimit?: number | undefined;
  readonly seed: number;
  /** vcpuIndex of an APIC ID. @throws X2vmError NO_VCPU */
  readonly vcpuIndexOf: (apicId: number) => number;
  /** @throws X2vmError when the machine cannot be changed now */
  readonly assertUsable: () => void;
}

export class Interrupts {
  readonly #core: Core;
  readonly #setup: InterruptsSetup;
  readonly #capabilities: Capabilities;

  constructor(core: Core, setup: InterruptsSetup) {
    this.#core = core;
    this.#setup = setup;
    const { exports } = core;
    applyPolicy(setup.policy, (knob, value) => exports.setKnob(knob, value));
    exports.apicInjectSeed(setup.seed, 0);
    this.#capabilities = new Capabilities(setup.policy, setup, (knob, value) =>
      exports.setKnob(knobByName(knob).id, value),
    );
  }

  /** The policy as it is now: as chosen at creation, with every capability enabled since. */
  get policy(): Policy {
    return this.#capabilities.policy;
  }

  /**
   * Another policy from now on, in place of the one that the machine was made with and of all that was enabled since: for
   * forks that try one state under several policies. LAPICs are entered anew in the destination map; their registers
   * stay as they are, and so does what the guest has read from CPUID, but for x2APIC and TSC-deadline.
   *
   * @param text - as in MachineOptions.policy @throws X2vmError BAD_OPTION; nothing has changed
   */
  setPolicy(text: string): void {
    this.#setup.assertUsable();
    const policy = parsePolicyFor(this.#setup.cpu, text);
    applyPolicy(policy, (knob, value) => this.#core.exports.setKnob(knob, value));
    this.#capabilities.replacePolicy(policy);
  }

  /** KVM_CAP_MAX_VCPU_ID as it was set, or undefined. */
  get setIdLimit(): number | undefined {
    return this.#capabilities.setIdLimit;
  }

  /** Why a hot-added CPU with an ID above 255 could not be woken; undefined when it can. */
  get longIdObstacle(): string | undefined {
    return this.#capabilities.longIdObstacle;
  }

  /** No CPU can be added with this APIC ID or a higher one. */
  get idLimit(): number {
    return this.#capabilities.idLimit;
  }

  /** KVM_CHECK_EXTENSION for the capabilities that concern local APICs. @returns 0 for what is not there */
  checkExtension(capability: number): number {
    return this.#capabilities.checkExtension(capability);
  }

  /**
   * KVM_ENABLE_CAP of KVM_CAP_X2APIC_API (129) and a few others, on at any time and never off.
   *
   * @param value - args[0]: flags, or a limit @throws X2vmError BAD_OPTION; nothing has changed
   */
  enableCap(capability: number, value: number): void {
    this.#setup.assertUsable();
    this.#capabilities.enableCap(capability, value);
  }

  /**
   * Has messages between the APICs dropped, delayed, duplicated or misrouted from now on.
   *
   * @throws X2vmError BAD_OPTION when sixteen faults are there already; NO_VCPU for an unknown sender
   */
  injectFault(fault: Fault): void {
    this.#setup.assertUsable();
    if (this.#core.exports.apicInject(...faultArguments(fault, this.#setup.vcpuIndexOf)) < 0) {
      throw new X2vmError("BAD_OPTION", "A machine can have sixteen faults at a time.");
    }
  }

  /** Ends all faults; messages on hold still arrive. */
  clearFaults(): void {
    this.#setup.assertUsable();
    this.#core.exports.apicClearRules();
  }
}
