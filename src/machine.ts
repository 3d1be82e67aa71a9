/**
 * A machine: the core, the board around it, and the way in for whoever drives both.
 *
 *     guest code ─ core ─ port or MMIO access ─▶ board ─▶ device ─▶ listener, exit, CPU hotplug
 *                   ▲
 *     Machine: create, load, run, step, hotplug, vcpus, memory, trace, stateHash
 *
 * Everything is deterministic: the same image, options and actions at the same virtual times give the same run.
 */
import * as abi from "../assembly/abi.js";
import { Board, type BoardOutputs } from "./board.js";
import type { MmioBus, PortBus } from "./bus.js";
import { loadCore } from "./core-source.js";
import { Core, type CoreImports } from "./core.js";
import { applyCpu } from "./cpu-models.js";
import { CpuPlugs } from "./cpu-plugs.js";
import type { CpuSlot } from "./devices/cpu-hotplug.js";
import type { AccessSize } from "./devices/device.js";
import { X2vmError, hex } from "./errors.js";
import { checkAdded, type HotplugEvent, type HotplugRequest, type OstReport } from "./hotplug.js";
import { Listeners } from "./listeners.js";
import type { LoadOptions, LoadPlan } from "./loaders/image.js";
import { planLoad } from "./loaders/load.js";
import { Interrupts } from "./interrupts.js";
import { ramOffset } from "./ram-offset.js";
import { resolveOptions, type MachineOptions, type ResolvedOptions } from "./options.js";
import {
  limitsOf,
  stopOf,
  type RunLimits,
  type RunOptions,
  type RunResult,
  type StepResult,
  type Stop,
} from "./run-result.js";
import { Schedule } from "./schedule.js";
import { saveMachine, SavedMachine, type RestoreOptions } from "./snapshot/saved-machine.js";
import { startBootCpu } from "./start.js";
import { StateHash } from "./state-hash.js";
import type { ApicEvent } from "./trace/apic.js";
import type { CpuEvent } from "./trace/cpu.js";
import { TraceSubscriptions } from "./trace/subscriptions.js";
import { Translator } from "./translate/translator.js";
import { Vcpu } from "./vcpu.js";

/** Instructions after which `run` of the core returns to the engine, so that its compiler can put in faster code. */
const SLICE_INSTRUCTIONS = 2 ** 20;

const BOOT_VCPU = 0;

export class Machine {
  /** Policy of the messages between APICs, KVM's capabilities, faults. */
  readonly interrupts: Interrupts;
  readonly #core: Core;
  readonly #board: Board;
  readonly #options: ResolvedOptions;
  /** By vcpuIndex, made when first asked for: a million take time and memory. */
  readonly #vcpus: Vcpu[] = [];
  readonly #translator: Translator;
  readonly #schedule = new Schedule();
  readonly #serialListeners = new Listeners<[byte: number]>();
  readonly #postListeners = new Listeners<[code: number]>();
  readonly #debugListeners = new Listeners<[byte: number]>();
  readonly #traceSubscriptions: TraceSubscriptions;
  readonly #plugs: CpuPlugs;
  #stop: Stop | undefined;
  #isInCore = false;
  /** An instruction accesses a port or MMIO: the clock is in the middle of a slice. */
  #isInAccess = false;
  #isDisposed = false;

