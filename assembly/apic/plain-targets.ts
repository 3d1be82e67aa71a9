/**
 * Who takes plain IPIs, by destination: a cache before the fabric.
 *
 * Plain are Fixed, edge-triggered IPIs with a physical destination, no shorthand and a legal vector: most IPIs. One of
 * them is for the LAPIC that the map holds under the ID, which accepts it, unless its state, the map or the policy change:
 * all of that is a rebuild of the map, and then everything here is forgotten; and when somebody traces messages or
 * tampers with them, who then sees each of them.
 */
import { Lapic } from "./lapic";

const ENTRIES: u32 = 1024;

@unmanaged
class Entry {
  dest: u32;
  target: Lapic;

  @inline
  static of(dest: u32): Entry {
    return changetype<Entry>(entries + ((<usize>dest & (ENTRIES - 1)) << 3));
  }
}

const entries: usize = memory.data(8192, 64);
/** False: no entry is in use. */
let isFilled = true;

if (offsetof<Entry>() !== 8) ERROR("Entry: size of the table");

/** True when `targetOf` knows who takes plain IPIs to this destination. @inline */
export function isKnown(dest: u32): bool {
  return Entry.of(dest).dest === dest;
}

/** Who takes them. @inline */
export function targetOf(dest: u32): Lapic {
  return Entry.of(dest).target;
}

export function learnTarget(dest: u32, target: Lapic): void {
  const entry = Entry.of(dest);
  entry.dest = dest;
  entry.target = target;
  isFilled = true;
}

/** Forgets all. To be called once before the first use, too. */
export function forgetTargets(): void {
  if (!isFilled) return;
  isFilled = false;
  // No destination that has its place here.
  for (let n: u32 = 0; n < ENTRIES; n++) Entry.of(n).dest = ~n;
}
