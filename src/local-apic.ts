/**
 * The local APIC of one vCPU as the host sees it: its base MSR, and its registers as one block to save and put back.
 *
 * Source: KVM_SET_SREGS, KVM_GET_LAPIC and KVM_SET_LAPIC, Linux Documentation/virt/kvm/api.rst.
 */
import * as abi from "../assembly/abi.js";
import type { Core } from "./core.js";
import { X2vmError, hex } from "./errors.js";

/** Size of the block: KVM's `struct kvm_lapic_state`. */
export const LAPIC_STATE_BYTES = 1024;

const MSR_APIC_BASE = 0x1b;
/** Register 20H of the block. */
const ID_OFFSET = 0x20;
const MAX_64 = 0xffff_ffff_ffff_ffffn;

export class LocalApic {
  readonly #core: Core;
  readonly #vcpuIndex: number;

  /** vCPUs make these. */
  constructor(core: Core, vcpuIndex: number) {
    this.#core = core;
    this.#vcpuIndex = vcpuIndex;
  }

  /** IA32_APIC_BASE: address of the register page, BSP (bit 8), EXTD (10), EN (11). */
  get base(): bigint {
    this.#core.exports.readMsr(this.#vcpuIndex, MSR_APIC_BASE);
    return this.#core.view.getBigUint64(this.#core.exchangeAddress(), true);
  }

  /**
   * Sets IA32_APIC_BASE as a host does, which may go from x2APIC to xAPIC mode and from disabled to x2APIC mode at once.
   *
   * @throws X2vmError BAD_OPTION for a reserved bit, or EXTD without EN; NO_VCPU after the CPU was removed
   */
  set base(value: bigint) {
    this.#assertThere();
    const halves = [Number(value & 0xffffffffn), Number((value >> 32n) & 0xffffffffn)] as const;
    const isSet =
      value >= 0n &&
      value <= MAX_64 &&
      this.#core.exports.setApicBase(this.#vcpuIndex, ...halves) !== 0;
    if (isSet) return;
    throw new X2vmError(
      "BAD_OPTION",
      `${hex(value)} is no value of IA32_APIC_BASE here: it has a reserved bit, or EXTD without EN.`,
    );
  }

  /**
   * KVM_GET_LAPIC: register n is the 32-bit little-endian word at n * 16.
   *
   * In x2APIC mode the ID is the x2APIC ID, under a policy without `ids32` its low byte in bits 31:24. What is an MSR of
   * its own is not in it: IA32_APIC_BASE, IA32_TSC_DEADLINE, KVM's PV EOI.
   */
  get state(): Uint8Array {
    this.#core.exports.getLapic(this.#vcpuIndex);
    const at = this.#core.exchangeAddress();
    return this.#core.bytes.slice(at, at + LAPIC_STATE_BYTES);
  }

  /**
   * KVM_SET_LAPIC. The layout depends on the mode: set `base` first. Bits that a register does not have are dropped; the
   * timer goes on from the saved current count.
   *
   * @throws X2vmError BAD_OPTION for another size, or another x2APIC ID in x2APIC mode (under a policy with `ids32`);
   *   NO_VCPU after the CPU was removed; nothing has changed
   */
  set state(block: Uint8Array) {
    this.#assertThere();
    if (!(block instanceof Uint8Array) || block.length !== LAPIC_STATE_BYTES) {
      const found = block instanceof Uint8Array ? `${block.length} bytes` : typeof block;
      throw new X2vmError(
        "BAD_OPTION",
        `The state of a local APIC is a Uint8Array of ${LAPIC_STATE_BYTES} bytes, not ${found}.`,
      );
    }
    this.#core.bytes.set(block, this.#core.exchangeAddress());
    if (this.#core.exports.setLapic(this.#vcpuIndex) !== 0) return;
    const id = new DataView(block.buffer, block.byteOffset).getUint32(ID_OFFSET, true);
    throw new X2vmError(
      "BAD_OPTION",
      `The state holds x2APIC ID ${hex(id)}; this is CPU ${hex(this.#field(abi.VCPU_APIC_ID))}.`,
    );
  }

  #assertThere(): void {
    if (this.#field(abi.VCPU_RUN_STATE) !== abi.ABSENT) return;
    throw new X2vmError("NO_VCPU", `CPU ${hex(this.#field(abi.VCPU_APIC_ID))} was removed.`);
  }

  #field(offset: number): number {
    return this.#core.view.getUint32(this.#core.vcpuAddress(this.#vcpuIndex) + offset, true);
  }
}