  /** @param saved - of a machine that is restored; without it, the CPUs of `options` are added */
  private constructor(core: Core, options: ResolvedOptions, saved?: SavedMachine) {
    this.#core = core;
    this.#options = options;
    this.#translator = new Translator(core);
    this.#traceSubscriptions = new TraceSubscriptions((mask) => core.exports.setTraceMask(mask));
    this.#plugs = new CpuPlugs({
      block: () => this.#board.cpuHotplug,
      interrupts: () => this.interrupts,
      vcpuIndexOf: (apicId) => this.#vcpuIndexOf(apicId),
      isTaken: (apicId) => core.exports.findVcpu(apicId) >= 0,
      isListClosed: options.possibleApicIds !== undefined,
      vcpuCapacity: options.vcpuCapacity,
      addVcpu: (apicId, flags) => {
        const vcpuIndex = this.#addVcpu(apicId, flags);
        return this.vcpus[vcpuIndex]!; // the list grows with the CPU
      },
      removeVcpu: (apicId) => this.#removeVcpu(apicId),
    });
    this.#board = new Board(this.#outputs(), {
      ramBytes: options.memoryBytes,
      cpuCount: () => this.#board.cpuHotplug.enabledCount,
      platform: options.machine,
      epochSeconds: options.epochSeconds,
      clock: { nowNs: () => this.virtualNs, rearmed: () => this.#scheduleChanged() },
      highestApicId: () => this.#board.cpuHotplug.apicIds.reduce((a, b) => Math.max(a, b), 0),
    });
    if (core.exports.create(options.vcpuCapacity, options.memoryBytes, options.seed) === 0) {
      const wish = `${options.vcpuCapacity} vCPU slots and ${hex(options.memoryBytes)} bytes of guest memory`;
      throw new X2vmError(
        "MEMORY_TOO_LARGE",
        `${wish} do not fit into the 4 GiB of a WebAssembly memory.`,
      );
    }
    core.exports.setTranslateAfter(options.translateAfter);
    applyCpu(core, options.cpu);
    this.interrupts = new Interrupts(core, {
      ...options,
      bootId: options.apicIds[0]!,
      idLimit: saved?.header.idLimit,
      vcpuIndexOf: (apicId) => this.#vcpuIndexOf(apicId),
      assertUsable: () => this.#assertUsable(),
    });
    core.exports.setInstructionNs(options.instructionNs);
    if (saved !== undefined) {
      saved.restoreTo(core, this.#board);
      return;
    }
    if (options.kvmFeatures !== undefined) core.exports.offerKvm(options.kvmFeatures);
    options.apicIds.forEach((apicId, i) => {
      this.#addVcpu(apicId, i === 0 ? abi.ADD_BSP : 0);
      this.#board.cpuHotplug.addSlot(apicId, true);
    });
    options.possibleApicIds?.forEach((apicId) => this.#board.cpuHotplug.addSlot(apicId, false));
  }

  /**
   * Makes a machine: CPUs, guest RAM, devices. Nothing runs yet.
   *
   * @throws X2vmError BAD_OPTION, APIC_ID_RANGE, APIC_ID_TAKEN, MEMORY_TOO_LARGE, CORE_UNAVAILABLE
   */
  static async create(options: MachineOptions = {}): Promise<Machine> {
    return Machine.#make(resolveOptions(options));
  }

  /**
   * Makes a machine that goes on where the one of the snapshot stood, equal to the last bit.
   *
   * @throws X2vmError BAD_SNAPSHOT for anything else than a whole snapshot that this version and build of x2vm made;
   *   BAD_OPTION for a malformed policy; CORE_UNAVAILABLE, MEMORY_TOO_LARGE
   */
  static async restore(snapshot: Uint8Array, options: RestoreOptions = {}): Promise<Machine> {
    const { policy, ...source } = options;
    const saved = new SavedMachine(snapshot, source);
    const machine = await Machine.#make(saved.header.options, saved);
    if (policy !== undefined) machine.interrupts.setPolicy(policy);
    return machine;
  }

  static async #make(options: ResolvedOptions, saved?: SavedMachine): Promise<Machine> {
    const module = await loadCore(options.wasm, options.build);
    const core = await Core.instantiate(module, () => imports);
    const machine = new Machine(core, options, saved);
    const imports = machine.#imports();
    return machine;
  }

  /** Every CPU that was ever there, by vcpuIndex; a removed one has the run state "absent". */
  get vcpus(): readonly Vcpu[] {
    const count = this.#isDisposed ? 0 : this.#core.exports.slotsInUse();
    while (this.#vcpus.length < count) this.#vcpus.push(new Vcpu(this.#core, this.#vcpus.length));
    return this.#vcpus;
  }

  /** Virtual time in nanoseconds since the machine was made. */
  get virtualNs(): number {
    const { exports } = this.#core;
    return this.#isInAccess ? exports.preciseClock() : exports.clock();
  }

  /** Instructions retired since the machine was made, all CPUs together; while it runs, those of finished slices. */
  get instructions(): number {
    return this.#core.exports.retired();
  }

  /** Guest RAM in bytes. */
  get memoryBytes(): number {
    return this.#options.memoryBytes;
  }

  /** I/O ports: put a device of your own behind a range that is free. */
  get ports(): PortBus {
    return this.#board.ports;
  }

  /** Memory-mapped registers outside guest RAM. */
  get mmio(): MmioBus {
    return this.#board.mmio;
  }

  /** The CPUs that the machine has or can have, as the guest now sees them in the hotplug registers. */
  get cpuSlots(): readonly CpuSlot[] {
    return this.#board.cpuHotplug.slots;
  }

  /**
   * Puts an image into guest RAM and the boot CPU at its entry.
   *
   * @throws X2vmError IMAGE_* or BAD_OPTION; guest RAM and registers are untouched then
   */
  load(image: Uint8Array, options: LoadOptions = {}): LoadPlan {
    this.#assertUsable();
    const plan = planLoad(image, this.memoryBytes, options, {
      cpuCount: this.#board.cpuHotplug.apicIds.length,
      cpus: () => this.cpuSlots,
      platform: this.#options.machine,
    });
    for (const { address, bytes, length } of plan.pieces) this.#core.putRam(address, bytes, length);
    this.#core.putRom(plan.rom?.bytes, plan.rom?.readOnlyLowBytes);
    const signature = Number(this.#core.variable("cpu/cpuid/signature"));
    startBootCpu(new Vcpu(this.#core, BOOT_VCPU), plan.start, signature);
    return plan;
  }

  /**
   * Runs until something ends it. Any slicing of a run by `maxInstructions` or `untilNs` gives the same run.
   *
   * @throws X2vmError BAD_OPTION, MACHINE_RUNNING, MACHINE_DISPOSED
   */
  run(options: RunOptions = {}): RunResult {
    this.#assertUsable();
    const limits = limitsOf(options);
    const start = this.instructions;
    this.#stop = undefined;
    let stop: Stop | undefined;
    while (stop === undefined) stop = this.#runSlice(limits);
    return { ...stop, instructions: this.instructions - start, virtualNs: this.virtualNs };
  }

  /**
   * Runs one instruction of one CPU, or delivers what is pending for it.
   *
   * @throws X2vmError NO_VCPU, MACHINE_RUNNING, MACHINE_DISPOSED
   */
  step(vcpuIndex: number): StepResult {
    this.#assertUsable();
    this.#vcpu(vcpuIndex);
    const start = this.instructions;
    this.#stop = undefined;
    this.#runDueActions();
    const exit = this.#inCore(() => this.#core.exports.step(vcpuIndex));
    const raised = this.#core.exports.lastException(vcpuIndex);
    const stop = this.#stop ?? (exit === abi.EXIT_BUDGET ? undefined : stopOf(exit, vcpuIndex));
    return {
      ...(stop ?? { reason: "stepped" }),
      ...(raised >= 0
        ? { exception: { vector: raised & 0xff, hasErrorCode: (raised & 0x100) !== 0 } }
        : {}),
      instructions: this.instructions - start,
      virtualNs: this.virtualNs,
    };
  }

  /** Ends the present `run` after the instruction that is being executed; for listeners and actions. */
  stop(): void {
    this.#requestStop({ reason: "stopped" });
  }

  /**
   * Does something at a given virtual time, between two instructions: a hotplug, serial input, a look at registers.
   *
   * @param virtualNs - nanoseconds since the machine was made; a moment that has passed counts as now
   */
  at(virtualNs: number, action: () => void): void {
    if (!(virtualNs >= 0))
      throw new X2vmError("BAD_OPTION", `${virtualNs} is not a virtual time in nanoseconds.`);
    this.#schedule.add(Math.ceil(virtualNs), action);
    this.#scheduleChanged();
  }

  /**
   * Adds a CPU to the live machine. The guest finds it in the hotplug registers; it waits for INIT and SIPI.
   *
   * @throws X2vmError APIC_ID_RANGE, APIC_ID_TAKEN, APIC_ID_NOT_POSSIBLE, APIC_ID_UNREACHABLE, VCPU_CAPACITY; the guest
   *   sees nothing of a refused one
   */
  hotplug(request: HotplugRequest): Vcpu {
    this.#assertUsable();
    return this.#plugs.add(request);
  }

  /**
   * Asks the guest to give a CPU back; it is gone when the guest ejects it. With `force` it is gone at once.
   *
   * @throws X2vmError NO_VCPU, BOOT_CPU
   */
  unplug(request: { apicId: number; force?: boolean }): void {
    this.#assertUsable();
    this.#plugs.remove(request);
  }

  /**
   * Guest RAM, copied out.
   *
   * @param gpa - guest-physical address; @throws X2vmError MEMORY_OUT_OF_RANGE
   */
  readMemory(gpa: number | bigint, length: number): Uint8Array {
    const start = this.#ramOffset(gpa, length);
    return this.#core.ram(this.memoryBytes).slice(start, start + length);
  }

  /** Writes guest RAM; code that the guest has run from there is decoded anew. @throws X2vmError MEMORY_OUT_OF_RANGE */
  writeMemory(gpa: number | bigint, bytes: Uint8Array): void {
    const start = this.#ramOffset(gpa, bytes.length);
    this.#core.putRam(start, bytes);
  }

  /** Calls back with every byte that the guest sends over the serial port. @returns ends the subscription */
  onSerial(listener: (byte: number) => void): () => void {
    return this.#serialListeners.add(listener);
  }

  /** Calls back with every POST code (port 0x80). @returns ends the subscription */
  onPost(listener: (code: number) => void): () => void {
    return this.#postListeners.add(listener);
  }

  /** Calls back with every byte for the debug console (ports 0xe9 and 0x402). @returns ends the subscription */
  onDebug(listener: (byte: number) => void): () => void {
    return this.#debugListeners.add(listener);
  }

  /** Calls back when the guest reports how it took a hotplug event. @returns ends the subscription */
  onOst(listener: (report: OstReport) => void): () => void {
    return this.#plugs.reports.add(listener);
  }

  /** Calls back at every step of a CPU's coming or going. @returns ends the subscription */
  onHotplug(listener: (event: HotplugEvent) => void): () => void {
    return this.#plugs.events.add(listener);
  }

  /**
   * Calls back with every message between the APICs: sent, taken by whom and why, delivered.
   *
   * @param others - also tells each CPU that a message does not select, and why
   * @returns ends the subscription; without any, tracing costs nothing
   */
  trace(listener: (event: ApicEvent) => void, { others = false } = {}): () => void {
    return this.#traceSubscriptions.add(listener, others);
  }

  /** Calls back when a CPU starts, changes its LAPIC's mode, or waits for good. @returns ends the subscription */
  traceCpus(listener: (event: CpuEvent) => void): () => void {
    return this.#traceSubscriptions.addCpus(listener);
  }

  /** Input for the guest's serial port; a string is sent as UTF-8. */
  sendSerial(data: string | Uint8Array): void {
    this.#assertUsable();
    this.#board.uart.receive(typeof data === "string" ? new TextEncoder().encode(data) : data);
  }

  /** Whether serial input would interrupt the guest: an idle machine that can still be woken from outside. */
  get listensToSerial(): boolean {
    return this.#board.uart.isReceiveInterruptEnabled;
  }

  /**
   * All that decides how the machine goes on: guest RAM, CPUs, time, messages on hold, devices, policy. What its driver
   * holds is not in it: listeners, actions that wait for their time, devices that were registered by hand.
   */
  snapshot(): Uint8Array {
    this.#assertUsable();
    return saveMachine(this.#core, this.#board, this.#options, this.interrupts);
  }

  /** A second machine that goes on from here as this one does; or under another policy. @throws X2vmError BAD_OPTION */
  fork({ policy }: { readonly policy?: string } = {}): Promise<Machine> {
    const { build, wasm, translateAfter } = this.#options;
    return Machine.restore(this.snapshot(), {
      build,
      ...(translateAfter === 0 ? { translate: false } : { translateAfter }),
      ...(wasm === undefined ? {} : { wasm }),
      ...(policy === undefined ? {} : { policy }),
    });
  }

  /** Hash of the whole state (RAM, vCPUs, virtual time, devices): 32 hexadecimal digits, equal for equal states. */
  stateHash(): string {
    this.#assertUsable();
    this.#core.exports.stateHash();
    const hash = new StateHash();
    const at = this.#core.exchangeAddress();
    hash.words(this.#core.bytes.slice(at, at + 16));
    hash.memory(this.#core.ram(this.memoryBytes));
    hash.memory(this.#core.rom());
    hash.text(JSON.stringify(this.#board.state()));
    return hash.digest();
  }

  /** Ends the machine: every later call is refused, and its memory can be collected. */
  dispose(): void {
    this.#isDisposed = true;
    this.#serialListeners.clear();
    this.#postListeners.clear();
    this.#debugListeners.clear();
    this.#plugs.reports.clear();
    this.#plugs.events.clear();
    this.#traceSubscriptions.clear();
    this.#vcpus.length = 0;
  }

  #imports(): CoreImports {
    const { ports, mmio, pics, ioApic } = this.#board;
    const gpa = (low: number, high: number) => high * 2 ** 32 + low;
    return {
      ioRead: (port, size) => {
        this.#isInAccess = true;
        const value = ports.read(port, size as AccessSize);
        this.#isInAccess = false;
        return value;
      },
      ioWrite: (port, size, value) => {
        this.#isInAccess = true;
        ports.write(port, size as AccessSize, value);
        this.#isInAccess = false;
      },
      mmioRead: (low, high, size) => {
        this.#isInAccess = true;
        const value = mmio.read(gpa(low, high), size as AccessSize);
        this.#isInAccess = false;
        return value;
      },
      mmioWrite: (low, high, size, value) => {
        this.#isInAccess = true;
        mmio.write(gpa(low, high), size as AccessSize, value);
        this.#isInAccess = false;
      },
      traceEvent: (kind, record) => this.#traceSubscriptions.tell(kind, this.#core.view, record),
      eoiBroadcast: (vector) => ioApic.endOfInterrupt(vector),
      acknowledgeExtInt: () => pics.acknowledge(),
      translateBlock: (block) => this.#translator.translate(block),
    };
  }

  /** Something is due at another time than the core was told: the run goes on with the new time in view. */
  #scheduleChanged(): void {
    if (this.#isInCore) this.#core.exports.requestStop();
  }

  #outputs(): BoardOutputs {
    return {
      extInt: (level) => this.#core.exports.setExtInt(0, level ? 1 : 0),
      ioApicSend: (low, high) => this.#core.exports.raiseRte(low, high),
      hotplugInterrupt: (low, high) => this.#plugs.hotplugInterrupt(low, high),
      serial: (byte) => this.#serialListeners.tell(byte),
      post: (code) => this.#postListeners.tell(code),
      debug: (byte) => this.#debugListeners.tell(byte),
      exit: (exitCode) => this.#requestStop({ reason: "exit", exitCode }),
      reset: () => this.#requestStop({ reason: "reset" }),
      eject: (slot) => this.#plugs.eject(slot),
      acknowledge: (slot) => this.#plugs.acknowledge(slot),
      ost: (slot, event, status) => this.#plugs.ost(slot, event, status),
    };
  }

  /** One call of the core; takes what it used off the budget. @returns why the run ends, or undefined when it goes on */
  #runSlice(limits: RunLimits): Stop | undefined {
    this.#runDueActions();
    if (this.#stop !== undefined) return this.#stop;
    if (limits.budget <= 0) return { reason: "budget" };
    const { exports } = this.#core;
    const stopNs = Math.min(limits.untilNs, this.#schedule.nextNs, this.#board.nextNs);
    exports.setStopTime(stopNs === Infinity ? -1 : stopNs);
    this.#translator.makeRoom();
    const slice = Math.min(limits.budget, SLICE_INSTRUCTIONS);
    const before = this.instructions;
    const exit = this.#inCore(() => exports.run(slice));
    // Deliveries of faults count as instructions, but do not retire: a used up budget is the core's word.
    limits.budget -= exit === abi.EXIT_BUDGET ? slice : this.instructions - before;
    if (this.#stop !== undefined) return this.#stop;
    if (exit === abi.EXIT_BUDGET || exit === abi.EXIT_STOP) return undefined;
    if (exit === abi.EXIT_TIME) {
      return this.virtualNs >= limits.untilNs ? { reason: "time" } : undefined;
    }
    return stopOf(exit, exports.currentVcpu() >>> 0);
  }

  #runDueActions(): void {
    this.#board.advance(this.virtualNs);
    for (;;) {
      const action = this.#schedule.takeDue(this.virtualNs);
      if (action === undefined) return;
      action();
    }
  }

  #inCore(call: () => number): number {
    this.#isInCore = true;
    try {
      return call();
    } finally {
      this.#isInCore = false;
      this.#isInAccess = false; // a listener threw
    }
  }

  /** The first reason counts. */
  #requestStop(stop: Stop): void {
    this.#stop ??= stop;
    this.#core.exports.requestStop();
  }

  /** @returns vcpuIndex */
  #addVcpu(apicId: number, flags: number): number {
    const vcpuIndex = this.#core.exports.addVcpu(apicId, flags);
    checkAdded(vcpuIndex, apicId, this.#options.vcpuCapacity);
    return vcpuIndex;
  }

  /** @throws X2vmError NO_VCPU */
  #vcpuIndexOf(apicId: number): number {
    const vcpuIndex = this.#core.exports.findVcpu(apicId);
    if (vcpuIndex < 0) throw new X2vmError("NO_VCPU", `No CPU has APIC ID ${hex(apicId)}.`);
    return vcpuIndex;
  }

  #removeVcpu(apicId: number): void {
    this.#core.exports.removeVcpu(this.#vcpuIndexOf(apicId));
  }

  #vcpu(vcpuIndex: number): Vcpu {
    const vcpu = this.vcpus[vcpuIndex];
    if (vcpu === undefined || vcpu.runState === "absent") {
      throw new X2vmError("NO_VCPU", `There is no vCPU ${vcpuIndex}.`);
    }
    return vcpu;
  }

  #ramOffset(gpa: number | bigint, length: number): number {
    this.#assertAlive();
    return ramOffset(gpa, length, this.memoryBytes);
  }

  #assertAlive(): void {
    if (this.#isDisposed) throw new X2vmError("MACHINE_DISPOSED", "The machine was disposed of.");
  }

  #assertUsable(): void {
    this.#assertAlive();
    if (!this.#isInCore) return;
    const advice = "Use machine.at(machine.virtualNs, ...) to do it between two instructions";
    throw new X2vmError("MACHINE_RUNNING", `Not while the machine runs. ${advice}.`);
  }
}
