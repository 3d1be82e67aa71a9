/**
 * KVM's capabilities as far as they concern local APICs: what a userspace asks and switches on.
 *
 * Source: Linux Documentation/virt/kvm/api.rst, KVM_CHECK_EXTENSION, KVM_ENABLE_CAP, KVM_CAP_X2APIC_API. The machine has
 * the split irqchip: PIC and I/O APIC are the host's.
 */
import { X2vmError, hex } from "./errors.js";
import { longIdObstacle, type Policy } from "./policies.js";

/** Capability numbers. */
export const KVM_CAP = {
  NR_VCPUS: 9,
  SET_BOOT_CPU_ID: 34,
  MAX_VCPUS: 66,
  DISABLE_QUIRKS: 116,
  SPLIT_IRQCHIP: 121,
  MAX_VCPU_ID: 128,
  X2APIC_API: 129,
  DISABLE_QUIRKS2: 213,
  APIC_BUS_CYCLES_NS: 237,
} as const;

/** Bits of KVM_CAP_DISABLE_QUIRKS and its successor that concern local APICs. */
export const KVM_X86_QUIRK = {
  LINT0_REENABLED: 1 << 0,
  LAPIC_MMIO_HOLE: 1 << 2,
} as const;
const QUIRKS = KVM_X86_QUIRK.LINT0_REENABLED | KVM_X86_QUIRK.LAPIC_MMIO_HOLE;

/** Flags of KVM_CAP_X2APIC_API. */
export const KVM_X2APIC_API = {
  USE_32BIT_IDS: 1,
  DISABLE_BROADCAST_QUIRK: 2,
  ENABLE_SUPPRESS_EOI_BROADCAST: 4,
  DISABLE_SUPPRESS_EOI_BROADCAST: 8,
} as const;

const SUPPRESS_EOI_FLAGS =
  KVM_X2APIC_API.ENABLE_SUPPRESS_EOI_BROADCAST | KVM_X2APIC_API.DISABLE_SUPPRESS_EOI_BROADCAST;

/** IDs are below this: 0xffffffff addresses all CPUs. */
const ID_LIMIT = 0xffffffff;

/** Flags that each preset knows: 4.9 the first two, real parts none. */
const KNOWN_FLAGS: Readonly<Record<string, number>> = { "kvm-legacy": 3, knl: 0, strict8: 0 };
const ALL_FLAGS = 0xf;

/** What a machine was made with. */
export interface CapabilityLimits {
  readonly vcpuCapacity: number;
  /** APIC ID of the boot CPU. */
  readonly bootId: number;
  /** KVM_CAP_MAX_VCPU_ID as it was set in a machine that is restored. */
  readonly idLimit?: number | undefined;
}

/** A machine's policy as it is now: knobs may be switched on while it runs. */
export class Capabilities {
  #policy: Policy;
  #idLimit: number | undefined;
  readonly #limits: CapabilityLimits;
  readonly #setKnob: (name: string, value: number) => void;

  /** @param setKnob - sets a knob in the core, by name */
  constructor(
    policy: Policy,
    limits: CapabilityLimits,
    setKnob: (name: string, value: number) => void,
  ) {
    this.#policy = policy;
    this.#limits = limits;
    this.#idLimit = limits.idLimit;
    this.#setKnob = setKnob;
  }

  /** The policy with everything that was enabled since. */
  get policy(): Policy {
    return this.#policy;
  }

  /** Another policy from now on. @param policy - the core has it already */
  replacePolicy(policy: Policy): void {
    this.#policy = policy;
  }

  /** No CPU can be added with this APIC ID or a higher one: KVM_CAP_MAX_VCPU_ID. */
  get idLimit(): number {
    return this.#idLimit ?? ID_LIMIT;
  }

  /** The same as it was set; undefined when it was not. */
  get setIdLimit(): number | undefined {
    return this.#idLimit;
  }

  /**
   * KVM_CHECK_EXTENSION. For KVM_CAP_X2APIC_API the mask of known flags.
   *
   * @returns 0 for what is not there
   */
  checkExtension(capability: number): number {
    switch (capability) {
      case KVM_CAP.NR_VCPUS:
      case KVM_CAP.MAX_VCPUS:
        return this.#limits.vcpuCapacity;
      case KVM_CAP.MAX_VCPU_ID:
        return ID_LIMIT;
      case KVM_CAP.SET_BOOT_CPU_ID: // the first of the machine's `apicIds`
      case KVM_CAP.DISABLE_QUIRKS:
      case KVM_CAP.SPLIT_IRQCHIP:
        return 1;
      case KVM_CAP.DISABLE_QUIRKS2:
        return QUIRKS;
      case KVM_CAP.APIC_BUS_CYCLES_NS:
        return this.#policy.knobs.get("busCycle")!;
      case KVM_CAP.X2APIC_API:
        return this.#knownFlags;
      default:
        return 0;
    }
  }

