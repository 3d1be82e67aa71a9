/**
 * Which blocks become translated: those that were entered often enough. The host translates (src/translate) and puts the
 * function into the core's table.
 */
import { translateBlock } from "../host";
import { COLD, dropAll, heatOf, isTranslatable, setHeat, setMostLosses } from "./block";

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
