/**
 * ELF executables for x86, 32 and 64 bit: the loadable segments and the entry.
 *
 * Source: System V ABI, "Object Files" and "Program Loading"; AMD64 supplement. Segments go to their physical addresses.
 * Not modelled: relocation, dynamic linking, symbols.
 */
import { hex } from "../errors.js";
import { refuse } from "./image.js";
import { viewOf } from "./view.js";

const CLASS_32 = 1;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const MACHINE_386 = 3;
const MACHINE_X86_64 = 62;
const SEGMENT_LOAD = 1;

export interface ElfSegment {
  readonly physicalAddress: number;
  readonly virtualAddress: bigint;
  readonly fileOffset: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
}

export interface ElfFile {
  readonly bits: 32 | 64;
  /** Physical: a virtual entry is moved with the segment that holds it. */
  readonly entry: number;
  readonly segments: readonly ElfSegment[];
}

/** Where the fields are: offsets in the file header and in a program header. */
interface Shape {
  readonly bits: 32 | 64;
  readonly machine: number;
  readonly headerBytes: number;
  readonly programBytes: number;
  readonly at: {
    readonly entry: number;
    readonly phoff: number;
    readonly phentsize: number;
    readonly phnum: number;
  };
  readonly program: {
    readonly offset: number;
    readonly vaddr: number;
    readonly paddr: number;
    readonly filesz: number;
    readonly memsz: number;
  };
}

const SHAPE_32: Shape = {
  bits: 32,
  machine: MACHINE_386,
  headerBytes: 52,
  programBytes: 32,
  at: { entry: 24, phoff: 28, phentsize: 42, phnum: 44 },
  program: { offset: 4, vaddr: 8, paddr: 12, filesz: 16, memsz: 20 },
};

const SHAPE_64: Shape = {
  bits: 64,
  machine: MACHINE_X86_64,
  headerBytes: 64,
  programBytes: 56,
  at: { entry: 24, phoff: 32, phentsize: 54, phnum: 56 },
  program: { offset: 8, vaddr: 16, paddr: 24, filesz: 32, memsz: 40 },
};

export function isElf(image: Uint8Array): boolean {
  return image[0] === 0x7f && image[1] === 0x45 && image[2] === 0x4c && image[3] === 0x46;
}

/** @throws X2vmError IMAGE_MALFORMED, IMAGE_DOES_NOT_FIT, naming the file and the field */
export function parseElf(image: Uint8Array, name: string): ElfFile {
  const view = viewOf(image);
  const shape = shapeOf(image, view, name);
  const word = (offset: number): bigint =>
    shape.bits === 32 ? BigInt(view.getUint32(offset, true)) : view.getBigUint64(offset, true);

  const count = view.getUint16(shape.at.phnum, true);
  const stride = view.getUint16(shape.at.phentsize, true);
  const first = Number(word(shape.at.phoff));
  if (count === 0)
    refuse(
      "IMAGE_MALFORMED",
      name,
      "the ELF file has no program headers, so there is nothing to load",
    );
  if (stride < shape.programBytes) {
    refuse("IMAGE_MALFORMED", name, `ELF program headers of ${stride} bytes are too small`);
  }
  if (first + count * stride > image.length) {
    refuse("IMAGE_MALFORMED", name, "the ELF program headers lie behind the end of the file");
  }

  const segments: ElfSegment[] = [];
  for (let i = 0; i < count; i++) {
    const at = first + i * stride;
    if (view.getUint32(at, true) !== SEGMENT_LOAD) continue;
    const segment = {
      fileOffset: Number(word(at + shape.program.offset)),
      virtualAddress: word(at + shape.program.vaddr),
      physicalAddress: Number(word(at + shape.program.paddr)),
      fileBytes: Number(word(at + shape.program.filesz)),
      memoryBytes: Number(word(at + shape.program.memsz)),
    };
    checkSegment(segment, i, image.length, name);
    if (segment.memoryBytes > 0) segments.push(segment);
  }
  if (segments.length === 0)
    refuse("IMAGE_MALFORMED", name, "the ELF file has no loadable segment");
  return { bits: shape.bits, entry: physicalEntry(word(shape.at.entry), segments, name), segments };
}

function shapeOf(image: Uint8Array, view: DataView, name: string): Shape {
  const shape = image[4] === CLASS_32 ? SHAPE_32 : image[4] === CLASS_64 ? SHAPE_64 : undefined;
  if (shape === undefined)
    refuse("IMAGE_MALFORMED", name, `ELF class ${image[4]} is neither 32 nor 64 bit`);
  if (image.length < shape.headerBytes)
    refuse("IMAGE_MALFORMED", name, "the ELF header is cut off");
  if (image[5] !== LITTLE_ENDIAN)
    refuse("IMAGE_MALFORMED", name, "the ELF file is big-endian, not for x86");
  const machine = view.getUint16(18, true);
  if (machine !== shape.machine) {
    refuse(
      "IMAGE_MALFORMED",
      name,
      `ELF machine ${machine} in a ${shape.bits}-bit file is not x86`,
    );
  }
  return shape;
}

function checkSegment(segment: ElfSegment, index: number, fileLength: number, name: string): void {
  const { fileOffset, fileBytes, memoryBytes, physicalAddress } = segment;
  if (fileBytes > memoryBytes) {
    refuse(
      "IMAGE_MALFORMED",
      name,
      `ELF segment ${index} has more bytes in the file than in memory`,
    );
  }
  if (fileOffset + fileBytes > fileLength) {
    refuse("IMAGE_MALFORMED", name, `ELF segment ${index} lies behind the end of the file`);
  }
  if (physicalAddress + memoryBytes > 2 ** 32) {
    const reason = `ELF segment ${index} at ${hex(physicalAddress)} lies above 4 GiB`;
    refuse("IMAGE_DOES_NOT_FIT", name, reason);
  }
}

function physicalEntry(entry: bigint, segments: readonly ElfSegment[], name: string): number {
  for (const segment of segments) {
    const distance = entry - segment.virtualAddress;
    if (distance >= 0n && distance < BigInt(segment.memoryBytes))
      return segment.physicalAddress + Number(distance);
  }
  // An entry that is already physical, in a file whose virtual addresses are elsewhere.
  for (const { physicalAddress, memoryBytes } of segments) {
    const distance = entry - BigInt(physicalAddress);
    if (distance >= 0n && distance < BigInt(memoryBytes)) return Number(entry);
  }
  refuse("IMAGE_MALFORMED", name, `the ELF entry ${hex(entry)} lies in no loadable segment`);
}