  /**
   * KVM_ENABLE_CAP: at any time, never off again.
   *
   * KVM_CAP_X2APIC_API: USE_32BIT_IDS changes the form of the destination map at its next rebuild only; of the two EOI
   * flags the later one counts. KVM_CAP_DISABLE_QUIRKS ignores unknown bits, its successor refuses them.
   * KVM_CAP_MAX_VCPU_ID: once, not below the boot CPU's ID (its own ID is allowed: then no CPU can be added above it).
   * KVM_CAP_SPLIT_IRQCHIP and KVM_CAP_X86_APIC_BUS_CYCLES_NS come too late: the machine has its CPUs.
   *
   * @param value - args[0]: flags, or the limit
   * @throws X2vmError BAD_OPTION for a capability that cannot be enabled, an unknown flag, both EOI flags, or a limit
   *   that cannot be; nothing has changed
   */
  enableCap(capability: number, value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      refuse(`${String(value)} is unknown: the value of a capability is a whole number from 0.`);
    }
    if (capability === KVM_CAP.X2APIC_API && this.#knownFlags !== 0) {
      this.#enableX2apicApi(value);
    } else if (capability === KVM_CAP.DISABLE_QUIRKS) {
      this.#disableQuirks(value);
    } else if (capability === KVM_CAP.DISABLE_QUIRKS2) {
      checkFlags("KVM_CAP_DISABLE_QUIRKS2", value, QUIRKS);
      this.#disableQuirks(value);
    } else if (capability === KVM_CAP.MAX_VCPU_ID) {
      this.#limitIds(value);
    } else if (capability === KVM_CAP.SPLIT_IRQCHIP) {
      refuse("The machine has the split irqchip already: PIC and I/O APIC are the host's.");
    } else if (capability === KVM_CAP.APIC_BUS_CYCLES_NS) {
      refuse(
        "The machine has its CPUs: the cycle of the APIC bus was for its policy to say (busCycle).",
      );
    } else {
      refuse(`Capability ${capability} cannot be enabled here.`);
    }
  }

  #enableX2apicApi(flags: number): void {
    checkFlags("KVM_CAP_X2APIC_API", flags, this.#knownFlags);
    if ((flags & SUPPRESS_EOI_FLAGS) === SUPPRESS_EOI_FLAGS) {
      refuse("Suppression of EOI broadcasts cannot be both on and off.");
    }
    if (flags & KVM_X2APIC_API.USE_32BIT_IDS) this.#change("ids32", 1);
    if (flags & KVM_X2APIC_API.DISABLE_BROADCAST_QUIRK) this.#change("quirk", 0);
    if (flags & KVM_X2APIC_API.ENABLE_SUPPRESS_EOI_BROADCAST) this.#change("directedEoi", 2);
    if (flags & KVM_X2APIC_API.DISABLE_SUPPRESS_EOI_BROADCAST) this.#change("directedEoi", 0);
  }

  #disableQuirks(quirks: number): void {
    if (quirks & KVM_X86_QUIRK.LINT0_REENABLED) this.#change("lint0Reenabled", 0);
    if (quirks & KVM_X86_QUIRK.LAPIC_MMIO_HOLE) this.#change("mmioHole", 0);
  }

  #limitIds(limit: number): void {
    const { bootId } = this.#limits;
    if (limit > ID_LIMIT || limit < bootId) {
      refuse(
        `A limit of APIC IDs is from ${hex(bootId)}, the boot CPU, to ${hex(ID_LIMIT)}, not ${hex(limit)}.`,
      );
    }
    if (this.#idLimit !== undefined && this.#idLimit !== limit) {
      refuse(`The limit of APIC IDs is ${hex(this.#idLimit)} already.`);
    }
    // KVM's 0 means that no limit is set: it stays so.
    if (limit !== 0) this.#idLimit = limit;
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

/** Flags may have more than 32 bits. */
function checkFlags(name: string, flags: number, known: number): void {
  const unknown = BigInt(flags) & ~BigInt(known);
  if (unknown !== 0n) refuse(`${name} has flags ${hex(known)}; ${hex(unknown)} is unknown.`);
}

function refuse(message: string): never {
  throw new X2vmError("BAD_OPTION", message);
}
