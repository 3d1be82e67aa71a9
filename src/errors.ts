/**
 * The one error class of the host, with a closed list of codes.
 *
 * What a guest does wrong is never an error here: it gets the architectural answer. These are mistakes of whoever
 * drives the machine, found before anything has changed.
 */

/** Every code that an `X2vmError` can carry. */
export const ERROR_CODES = [
  /** An option of `Machine.create`, `load`, `run` or another call has the wrong type or is out of its range. */
  "BAD_OPTION",
  /** vCPUs and guest RAM together exceed the 4 GiB of a WebAssembly memory, or the engine refuses that much. */
  "MEMORY_TOO_LARGE",
  /** A host access to guest memory leaves guest RAM. */
  "MEMORY_OUT_OF_RANGE",
  /** An APIC ID that no CPU can have: not a 32-bit number, or the broadcast ID 0xffffffff. */
  "APIC_ID_RANGE",
  /** An APIC ID that a CPU of the machine already has. */
  "APIC_ID_TAKEN",
  /** An APIC ID outside the list of possible CPUs that the machine was created with. */
  "APIC_ID_NOT_POSSIBLE",
  /** An APIC ID over 255 that INIT and SIPI cannot address under the machine's policy. */
  "APIC_ID_UNREACHABLE",
  /** Every slot of the vCPU set is in use. */
  "VCPU_CAPACITY",
  /** No such vCPU: never added, or removed. */
  "NO_VCPU",
  /** The bootstrap processor cannot be unplugged. */
  "BOOT_CPU",
  /** A port or MMIO range collides with one that is already claimed. */
  "RANGE_OVERLAP",
  /** A port or MMIO range is empty or leaves its address space. */
  "RANGE_INVALID",
  /** No loader recognises the image. */
  "IMAGE_UNKNOWN_FORMAT",
  /** The image starts like a known format and then breaks its rules. */
  "IMAGE_MALFORMED",
  /** The image, or what a loader adds to it, does not fit into guest RAM. */
  "IMAGE_DOES_NOT_FIT",
  /** Parts of the image would overwrite each other. */
  "IMAGE_OVERLAP",
  /** A call that is not possible while the machine runs: it came from a device or a listener. */
  "MACHINE_RUNNING",
  /** A call on a machine after `dispose`. */
  "MACHINE_DISPOSED",
  /** The WebAssembly core cannot be found, read or compiled. */
  "CORE_UNAVAILABLE",
  /** A recorded scenario for conformance that breaks its format. */
  "BAD_SCENARIO",
  /** A snapshot that is truncated, malformed, of another version of the format, or of another build of the core. */
  "BAD_SNAPSHOT",
  /** Command line: an argument that cannot be understood. */
  "USAGE",
  /** Command line: a file that cannot be read or written. */
  "FILE",
] as const;

export type X2vmErrorCode = (typeof ERROR_CODES)[number];

/** A mistake of the machine's driver: `code` is for programs, `message` is a sentence with the values. */
export class X2vmError extends Error {
  readonly code: X2vmErrorCode;

  constructor(code: X2vmErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "X2vmError";
    this.code = code;
  }
}

/** A number as people of this field write it: `0x123`. */
export function hex(value: number | bigint, digits = 0): string {
  return `0x${value.toString(16).padStart(digits, "0")}`;
}
