/**
 * The virtual clock, as the LAPIC asks for it: when a timer is read or written, or a message is traced or held back. No
 * other access pays for it.
 */

function noClock(): u64 {
  return 0;
}

/** No time is given: the clock counts. */
export const NOT_GIVEN: u64 = 0xffffffffffffffff;

let clock: () => u64 = noClock;
let given: u64 = NOT_GIVEN;

/** Sets the hook that says the virtual time in ns, exact to the present instruction. */
export function setClock(hook: () => u64): void {
  clock = hook;
}

/** Has `now` say this time until it is NOT_GIVEN again: for a call from outside that comes with its time. @param ns - or NOT_GIVEN */
export function giveTime(ns: u64): void {
  given = ns;
}

/** ns of the virtual clock. */
export function now(): u64 {
  return given !== NOT_GIVEN ? given : clock();
}
