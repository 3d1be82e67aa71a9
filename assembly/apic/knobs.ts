/** Setting knobs: most count from the next message on; some of them shape the map. */
import { KNOB_FOLLOW_IDS32, KNOB_LOW, KNOB_MAP_FORM, KNOB_SLOT } from "../abi";
import { applyMapKnobs } from "./map";
import { storeKnob } from "./policy";

/**
 * Sets a knob. KNOB_IDS32 counts for the map from its next rebuild on, as enabling the KVM capability does; every other
 * knob at once.
 *
 * @returns false when the knob is unknown or the value out of its range
 */
export function setKnob(knob: u32, value: u32): bool {
  if (!storeKnob(knob, value)) return false;
  if (
    knob === KNOB_SLOT ||
    knob === KNOB_LOW ||
    knob === KNOB_FOLLOW_IDS32 ||
    knob === KNOB_MAP_FORM
  )
    applyMapKnobs();
  return true;
}
