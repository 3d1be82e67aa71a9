/**
 * Which blocks become translated: those that were entered often enough. The host translates (src/translate) and puts the
 * function into the core's table.
 */
import { translateBlock } from "../host";
import {
  COLD,
  dropAll,
  heatOf,
  isTranslatable,
  setHeat,
  setMostLosses,
  setShortVisits,
  shortVisits,
} from "./block";

/** Entries after which a block is translated; 0: none is, and none is entered. */
export let translateAfter: i32 = 0;

/** Losses of its translations after which a page is left alone. */
const MOST_LOSSES: u32 = 8;

/** Turns translation on or off. @param entries - of a block before it is translated; 0: never; 1: always, for tests */
export function setTranslateAfter(entries: i32): void {
  dropAll();
  setMostLosses(entries === 1 ? u32.MAX_VALUE : MOST_LOSSES);
  translateAfter = entries;
}

/** Counts an entry of a block, and has it translated when that is due. */
export function warm(block: usize): void {
  const heat = heatOf(block) + 1;
  if (heat <= 0) return;
  setHeat(block, heat);
  if (heat < translateAfter) return;
  const index = isTranslatable(block) ? translateBlock(block) : -1;
  setHeat(block, index < 0 ? COLD : ~index);
}

/** A region that retires fewer costs more than interpreting them; one that retires as many as the second is worth it. */
const SHORT: u32 = 4;
const LONG: u32 = 16;
/** Short visits in a row after which its first block is interpreted again. */
const MOST_SHORT: u32 = 256;

/** Judges a region by what a visit retired. @param block - its first */
export function judge(block: usize, retired: u32): void {
  if (retired >= LONG) setShortVisits(block, 0);
  else if (retired < SHORT) {
    const visits = shortVisits(block) + 1;
    setShortVisits(block, visits);
    if (visits === MOST_SHORT && translateAfter !== 1) setHeat(block, COLD);
  }
}
