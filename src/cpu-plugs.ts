/**
 * CPUs that come and go: the host's side of the CPU-hotplug registers.
 *
 * The host adds a CPU or asks for one; the guest notices, takes it into use or gives it back, and reports. Listeners hear
 * of every step.
 */
import * as abi from "../assembly/abi.js";
import type { CpuHotplugBlock } from "./devices/cpu-hotplug.js";
import { X2vmError, hex } from "./errors.js";
import { checkHotplug, type HotplugEvent, type HotplugRequest, type OstReport } from "./hotplug.js";
import type { Interrupts } from "./interrupts.js";
import { Listeners } from "./listeners.js";
import type { Vcpu } from "./vcpu.js";

/** What the machine provides. */
export interface PlugSetup {
  /** Not there yet when the board is made: asked when it is needed. */
  block(): CpuHotplugBlock;
  interrupts(): Interrupts;
  /** Only CPUs that have a slot from the start can come. */
  readonly isListClosed: boolean;
  readonly vcpuCapacity: number;
  isTaken(apicId: number): boolean;
  /** @throws X2vmError NO_VCPU */
  vcpuIndexOf(apicId: number): number;
  addVcpu(apicId: number, flags: number): Vcpu;
  removeVcpu(apicId: number): void;
}

export class CpuPlugs {
  readonly events = new Listeners<[event: HotplugEvent]>();
  readonly reports = new Listeners<[report: OstReport]>();
  readonly #setup: PlugSetup;
  /** Of the last event: what the event device's interrupt is about. */
  #lastId = 0;

  constructor(setup: PlugSetup) {
    this.#setup = setup;
  }

  /** As `Machine.hotplug`. */
  add(request: HotplugRequest): Vcpu {
    const block = this.#setup.block();
    const interrupts = this.#setup.interrupts();
    checkHotplug(request, {
      isTaken: (apicId) => this.#setup.isTaken(apicId),
      possible: this.#setup.isListClosed ? block.apicIds : undefined,
      idLimit: interrupts.idLimit,
      longIdObstacle: interrupts.longIdObstacle,
    });
    const isX2apic = interrupts.policy.knobs.get("hotplugX2apic") === 1;
    const vcpu = this.#setup.addVcpu(request.apicId, isX2apic ? abi.ADD_X2APIC : 0);
    const known = block.slotOf(request.apicId);
    const slot = known >= 0 ? known : block.slotFor(request.apicId, this.#setup.vcpuCapacity);
    this.#tell("added", request.apicId);
    block.insert(slot);
    return vcpu;
  }

  /** As `Machine.unplug`. */
  remove({ apicId, force = false }: { apicId: number; force?: boolean }): void {
    const block = this.#setup.block();
    this.#setup.vcpuIndexOf(apicId);
    const slot = block.slotOf(apicId);
    if (slot === 0) {
      const reason = "booted the machine and cannot be unplugged";
      throw new X2vmError("BOOT_CPU", `CPU ${hex(apicId)} ${reason}.`);
    }
    if (force) {
      this.eject(slot);
      return;
    }
    this.#tell("removal", apicId);
    block.requestRemoval(slot);
  }

  /** The guest ejects a CPU. */
  eject(slot: number): void {
    const apicId = this.#idOf(slot);
    this.#setup.removeVcpu(apicId);
    this.#setup.block().clear(slot);
    this.#tell("ejected", apicId);
  }

  /** The guest took note of an event. */
  acknowledge(slot: number): void {
    this.#tell("acknowledged", this.#idOf(slot));
  }

  /** The guest reported on an event. */
  ost(slot: number, event: number, status: number): void {
    this.reports.tell({ apicId: this.#idOf(slot), event, status });
  }

  /** The event device's pin sends what its entry says. */
  hotplugInterrupt(low: number, high: number): void {
    this.#tell("interrupt", this.#lastId, { vector: low & 0xff, dest: high >>> 24 });
  }

  #idOf(slot: number): number {
    return this.#setup.block().apicIds[slot]!;
  }

  #tell(
    kind: HotplugEvent["kind"],
    apicId: number,
    interrupt: Pick<HotplugEvent, "vector" | "dest"> = {},
  ): void {
    this.#lastId = apicId;
    this.events.tell({ kind, apicId, ...interrupt });
  }
}
