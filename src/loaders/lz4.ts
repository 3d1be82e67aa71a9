/**
 * LZ4 in its legacy frame: a magic number, then blocks of at most 8 MiB, each with its compressed length before it.
 *
 * Source: "LZ4 Frame Format Description", legacy frame; "LZ4 Block Format Description".
 */
import { viewOf } from "./view.js";

/** First four bytes of the frame, as a little-endian word. */
export const LZ4_LEGACY_MAGIC = 0x184c2102;

const BLOCK_BYTES = 8 * 2 ** 20;
const SHORTEST_MATCH = 4;

/**
 * Unpacks a legacy frame.
 *
 * @param packed - the frame alone, from its magic number to its last block
 * @param length - bytes that it unpacks to
 * @returns undefined when the frame is damaged or has another length
 */
export function unpackLz4(packed: Uint8Array, length: number): Uint8Array | undefined {
  const view = viewOf(packed);
  if (packed.length < 4 || view.getUint32(0, true) !== LZ4_LEGACY_MAGIC) return undefined;
  const out = new Uint8Array(length);
  let at = 4;
  let filled = 0;
  while (at < packed.length) {
    if (at + 4 > packed.length) return undefined;
    const size = view.getUint32(at, true);
    at += 4;
    if (size === 0 || at + size > packed.length) return undefined;
    const limit = Math.min(filled + BLOCK_BYTES, length);
    const end = unpackBlock(packed.subarray(at, at + size), out, filled, limit);
    if (end < 0) return undefined;
    filled = end;
    at += size;
  }
  return filled === length ? out : undefined;
}

/** @returns position in `out` after the block, or -1 when the block is damaged */
function unpackBlock(block: Uint8Array, out: Uint8Array, start: number, limit: number): number {
  let at = 0;
  let to = start;
  while (at < block.length) {
    const token = block[at++]!;
    let literals = token >> 4;
    if (literals === 15) {
      let more: number;
      do {
        if (at >= block.length) return -1;
        more = block[at++]!;
        literals += more;
      } while (more === 255);
    }
    if (at + literals > block.length || to + literals > limit) return -1;
    out.set(block.subarray(at, at + literals), to);
    at += literals;
    to += literals;
    if (at === block.length) return to; // the last sequence has literals only
    if (at + 2 > block.length) return -1;
    const distance = block[at]! | (block[at + 1]! << 8);
    at += 2;
    let match = (token & 15) + SHORTEST_MATCH;
    if ((token & 15) === 15) {
      let more: number;
      do {
        if (at >= block.length) return -1;
        more = block[at++]!;
        match += more;
      } while (more === 255);
    }
    if (distance === 0 || distance > to - start || to + match > limit) return -1;
    if (distance >= match) {
      out.copyWithin(to, to - distance, to - distance + match);
      to += match;
    } else {
      // The match overlaps what it makes: byte by byte.
      for (let i = 0; i < match; i++, to++) out[to] = out[to - distance]!;
    }
  }
  return to;
}
