/** A machine as a snapshot, and back. */
import type { Board } from "../board.js";
import type { CoreBuild, CoreSource } from "../core-source.js";
import type { Core } from "../core.js";
import { X2vmError } from "../errors.js";
import type { Interrupts } from "../interrupts.js";
import type { ResolvedOptions } from "../options.js";
import { policyText } from "../policies.js";
import { restoreCore, saveCore } from "./core-state.js";
import { packSnapshot, unpackSnapshot, type UnpackedSnapshot } from "./format.js";
import { readHeader, writeHeader, type SnapshotHeader } from "./header.js";
import { malformed } from "./malformed.js";

/** How a snapshot is restored. */
export interface RestoreOptions {
  /** Goes on under this policy, in place of the snapshot's. */
  readonly policy?: string;
  /** Which build of the core: both run a snapshot of either. */
  readonly build?: CoreBuild;
  /** As in MachineOptions. */
  readonly wasm?: CoreSource;
  /** As in MachineOptions. */
  readonly translate?: boolean;
  readonly translateAfter?: number;
}

/** The bytes of a snapshot. The core must be between two instructions. */
export function saveMachine(
  core: Core,
  board: Board,
  options: ResolvedOptions,
  interrupts: Interrupts,
): Uint8Array {
  const { ramBase, variables, areas } = saveCore(core);
  const header: SnapshotHeader = {
    core: core.build,
    options,
    idLimit: interrupts.setIdLimit,
    devices: board.save(),
    ramBase,
    variables,
  };
  const ram = core.ram(options.memoryBytes);
  return packSnapshot({ header: writeHeader(header, policyText(interrupts.policy)), areas, ram });
}

/** A snapshot that was read and checked as far as can be without a machine. */
export class SavedMachine {
  readonly header: SnapshotHeader;
  readonly #parts: UnpackedSnapshot;

  /** @throws X2vmError BAD_SNAPSHOT */
  constructor(snapshot: Uint8Array, source: Omit<RestoreOptions, "policy">) {
    this.#parts = unpackSnapshot(snapshot);
    this.header = readHeader(this.#parts.header, this.#parts.ramBytes, source);
  }

  /**
   * Puts the state into a new machine.
   *
   * @param core - created with the options of the header, without vCPUs
   * @throws X2vmError BAD_SNAPSHOT when the core is another, or the state cannot be
   */
  restoreTo(core: Core, board: Board): void {
    const { options, ramBase, variables, devices } = this.header;
    if (this.header.core !== core.build) {
      throw new X2vmError(
        "BAD_SNAPSHOT",
        `The snapshot was made with another build of x2vm: core ${this.header.core}, not ${core.build}.`,
      );
    }
    this.#parts.copyRam(core.ram(options.memoryBytes));
    // Devices drive their lines, which stirs the core: its state comes last.
    board.load(devices);
    try {
      restoreCore(core, { ramBase, variables, areas: this.#parts.areas }, options.vcpuCapacity);
    } catch (error) {
      if (error instanceof X2vmError) throw error;
      throw malformed(`the core refuses it (${String(error)})`);
    }
  }
}
