/**
 * The WebAssembly core, typed. The one file that names `WebAssembly`.
 *
 * Numbers above 2^32 cross the boundary as doubles or as two halves, never as BigInt, which costs twice as much. A u32
 * result arrives as a signed number, hence the `>>> 0`.
 */
import type { ApicExports } from "./apic-exports.js";
import { X2vmError } from "./errors.js";
import type { FaultArguments } from "./faults.js";
import { EXPORT_REGION, IMPORT_MODULE } from "./translate/module.js";

/** What the core asks of the host while it runs (assembly/host.ts). */
export interface CoreImports {
  ioRead(port: number, size: number): number;
  ioWrite(port: number, size: number, value: number): void;
  mmioRead(gpaLow: number, gpaHigh: number, size: number): number;
  mmioWrite(gpaLow: number, gpaHigh: number, size: number, value: number): void;
  /** @param record - address of the event in linear memory, valid during the call */
  traceEvent(kind: number, record: number): void;
  /** @returns vector 0..255 */
  acknowledgeExtInt(): number;
  /** A level-triggered vector came to its end; absent where there is no I/O APIC. */
  eoiBroadcast?(vector: number): void;
  /** @returns index in the table, or -1; absent where nothing is translated */
  translateBlock?(block: number): number;
}

/** The functions that the core exports (assembly/index.ts). */
interface CoreExports extends ApicExports {
  create(vcpuCapacity: number, ramBytes: number, seedLow: number): number;
  addVcpu(apicId: number, flags: number): number;
  removeVcpu(vcpuIndex: number): number;
  findVcpu(apicId: number): number;
  slotsInUse(): number;
  setRom(bytes: number, lowBytes: number): void;
  vcpuAddress(vcpuIndex: number): number;
  ramAddress(): number;
  exchangeAddress(): number;
  run(budget: number): number;
  step(vcpuIndex: number): number;
  currentVcpu(): number;
  lastException(vcpuIndex: number): number;
  setStopTime(ns: number): void;
  /** @param ns - 1..1000, before the first `run` */
  setInstructionNs(ns: number): void;
  clock(): number;
  preciseClock(): number;
  retired(): number;
  requestStop(): void;
  getRflags(vcpuIndex: number): number;
  setRflags(vcpuIndex: number, value: number): void;
  syncVcpu(vcpuIndex: number): void;
  readMsr(vcpuIndex: number, msr: number): number;
  writeMsr(vcpuIndex: number, msr: number, low: number, high: number): number;
  getLapic(vcpuIndex: number): void;
  /** @returns 0 when the state holds another x2APIC ID */
  setLapic(vcpuIndex: number): number;
  /** @returns 0 when the value is refused */
  setApicBase(vcpuIndex: number, low: number, high: number): number;
  ramWritten(gpa: number, length: number): void;
  translate(vcpuIndex: number, gvaLow: number, gvaHigh: number): number;
  setTraceMask(mask: number): void;
  setKnob(knob: number, value: number): number;
  offerKvm(features: number): void;
  /** @param word - number of a feature word (src/cpu-features.ts) @returns bits that the core does not implement */
  setFeatureWord(word: number, value: number): number;
  /** @param signature - CPUID.1:EAX */
  setSignature(signature: number): void;
  setVendor(ebx: number, edx: number, ecx: number): void;
  /** @param index - 0..11: registers of leaves 80000002H to 80000004H */
  setBrand(index: number, value: number): void;
  /** Arguments: `faultArguments` of faults.ts. @returns number of the rule, or -1 */
  apicInject(...rule: FaultArguments): number;
  apicInjectSeed(low: number, high: number): void;
  apicClearRules(): void;
  stateHash(): void;
  /** Address and length of each area go to the exchange area. @returns how many */
  stateAreas(): number;
  /** @returns 0, or the number of the part that cannot be (assembly/vm/snapshot.ts) */
  finishRestore(savedRamBase: number): number;
  setExtInt(vcpuIndex: number, level: number): void;
  raiseMsi(addressLow: number, addressHigh: number, data: number): number;
  raiseRte(low: number, high: number): number;
  setTranslateAfter(entries: number): void;
  forgetBlocks(): void;
  blockAt(gpa: number, mode: number): number;
  offersSse2(): number;
  tlbReadAddress(): number;
  tlbWriteAddress(): number;
}

