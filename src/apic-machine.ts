/** A core without board and guest: local APICs that the host drives by hand. */
import type { ApicCore } from "./apic-exports.js";
import { loadCore, type CoreBuild, type CoreSource } from "./core-source.js";
import { Core, type CoreImports } from "./core.js";
import { X2vmError } from "./errors.js";

/** Guest RAM that the core asks for; nothing reads it here. */
const RAM_BYTES = 65536;

/** No CPU runs, so that the core asks nothing of its host. */
const SILENT: Omit<CoreImports, "traceEvent" | "eoiBroadcast"> = {
  ioRead: () => 0xffffffff,
  ioWrite: () => {},
  mmioRead: () => 0xffffffff,
  mmioWrite: () => {},
  acknowledgeExtInt: () => 0,
};

export interface ApicMachineOptions {
  /** vCPUs that one machine can hold. Default 256. */
  readonly vcpuCapacity?: number;
  readonly wasm?: CoreSource;
  readonly build?: CoreBuild;
}

/**
 * Makes an instance of the core for its APICs alone. `apicClear` empties it for the next machine.
 *
 * @throws X2vmError CORE_UNAVAILABLE, MEMORY_TOO_LARGE
 */
export async function createApicCore(options: ApicMachineOptions = {}): Promise<ApicCore> {
  const { vcpuCapacity = 256, wasm, build = "release" } = options;
  const traceEvent = (kind: number, record: number): void => apics.onTrace?.(kind, record);
  const eoiBroadcast = (vector: number): void => apics.onEoiBroadcast?.(vector);
  const imports = { ...SILENT, traceEvent, eoiBroadcast };
  const core = await Core.instantiate(await loadCore(wasm, build), () => imports);
  if (core.exports.create(vcpuCapacity, RAM_BYTES, 0) === 0) {
    throw new X2vmError(
      "MEMORY_TOO_LARGE",
      `${vcpuCapacity} vCPU slots do not fit into the 4 GiB of a WebAssembly memory.`,
    );
  }
  const apics: ApicCore = {
    exports: core.exports,
    get view() {
      return core.view;
    },
    onTrace: undefined,
    onEoiBroadcast: undefined,
  };
  return apics;
}
