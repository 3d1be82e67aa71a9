/**
 * What a loader makes of a file: bytes for guest RAM, and how the boot CPU starts.
 *
 * A loader is a pure function. The machine carries the plan out only when all of it is right, so that a refused image
 * leaves nothing behind.
 */
import { X2vmError, hex, type X2vmErrorCode } from "../errors.js";

/** Formats that `load` knows. */
export type ImageFormat = "boot-sector" | "multiboot" | "linux" | "rom" | "flat";

/** A file handed to the guest beside the kernel. */
export interface BootModule {
  /** How errors call it, usually the file name. */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Command line of the module; Multiboot puts the name first. */
  readonly commandLine?: string;
}

export interface LoadOptions {
  /** Taken from the content when absent: a Linux or Multiboot header wins over a boot signature. */
  readonly format?: ImageFormat;
  /** Flat binaries only: guest-physical load address, which is also the entry. */
  readonly address?: number;
  /** ROM images only: what shows of it below 1 MiB is RAM that begins as a copy. */
  readonly isShadowed?: boolean;
  /** How errors call the image, usually the file name. Default "image". */
  readonly name?: string;
  /** Multiboot and Linux: arguments of the kernel; Multiboot puts the image's name before them. */
  readonly commandLine?: string;
  /** Multiboot; Linux takes one, its initrd. */
  readonly modules?: readonly BootModule[];
}

/** Bytes for guest RAM; what lies between `bytes.length` and `length` is zeroed. */
export interface LoadPiece {
  readonly what: string;
  /** Guest-physical. */
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly length: number;
}

/** Where the boot CPU starts and in which state; registers that are not named are as after power-up. */
export type CpuStart =
  /** At the reset vector, all of it as after power-up. */
  | { readonly mode: "reset" }
  | {
      readonly mode: "real";
      readonly cs: number;
      readonly ip: number;
      readonly dl: number;
      readonly sp: number;
    }
  | {
      readonly mode: "protected";
      readonly eip: number;
      readonly eax: number;
      readonly ebx: number;
    }
  | {
      /** 32-bit protected mode, flat segments, paging and interrupts off. */
      readonly mode: "linux32";
      readonly eip: number;
      readonly rsi: number;
      readonly gdt: number;
    }
  | {
      /** 64-bit mode, flat segments, interrupts off, the local APIC in x2APIC mode. Addresses are guest-physical. */
      readonly mode: "long";
      readonly rip: number;
      readonly rsi: number;
      readonly cr3: number;
      /** Null, another, then code and data at selectors 10H and 18H. */
      readonly gdt: number;
    };

export interface LoadPlan {
  readonly format: ImageFormat;
  readonly pieces: readonly LoadPiece[];
  /** Ends at 4 GiB. */
  readonly rom?: { readonly bytes: Uint8Array; readonly readOnlyLowBytes: number };
  readonly start: CpuStart;
}

/** The end of conventional memory: from here to 1 MiB a PC has video memory and firmware. */
export const LOW_MEMORY_END = 0xa0000;

/** A refusal that names the file. */
export function refuse(code: X2vmErrorCode, name: string, reason: string): never {
  throw new X2vmError(code, `${name}: ${reason}.`);
}

export function piece(
  what: string,
  address: number,
  bytes: Uint8Array,
  length = bytes.length,
): LoadPiece {
  return { what, address, bytes, length };
}

/**
 * Checks that every piece lies in guest RAM and none covers another.
 *
 * @throws X2vmError IMAGE_DOES_NOT_FIT, IMAGE_OVERLAP
 */
export function checkPieces(name: string, pieces: readonly LoadPiece[], ramBytes: number): void {
  const sorted = pieces.filter((each) => each.length > 0).sort((a, b) => a.address - b.address);
  sorted.forEach((each, i) => {
    const end = each.address + each.length;
    if (end > ramBytes) {
      const where = `${each.what} at ${hex(each.address)}..${hex(end - 1)}`;
      refuse(
        "IMAGE_DOES_NOT_FIT",
        name,
        `${where} lies outside the ${hex(ramBytes)} bytes of guest memory`,
      );
    }
    const next = sorted[i + 1];
    if (next !== undefined && next.address < end) {
      const first = `${each.what} at ${hex(each.address)}..${hex(end - 1)}`;
      refuse("IMAGE_OVERLAP", name, `${first} overlaps ${next.what} at ${hex(next.address)}`);
    }
  });
}
