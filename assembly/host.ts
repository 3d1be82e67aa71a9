/** Every import of the core, nothing else. `src/core.ts` provides them. */

/** Port read. @param size - 1, 2 or 4 bytes @returns the value, zero-extended; unclaimed ports give all ones */
export declare function ioRead(port: u32, size: u32): u32;

/** Port write. @param size - 1, 2 or 4 bytes */
export declare function ioWrite(port: u32, size: u32, value: u32): void;

/** Read outside guest RAM and the local APIC page. @param size - 1, 2 or 4 bytes @returns all ones when unclaimed */
export declare function mmioRead(gpaLow: u32, gpaHigh: u32, size: u32): u32;

/** Write outside guest RAM and the local APIC page. @param size - 1, 2 or 4 bytes */
export declare function mmioWrite(gpaLow: u32, gpaHigh: u32, size: u32, value: u32): void;

/** One trace event, while a trace mask asks for it. @param record - an event record, valid during the call (vm/trace.ts) */
export declare function traceEvent(kind: u32, record: usize): void;

/** The end of a level-triggered interrupt, for the I/O APICs. @param vector - 16..255 */
export declare function eoiBroadcast(vector: u32): void;

/** Interrupt acknowledge cycle of the PIC pair, when a vCPU takes REQ_EXTINT. @returns the vector to deliver, 0..255 */
export declare function acknowledgeExtInt(): u32;

/**
 * Translates a block and those around it. @param block - address of its header
 * @returns index of a function in the table, or -1 when it stays interpreted
 */
export declare function translateBlock(block: usize): i32;
