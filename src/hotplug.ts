/** Rules of adding a CPU to a live machine: what is refused before the guest could see anything of it. */
import * as abi from "../assembly/abi.js";
import { X2vmError, hex } from "./errors.js";
import { checkApicId } from "./options.js";

export interface HotplugRequest {
  /** x2APIC ID of the new CPU, 32 bits. */
  readonly apicId: number;
  /** Adds the CPU even if INIT and SIPI cannot reach it under the machine's policy: that may be the experiment. */
  readonly force?: boolean;
}

/** A guest's report on a hotplug event (_OST). */
export interface OstReport {
  readonly apicId: number;
  readonly event: number;
  /** 0 is success. */
  readonly status: number;
}

/** A step of a CPU's coming or going, as the host and the board see it. */
export interface HotplugEvent {
  readonly kind:
    | "added" // the host plugged it in
    | "removal" // the host asks the guest to give it back
    | "interrupt" // the event device's pin sent an interrupt, for the event before
    | "acknowledged" // the guest took note of that event
    | "ejected"; // the CPU is gone
  readonly apicId: number;
  /** With kind "interrupt": vector and destination, as the I/O APIC's entry has them. */
  readonly vector?: number;
  readonly dest?: number;
}

/** What the rules look at. */
export interface HotplugContext {
  isTaken(apicId: number): boolean;
  /** All APIC IDs that a CPU of this machine may have; undefined: any. */
  readonly possible: readonly number[] | undefined;
  /** No CPU can have this ID or a higher one: KVM_CAP_MAX_VCPU_ID. */
  readonly idLimit: number;
  /** Why INIT and SIPI would not reach a new CPU with an ID above 255; undefined: they would. */
  readonly longIdObstacle: string | undefined;
}

/** IDs above this need more than the 8 bits of an xAPIC destination. */
const HIGHEST_SHORT_ID = 0xff;

/** @throws X2vmError APIC_ID_RANGE, APIC_ID_TAKEN, APIC_ID_NOT_POSSIBLE, APIC_ID_UNREACHABLE; nothing has changed */
export function checkHotplug(
  { apicId, force = false }: HotplugRequest,
  context: HotplugContext,
): void {
  checkApicId(apicId);
  if (apicId >= context.idLimit) {
    const limit = hex(context.idLimit);
    throw new X2vmError(
      "APIC_ID_RANGE",
      `APIC ID ${hex(apicId)} is not below ${limit}, the limit that KVM_CAP_MAX_VCPU_ID has set.`,
    );
  }
  if (context.isTaken(apicId)) {
    throw new X2vmError(
      "APIC_ID_TAKEN",
      `APIC ID ${hex(apicId)} belongs to a CPU that is already there.`,
    );
  }
  if (context.possible !== undefined && !context.possible.includes(apicId)) {
    const list = context.possible.map((each) => hex(each)).join(", ");
    throw new X2vmError(
      "APIC_ID_NOT_POSSIBLE",
      `APIC ID ${hex(apicId)} is not among the possible CPUs: ${list}.`,
    );
  }
  if (force || apicId <= HIGHEST_SHORT_ID || context.longIdObstacle === undefined) return;
  throw new X2vmError(
    "APIC_ID_UNREACHABLE",
    `CPU ${hex(apicId)} could never be woken: ${context.longIdObstacle}. Use force to add it all the same.`,
  );
}

/**
 * Says why the core did not add a CPU.
 *
 * @param vcpuIndex - what `addVcpu` of the core returned; @param capacity - vCPU slots
 * @throws X2vmError VCPU_CAPACITY, APIC_ID_TAKEN, APIC_ID_RANGE
 */
export function checkAdded(vcpuIndex: number, apicId: number, capacity: number): void {
  if (vcpuIndex === abi.ERROR_CAPACITY) {
    throw new X2vmError(
      "VCPU_CAPACITY",
      `All ${capacity} vCPU slots are in use; CPU ${hex(apicId)} needs another.`,
    );
  }
  if (vcpuIndex === abi.ERROR_APIC_ID_TAKEN) {
    throw new X2vmError(
      "APIC_ID_TAKEN",
      `APIC ID ${hex(apicId)} belongs to a CPU that is already there.`,
    );
  }
  if (vcpuIndex < 0)
    throw new X2vmError("APIC_ID_RANGE", `No CPU can have APIC ID ${hex(apicId)}.`);
}