/** A compiled core: compile once, make many machines. */
export type CoreModule = WebAssembly.Module;

/** The initial size that asconfig.json gives the memory (64 KiB pages). `create` grows it. */
const INITIAL_PAGES = 64;
const MAXIMUM_PAGES = 65536;

/** Compiles the core. @throws X2vmError CORE_UNAVAILABLE when the bytes are not a WebAssembly module */
export async function compileCore(bytes: BufferSource): Promise<CoreModule> {
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    throw new X2vmError(
      "CORE_UNAVAILABLE",
      `The core is not a WebAssembly module: ${String(error)}.`,
      {
        cause: error,
      },
    );
  }
}

export function isCoreModule(value: unknown): value is CoreModule {
  return value instanceof WebAssembly.Module;
}

/** One instance of the core with its linear memory. */
export class Core {
  readonly exports: CoreExports;
  readonly #variables: Readonly<Record<string, WebAssembly.Global>>;
  readonly #memory: WebAssembly.Memory;
  readonly #table: WebAssembly.Table;
  readonly #regionImports: WebAssembly.ModuleImports;
  /** Length of the table without regions. */
  readonly #tableBase: number;
  #view: DataView;
  #bytes: Uint8Array;

  private constructor(
    exports: CoreExports & { table: WebAssembly.Table },
    memory: WebAssembly.Memory,
  ) {
    this.exports = exports;
    this.#variables = exports as unknown as Record<string, WebAssembly.Global>;
    this.#memory = memory;
    this.#table = exports.table;
    this.#regionImports = { ...exports, memory } as unknown as WebAssembly.ModuleImports;
    this.#tableBase = exports.table.length;
    this.#view = new DataView(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
  }

