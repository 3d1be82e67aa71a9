/**
 * Linux: an ELF vmlinux, or a bzImage that unpacks itself, entered at `startup_64` with everything that firmware would do
 * already done. `unpackLinux` makes the one of the other, many times faster than the guest could.
 *
 * Source: Linux Documentation/x86/boot.rst "64-bit Boot Protocol". The boot CPU starts in x2APIC mode: only so does the
 * kernel count CPUs with IDs above 254 among those that may come. A bzImage of 32 bits is entered by the "32-bit Boot
 * Protocol", in xAPIC mode.
 */
import { AcpiTables, RSDP_BYTES, type AcpiCpu, type Platform } from "../acpi/tables.js";
import { parseElf } from "./elf.js";
import {
  checkPieces,
  piece,
  refuse,
  type CpuStart,
  type LoadOptions,
  type LoadPiece,
  type LoadPlan,
} from "./image.js";
import { isBzImage, selfUnpacking, type SelfUnpacking } from "./linux-image.js";
import {
  BOOT_PARAMS_ADDRESS,
  COMMAND_LINE_ADDRESS,
  COMMAND_LINE_BYTES,
  GDT_ADDRESS,
  PAGE_TABLES_ADDRESS,
  RESET_VECTOR,
  bootParams,
  descriptorTable,
  identityMap,
  resetCode,
} from "./linux-params.js";

const PAGE_BYTES = 4096;
const RSDP_ADDRESS = 0xe0000;
const MEBIBYTE = 2 ** 20;
/** RAM beside kernel, initrd and tables with which a kernel of today comes to its user space. */
const WORKING_BYTES = 32 * MEBIBYTE;

/**
 * @param cpus - for the ACPI tables, in slot order; the first boots
 * @throws X2vmError IMAGE_MALFORMED, IMAGE_DOES_NOT_FIT (says how much memory is needed), BAD_OPTION
 */
export function planLinux(
  image: Uint8Array,
  name: string,
  ramBytes: number,
  options: LoadOptions,
  cpus: readonly AcpiCpu[],
  platform: Platform,
): LoadPlan {
  const kernel = isBzImage(image) ? packedKernel(image, name) : elfKernel(image, name);
  const commandLine = new TextEncoder().encode(`${options.commandLine ?? ""}\0`);
  if (commandLine.length > COMMAND_LINE_BYTES) {
    refuse("BAD_OPTION", name, `a Linux command line has at most ${COMMAND_LINE_BYTES - 1} bytes`);
  }
  const modules = options.modules ?? [];
  if (modules.length > 1)
    refuse("BAD_OPTION", name, `Linux takes one initrd, not ${modules.length}`);
  const initrd = modules[0]?.bytes ?? new Uint8Array(0);

  // Top down: ACPI tables, then the initrd, page by page.
  const tables = new AcpiTables(cpus, platform);
  const tableBytes = pages(tables.length);
  const needed = pages(kernel.end) + pages(initrd.length) + tableBytes + WORKING_BYTES;
  if (needed > ramBytes) {
    const room = Math.ceil(needed / MEBIBYTE);
    const what =
      initrd.length > ramBytes - kernel.end - tableBytes && initrd.length > 0
        ? `the initrd ${modules[0]!.name} of ${initrd.length} bytes is too large`
        : "the kernel does not fit";
    const reason = `${what}: ${room} MiB of guest memory are needed, the machine has ${Math.floor(ramBytes / MEBIBYTE)}`;
    refuse("IMAGE_DOES_NOT_FIT", name, reason);
  }
  const acpiAddress = ramBytes - tableBytes;
  const initrdAddress = initrd.length === 0 ? 0 : acpiAddress - pages(initrd.length);

  const acpi = tables.blockAt(acpiAddress);
  const pieces = [
    piece(
      "the boot parameters",
      BOOT_PARAMS_ADDRESS,
      bootParams({
        ramBytes,
        acpiAddress,
        initrdAddress,
        initrdBytes: initrd.length,
        commandLineBytes: commandLine.length,
        ...(kernel.setup && { setup: kernel.setup }),
      }),
    ),
    piece("the GDT", GDT_ADDRESS, descriptorTable(kernel.is64Bit)),
    piece("the page tables", PAGE_TABLES_ADDRESS, identityMap()),
    piece("the command line", COMMAND_LINE_ADDRESS, commandLine),
    // Where programs in a bzImage's form look for it that are no Linux; Linux is told.
    piece("the RSDP", RSDP_ADDRESS, acpi.subarray(0, RSDP_BYTES)),
    piece("the reset code", RESET_VECTOR, resetCode()),
    ...kernel.pieces,
    piece("the initrd", initrdAddress, initrd),
    piece("the ACPI tables", acpiAddress, acpi, tableBytes),
  ];
  checkPieces(name, pieces, ramBytes);
  return { format: "linux", pieces, start: startOf(kernel) };
}

function startOf({ entry, is64Bit }: PlacedKernel): CpuStart {
  const common = { rsi: BOOT_PARAMS_ADDRESS, gdt: GDT_ADDRESS };
  if (is64Bit) return { mode: "long", rip: entry, cr3: PAGE_TABLES_ADDRESS, ...common };
  return { mode: "linux32", eip: entry, ...common };
}

/** A kernel in guest memory. */
interface PlacedKernel {
  readonly pieces: readonly LoadPiece[];
  readonly entry: number;
  readonly is64Bit: boolean;
  /** The memory that it needs for itself ends here. */
  readonly end: number;
  readonly setup?: SelfUnpacking;
}

function elfKernel(file: Uint8Array, name: string): PlacedKernel {
  const elf = parseElf(file, name);
  if (elf.bits !== 64) refuse("IMAGE_MALFORMED", name, "only 64-bit Linux kernels can be started");
  const pieces = elf.segments.map((each, i) =>
    piece(
      `segment ${i} of the kernel`,
      each.physicalAddress,
      file.subarray(each.fileOffset, each.fileOffset + each.fileBytes),
      each.memoryBytes,
    ),
  );
  const end = Math.max(...elf.segments.map((each) => each.physicalAddress + each.memoryBytes));
  return { pieces, entry: elf.entry, is64Bit: true, end };
}

/** boot.rst "64-bit Boot Protocol", "32-bit Boot Protocol": the entry lies 200H behind the load address, or at it. */
function packedKernel(image: Uint8Array, name: string): PlacedKernel {
  const setup = selfUnpacking(image, name);
  const { address, code, is64Bit, memoryBytes } = setup;
  const pieces = [piece("the packed kernel", address, code)];
  const entry = is64Bit ? address + 0x200 : address;
  return { pieces, entry, is64Bit, end: address + memoryBytes, setup };
}

function pages(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}
