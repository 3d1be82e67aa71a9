/**
 * The header of a snapshot: all that is not bytes of the core, as JSON. Every field is checked when it is read; options
 * and device state have checks of their own where they are used.
 */
import type { DeviceState } from "../devices/device.js";
import { X2vmError } from "../errors.js";
import { resolveOptions, type MachineOptions, type ResolvedOptions } from "../options.js";
import type { Platform } from "../platform.js";
import { malformed } from "./malformed.js";

/** A device by its name on the board. */
export interface SavedDevice {
  readonly name: string;
  readonly state: DeviceState;
}

export interface SnapshotHeader {
  /** Digest of the core's sources. */
  readonly core: string;
  /** As resolved; `policy` with everything that was enabled since. */
  readonly options: ResolvedOptions;
  /** Limit of APIC IDs that was set (KVM_CAP_MAX_VCPU_ID), or undefined. */
  readonly idLimit: number | undefined;
  readonly devices: readonly SavedDevice[];
  readonly ramBase: number;
  readonly variables: ReadonlyMap<string, bigint>;
}

/** @param policyText - the policy as `parsePolicy` reads it */
export function writeHeader(header: SnapshotHeader, policyText: string): string {
  const { apicIds, possibleApicIds, vcpuCapacity, cpu, kvmFeatures, seed, instructionNs } =
    header.options;
  const { machine, epochSeconds } = header.options;
  return JSON.stringify({
    core: header.core,
    options: {
      apicIds,
      possibleApicIds: possibleApicIds ?? null,
      vcpuCapacity,
      machine,
      epochSeconds,
      policy: policyText,
      cpu: cpu.text,
      kvmFeatures: kvmFeatures ?? null,
      seed,
      instructionNs,
    },
    idLimit: header.idLimit ?? null,
    devices: header.devices,
    ramBase: header.ramBase,
    variables: Object.fromEntries([...header.variables].map(([name, value]) => [name, `${value}`])),
  });
}

/**
 * @param memoryBytes - guest RAM of the snapshot
 * @param source - which build of the core is to run it
 * @throws X2vmError BAD_SNAPSHOT
 */
export function readHeader(
  text: string,
  memoryBytes: number,
  source: Pick<MachineOptions, "build" | "wasm" | "translate" | "translateAfter">,
): SnapshotHeader {
  const header = record("header", parse(text));
  const options = record("options", header["options"]);
  const possible = options["possibleApicIds"];
  const features = options["kvmFeatures"];
  const { idLimit } = header;
  return {
    core: string("core", header["core"]),
    options: checkedOptions({
      apicIds: numbers("apicIds", options["apicIds"]),
      ...(possible === null ? {} : { possibleApicIds: numbers("possibleApicIds", possible) }),
      vcpuCapacity: number("vcpuCapacity", options["vcpuCapacity"]),
      memoryBytes,
      machine: string("machine", options["machine"]) as Platform, // resolveOptions checks it
      epochSeconds: number("epochSeconds", options["epochSeconds"]),
      policy: string("policy", options["policy"]),
      cpu: string("cpu", options["cpu"]),
      ...(features === null ? {} : { kvmFeatures: number("kvmFeatures", features) }),
      seed: number("seed", options["seed"]),
      instructionNs: number("instructionNs", options["instructionNs"]),
      ...source,
    }),
    idLimit: idLimit === null ? undefined : number("idLimit", idLimit),
    devices: list("devices", header["devices"]).map((each) => {
      const device = record("device", each);
      // The device checks its state itself.
      return { name: string("name", device["name"]), state: device["state"] as DeviceState };
    }),
    ramBase: number("ramBase", header["ramBase"]),
    variables: new Map(
      Object.entries(record("variables", header["variables"])).map(([name, value]) => [
        name,
        bigNumber(name, value),
      ]),
    ),
  };
}

function checkedOptions(options: MachineOptions): ResolvedOptions {
  try {
    return resolveOptions(options);
  } catch (error) {
    if (!(error instanceof X2vmError)) throw error;
    throw new X2vmError("BAD_SNAPSHOT", `The snapshot is malformed: ${error.message}`, {
      cause: error,
    });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw malformed("its header is not JSON");
  }
}

function record(what: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw malformed(`${what} is no object`);
  return value as Record<string, unknown>;
}

function list(what: string, value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw malformed(`${what} is no list`);
  return value as unknown[];
}

function string(what: string, value: unknown): string {
  if (typeof value !== "string") throw malformed(`${what} is no text`);
  return value;
}

function number(what: string, value: unknown): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > 0xffffffff)
    throw malformed(`${what} is no whole number of 32 bits`);
  return value;
}

function numbers(what: string, value: unknown): number[] {
  return list(what, value).map((each) => number(what, each));
}

function bigNumber(what: string, value: unknown): bigint {
  if (typeof value !== "string" || !/^\d{1,20}$/.test(value))
    throw malformed(`${what} is no number`);
  return BigInt(value);
}
