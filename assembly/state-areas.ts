/**
 * Where the state of the machine lies in linear memory, beside guest RAM: a list that the modules write and the host
 * reads, to save these bytes and to put them back.
 *
 * Each module that owns state lists it (`list...`), in a fixed order (vm/snapshot.ts), and checks it when it is put
 * back, because a snapshot is a file that anybody may have written. What follows from other state is not listed but
 * made anew; so are caches.
 */

let start: usize = 0;
let end: usize = 0;

/** Begins a list. @param list - receives address u32 and length u32 of each area */
export function beginAreas(list: usize): void {
  start = list;
  end = list;
}

/** Adds an area. Areas may be empty. */
export function addArea(address: usize, bytes: usize): void {
  store<u32>(end, <u32>address);
  store<u32>(end, <u32>bytes, 4);
  end += 8;
}

/** Areas in the list. */
export function areaCount(): u32 {
  return <u32>(end - start) >> 3;
}
