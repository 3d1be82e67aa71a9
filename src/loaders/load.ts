/** Chooses the loader: by option, else by what the file contains. */
import { isElf } from "./elf.js";
import { hasBootSignature, planBootSector } from "./boot-sector.js";
import { planFlat } from "./flat.js";
import { refuse, type ImageFormat, type LoadOptions, type LoadPlan } from "./image.js";
import { planLinux } from "./linux.js";
import { ONE_CPU, type LoadTarget } from "./load-target.js";
import { isLinux } from "./linux-image.js";
import { findMultibootHeader, hasMultiboot2Header, planMultiboot } from "./multiboot.js";
import { looksLikeRom, planRom } from "./rom.js";

/**
 * Works out where an image goes and how the boot CPU starts. Changes nothing.
 *
 * @param ramBytes - guest RAM; @param target - the rest of the machine
 * @throws X2vmError IMAGE_* or BAD_OPTION; the sentence names the file and the reason
 */
export function planLoad(
  image: Uint8Array,
  ramBytes: number,
  options: LoadOptions = {},
  target: LoadTarget = ONE_CPU,
): LoadPlan {
  const name = options.name ?? "image";
  const format = options.format ?? recognise(image, name, options);
  if (format !== "flat" && options.address !== undefined) {
    refuse("BAD_OPTION", name, `a load address is for flat binaries, this is loaded as ${format}`);
  }
  if (format !== "rom" && options.isShadowed === true) {
    refuse("BAD_OPTION", name, `only a ROM can be shadowed, this is loaded as ${format}`);
  }
  const takesCommandLine = format === "multiboot" || format === "linux";
  if (!takesCommandLine && (options.modules?.length ?? 0) > 0) {
    refuse(
      "BAD_OPTION",
      name,
      `modules are for Multiboot and Linux kernels, this is loaded as ${format}`,
    );
  }
  if (!takesCommandLine && options.commandLine) {
    refuse(
      "BAD_OPTION",
      name,
      `a command line is for Multiboot and Linux kernels, this is loaded as ${format}`,
    );
  }
  switch (format) {
    case "multiboot":
      return planMultiboot(image, name, ramBytes, options, target);
    case "linux":
      return planLinux(image, name, ramBytes, options, target.cpus(), target.platform);
    case "boot-sector":
      return planBootSector(image, name, ramBytes, target);
    case "rom":
      return planRom(image, name, ramBytes, options.isShadowed ?? false);
    case "flat":
      return planFlat(image, name, ramBytes, options.address);
    default:
      refuse(
        "BAD_OPTION",
        name,
        `"${String(format)}" is not an image format (boot-sector, multiboot, linux, rom, flat)`,
      );
  }
}

function recognise(image: Uint8Array, name: string, options: LoadOptions): ImageFormat {
  if (options.address !== undefined) return "flat";
  if (options.isShadowed === true) return "rom";
  // Code of firmware may contain what looks like a Multiboot header, and sometimes is one.
  if (looksLikeRom(image) && !hasBootSignature(image) && !isElf(image)) return "rom";
  if (findMultibootHeader(image) >= 0) return "multiboot";
  if (isLinux(image)) return "linux";
  if (hasBootSignature(image)) return "boot-sector";
  if (image.length === 0) refuse("IMAGE_UNKNOWN_FORMAT", name, "the file is empty");
  if (hasMultiboot2Header(image)) {
    const reason =
      "a Multiboot 2 kernel, and only Multiboot 1 is known here; many kernels carry both headers";
    refuse("IMAGE_UNKNOWN_FORMAT", name, reason);
  }
  if (isElf(image)) {
    const reason =
      "an ELF file without a Multiboot header in its first 8192 bytes, so there is no agreed way to start it";
    refuse("IMAGE_UNKNOWN_FORMAT", name, reason);
  }
  const reason =
    "neither a Linux or Multiboot kernel nor a boot sector (55 AA at offset 510) nor a ROM (whole 64 KiB, a jump in the last 16 bytes); a flat binary needs a load address";
  refuse("IMAGE_UNKNOWN_FORMAT", name, reason);
}