  /**
   * @param host - who answers the core; asked when the core calls, which it does not while it is instantiated
   * @throws X2vmError CORE_UNAVAILABLE when the module is not the core that this host was made for
   */
  static async instantiate(module: CoreModule, host: () => CoreImports): Promise<Core> {
    const memory = new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum: MAXIMUM_PAGES });
    try {
      const imports = { env: { memory, abort: abortOf(memory) }, host: hostImports(host) };
      const instance = await WebAssembly.instantiate(module, imports);
      if (!("create" in instance.exports && "build" in instance.exports))
        throw new Error("it is another module");
      const exports = instance.exports as unknown as CoreExports & { table: WebAssembly.Table };
      return new Core(exports, memory);
    } catch (error) {
      throw new X2vmError(
        "CORE_UNAVAILABLE",
        `The core does not fit this host: ${String(error)}.`,
        { cause: error },
      );
    }
  }

  /** A module variable of the core, "vm/clock/time" (assembly/export-state.mjs exports them). @returns unsigned */
  variable(name: string): bigint {
    const { value } = this.#variables[name]!;
    return typeof value === "bigint" ? BigInt.asUintN(64, value) : BigInt(value >>> 0);
  }

  /** @param value - in the range of the variable */
  setVariable(name: string, value: bigint): void {
    const variable = this.#variables[name]!;
    const is64 = typeof variable.value === "bigint";
    variable.value = is64 ? BigInt.asIntN(64, value) : Number(BigInt.asIntN(32, value));
  }

  /** Digest of the core's sources: snapshots are for the core that they were made with. */
  get build(): string {
    return this.variable("build").toString(16).padStart(16, "0");
  }

  /** Linear memory as typed numbers. Never keep it: memory may move when it grows. */
  get view(): DataView {
    if (this.#view.buffer !== this.#memory.buffer) this.#view = new DataView(this.#memory.buffer);
    return this.#view;
  }

  /** Linear memory as bytes. Never keep it. */
  get bytes(): Uint8Array {
    if (this.#bytes.buffer !== this.#memory.buffer)
      this.#bytes = new Uint8Array(this.#memory.buffer);
    return this.#bytes;
  }

  /**
   * Puts translated code where the core can call it.
   *
   * @param number - of the region, from 0; an earlier one of that number is forgotten
   * @returns index in the core's table, or -1 where the host does not allow code to be compiled
   */
  addRegion(number: number, bytes: Uint8Array<ArrayBuffer>): number {
    const index = this.#tableBase + number;
    try {
      const imports = { [IMPORT_MODULE]: this.#regionImports };
      const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports);
      if (index >= this.#table.length) this.#table.grow(index + 1 - this.#table.length);
      this.#table.set(index, instance.exports[EXPORT_REGION]);
    } catch {
      return -1;
    }
    return index;
  }

  /** Guest RAM. Never keep it. @param ramBytes - its size */
  ram(ramBytes: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer, this.exports.ramAddress() >>> 0, ramBytes);
  }

  /** The ROM below 4 GiB; empty without one. Never keep it. */
  rom(): Uint8Array {
    const length = Number(this.variable("layout/romBytes"));
    const end = this.exports.ramAddress() >>> 0;
    return new Uint8Array(this.#memory.buffer, end - length, length);
  }

  /** Writes guest RAM; what lies between `bytes.length` and `length` is zeroed. Decoded code there is dropped. */
  putRam(address: number, bytes: Uint8Array, length = bytes.length): void {
    const start = (this.exports.ramAddress() >>> 0) + address;
    this.bytes.set(bytes, start);
    this.bytes.fill(0, start + bytes.length, start + length);
    this.exports.ramWritten(address, length);
  }

  /** Puts a ROM into the machine, or takes it out. @param lowBytes - of RAM below 1 MiB are read-only */
  putRom(bytes: Uint8Array = new Uint8Array(), lowBytes = 0): void {
    this.exports.setRom(bytes.length, lowBytes);
    this.rom().set(bytes);
  }

  /** Linear address of a vCPU record. */
  vcpuAddress(vcpuIndex: number): number {
    return this.exports.vcpuAddress(vcpuIndex) >>> 0;
  }

  /** Linear address of the 4 KiB in which the core leaves results. */
  exchangeAddress(): number {
    return this.exports.exchangeAddress() >>> 0;
  }
}

/** Imports with unsigned numbers. */
function hostImports(host: () => CoreImports): WebAssembly.ModuleImports {
  return {
    ioRead: (port: number, size: number) => host().ioRead(port, size),
    ioWrite: (port: number, size: number, value: number) => host().ioWrite(port, size, value >>> 0),
    mmioRead: (low: number, high: number, size: number) =>
      host().mmioRead(low >>> 0, high >>> 0, size),
    mmioWrite: (low: number, high: number, size: number, value: number) =>
      host().mmioWrite(low >>> 0, high >>> 0, size, value >>> 0),
    traceEvent: (kind: number, record: number) => host().traceEvent(kind >>> 0, record >>> 0),
    acknowledgeExtInt: () => host().acknowledgeExtInt(),
    eoiBroadcast: (vector: number) => host().eoiBroadcast?.(vector),
    translateBlock: (block: number) => host().translateBlock?.(block >>> 0) ?? -1,
  };
}

/** What an assertion of the core's debug build calls. */
function abortOf(memory: WebAssembly.Memory) {
  return (message: number, file: number, line: number, column: number): never => {
    const text = (address: number) => assemblyScriptString(memory, address >>> 0);
    throw new Error(`core: ${text(message)} (${text(file)}:${line}:${column})`);
  };
}

/** A string as AssemblyScript lays it out: UTF-16, byte length in the four bytes before it. */
function assemblyScriptString(memory: WebAssembly.Memory, address: number): string {
  if (address === 0) return "";
  const length = new DataView(memory.buffer).getUint32(address - 4, true);
  return String.fromCharCode(...new Uint16Array(memory.buffer, address, length >> 1));
}
