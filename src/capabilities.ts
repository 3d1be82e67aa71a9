/**
 * KVM's capabilities as far as they concern APIC IDs: what a userspace asks and switches on.
 *
 * Source: Linux Documentation/virt/kvm/api.rst, KVM_CHECK_EXTENSION, KVM_ENABLE_CAP, KVM_CAP_X2APIC_API. The machine has
 * the split irqchip: PIC and I/O APIC are the host's.
 */
import { X2vmError, hex } from "./errors.js";
import { longIdObstacle, type Policy } from "./policies.js";

/** Capability numbers. */
export const KVM_CAP = {
  MAX_VCPUS: 66,
  SPLIT_IRQCHIP: 121,
  MAX_VCPU_ID: 128,
  X2APIC_API: 129,
} as const;

/** Flags of KVM_CAP_X2APIC_API. */
export const KVM_X2APIC_API = {
  USE_32BIT_IDS: 1,
  DISABLE_BROADCAST_QUIRK: 2,
  ENABLE_SUPPRESS_EOI_BROADCAST: 4,
  DISABLE_SUPPRESS_EOI_BROADCAST: 8,
} as const;

const SUPPRESS_EOI_FLAGS =
  KVM_X2APIC_API.ENABLE_SUPPRESS_EOI_BROADCAST | KVM_X2APIC_API.DISABLE_SUPPRESS_EOI_BROADCAST;

/** Flags that each preset knows: 4.9 the first two, real parts none. */
const KNOWN_FLAGS: Readonly<Record<string, number>> = { "kvm-legacy": 3, knl: 0, strict8: 0 };
const ALL_FLAGS = 0xf;

/** A machine's policy as it is now: knobs may be switched on while it runs. */
export class Capabilities {
  #policy: Policy;
  readonly #vcpuCapacity: number;
  readonly #setKnob: (name: string, value: number) => void;

  /** @param setKnob - sets a knob in the core, by name */
  constructor(
    policy: Policy,
    vcpuCapacity: number,
    setKnob: (name: string, value: number) => void,
  ) {
    this.#policy = policy;
    this.#vcpuCapacity = vcpuCapacity;
    this.#setKnob = setKnob;
  }

  /** The policy with everything that was enabled since. */
  get policy(): Policy {
    return this.#policy;
  }

  /**
   * KVM_CHECK_EXTENSION. For KVM_CAP_X2APIC_API the mask of known flags.
   *
   * @returns 0 for what is not there
   */
  checkExtension(capability: number): number {
    switch (capability) {
      case KVM_CAP.MAX_VCPUS:
        return this.#vcpuCapacity;
      case KVM_CAP.MAX_VCPU_ID:
        return 0xffffffff; // IDs are below this
      case KVM_CAP.SPLIT_IRQCHIP:
        return 1;
      case KVM_CAP.X2APIC_API:
        return this.#knownFlags;
      default:
        return 0;
    }
  }

  /**
   * KVM_ENABLE_CAP of KVM_CAP_X2APIC_API: at any time, never off again. USE_32BIT_IDS changes the form of the
   * destination map at its next rebuild only.
   *
   * @throws X2vmError BAD_OPTION for another capability, an unknown flag, or both EOI flags; nothing has changed
   */
  enableCap(capability: number, flags: number): void {
    if (capability !== KVM_CAP.X2APIC_API || this.#knownFlags === 0) {
      throw new X2vmError("BAD_OPTION", `Capability ${capability} cannot be enabled here.`);
    }
    const unknown = (flags & ~this.#knownFlags) >>> 0;
    if (!Number.isInteger(flags) || flags < 0 || flags > 0xffffffff || unknown !== 0) {
      throw new X2vmError(
        "BAD_OPTION",
        `KVM_CAP_X2APIC_API has flags ${hex(this.#knownFlags)}; ${hex(unknown)} is unknown.`,
      );
    }
    if ((flags & SUPPRESS_EOI_FLAGS) === SUPPRESS_EOI_FLAGS) {
      throw new X2vmError("BAD_OPTION", "Suppression of EOI broadcasts cannot be both on and off.");
    }
    if (flags & KVM_X2APIC_API.USE_32BIT_IDS) this.#change("ids32", 1);
    if (flags & KVM_X2APIC_API.DISABLE_BROADCAST_QUIRK) this.#change("quirk", 0);
    if (flags & KVM_X2APIC_API.ENABLE_SUPPRESS_EOI_BROADCAST) this.#change("directedEoi", 2);
    if (flags & KVM_X2APIC_API.DISABLE_SUPPRESS_EOI_BROADCAST) this.#change("directedEoi", 0);
  }

  /** Why a hot-added CPU with an ID above 255 could not be woken, as things are now; undefined when it can. */
  get longIdObstacle(): string | undefined {
    return longIdObstacle(this.#policy);
  }

  get #knownFlags(): number {
    const preset = this.#policy.name.split(",")[0]!.trim();
    return KNOWN_FLAGS[preset] ?? ALL_FLAGS;
  }

  #change(knob: string, value: number): void {
    this.#setKnob(knob, value);
    this.#policy = { ...this.#policy, knobs: new Map([...this.#policy.knobs, [knob, value]]) };
  }
}
