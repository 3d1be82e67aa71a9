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

/** At the entry of a block, which this counts: true when it is translated. @inline */
export function isHot(block: usize): bool {
  const heat = heatOf(block);
  if (heat < 0) return true;
  if (heat >= translateAfter) return false;
  setHeat(block, heat + 1);
  return heat + 1 >= translateAfter && becomesHot(block);
}

/** The function of a translated block: its place in the core's table. @inline */
export function regionOf(block: usize): u32 {
  return ~heatOf(block);
}

/** Has a block translated. @returns false where that cannot be @noinline */
function becomesHot(block: usize): bool {
  const index = isTranslatable(block) ? translateBlock(block) : -1;
  setHeat(block, index < 0 ? COLD : ~index);
  return index >= 0;
}

/** A region that retires fewer costs more than interpreting them; one that retires as many as the second is worth it. */
const SHORT: u32 = 4;
const LONG: u32 = 16;
/** By how many its short visits must outnumber the others for its first block to be interpreted again. */
const MOST_SHORT: u32 = 256;

/** Judges a region by what a visit retired. The end of a slice may cut any short. @param block - its first @inline */
export function judge(block: usize, retired: u32): void {
  if (retired >= LONG) setShortVisits(block, 0);
  else weigh(block, retired);
}

/** @noinline */
function weigh(block: usize, retired: u32): void {
  const visits = shortVisits(block);
  if (retired < SHORT) {
    setShortVisits(block, visits + 1);
    if (visits + 1 === MOST_SHORT && translateAfter !== 1) setHeat(block, COLD);
  } else if (visits !== 0) setShortVisits(block, visits - 1);
}
