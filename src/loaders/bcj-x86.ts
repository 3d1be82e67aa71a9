/**
 * The x86 filter of xz: in packed code the targets of calls and jumps are absolute, so that equal targets look equal;
 * here they become relative again.
 *
 * Source: "The .xz File Format", branch/call/jump filters; the rule which bytes count as a call is that of XZ Utils.
 */
import { viewOf } from "./view.js";

const CALL = 0xe8; // and E9, a jump
const OPERAND_BYTES = 4;

/**
 * By which of the three bytes before an opcode were opcodes too (bit 0: the nearest): whether the operand may still be
 * converted, and how many bytes of it the nearest one could have changed.
 */
const IS_ALLOWED = [true, true, true, false, true, false, false, false] as const;
const TOUCHED_BYTES = [0, 1, 2, 2, 3, 3, 3, 3] as const;

/** Only operands of ±16 MiB were converted: their highest byte says so. */
function isExtension(byte: number): boolean {
  return byte === 0x00 || byte === 0xff;
}

/** Converts in place. @param start - address that the first byte counts as */
export function decodeBcjX86(bytes: Uint8Array, start = 0): void {
  const view = viewOf(bytes);
  let previous = 0; // opcodes in the three bytes before
  let last = -1; // where the last opcode was
  for (let i = 0; i + OPERAND_BYTES < bytes.length; i++) {
    if ((bytes[i]! & 0xfe) !== CALL) continue;
    const distance = i - last;
    last = i;
    previous = distance > 3 ? 0 : (previous << (distance - 1)) & 7;
    const touched = TOUCHED_BYTES[previous]!;
    const isDoubtful =
      previous !== 0 &&
      (!IS_ALLOWED[previous]! || isExtension(bytes[i + OPERAND_BYTES - touched]!));
    if (isDoubtful || !isExtension(bytes[i + OPERAND_BYTES]!)) {
      previous = (previous << 1) | 1;
      continue;
    }
    const end = (start + i + 1 + OPERAND_BYTES) >>> 0;
    let operand = (view.getUint32(i + 1, true) - end) >>> 0;
    // The packer did the same until the byte that a nearer opcode could have changed was none of the two.
    const shift = 24 - touched * 8;
    while (previous !== 0 && isExtension((operand >>> shift) & 0xff)) {
      operand = ((operand ^ (2 ** (32 - touched * 8) - 1)) - end) >>> 0;
    }
    operand &= 0x01ffffff;
    if ((operand & 0x01000000) !== 0) operand |= 0xff000000;
    view.setUint32(i + 1, operand >>> 0, true);
    i += OPERAND_BYTES;
  }
}
