/**
 * The guest's serial output on stdout and x2vm's own lines on stderr, so that both read as one text on a terminal: a line
 * of ours never breaks one of the guest's.
 */
import colors from "picocolors";
import type { StoryEvent, StoryKind } from "../index.js";
import { formatApicId } from "./format.js";

/** What is written to: a stream of Node, or a test's. */
export interface Output {
  write(data: Uint8Array | string): unknown;
  readonly isTTY?: boolean;
}

const LINE_FEED = 10;
/** A guest that prints no line end is shown at the latest after so many bytes. */
const MOST_PENDING = 4096;
const MARK = "▸";
/** Seconds to the nanosecond: an instruction takes one. */
const TIME_WIDTH = 13;

/** Steps that end a CPU's coming or going, and such as tell of trouble, stand out. */
const PAINTS: Readonly<Partial<Record<StoryKind, "green" | "yellow">>> = {
  online: "green",
  ejected: "yellow",
  park: "yellow",
};

export class GuestConsole {
  readonly #out: Output;
  readonly #err: Output;
  readonly #paint: ReturnType<typeof colors.createColors>;
  /** Of the guest's present line, not written yet. */
  #pending: number[] = [];
  /** Of the guest's present line, written already. */
  #shown: number[] = [];
  #held: string[] = [];

  constructor(out: Output, err: Output) {
    this.#out = out;
    this.#err = err;
    this.#paint = colors.createColors(colors.isColorSupported && err.isTTY === true);
  }

  /** A byte from the guest. */
  put(byte: number): void {
    this.#pending.push(byte);
    if (byte === LINE_FEED) {
      this.#write();
      this.#shown = [];
      this.#release();
    } else if (this.#pending.length >= MOST_PENDING) {
      this.#write();
    }
  }

  /** A step of a hotplug. @param startNs - virtual time before the last reset */
  tell({ kind, apicId, virtualNs, text }: StoryEvent, startNs = 0): void {
    const paint = PAINTS[kind];
    const said = paint === undefined ? text : this.#paint[paint](text);
    this.#say(startNs + virtualNs, `${this.#paint.bold(formatApicId(apicId))}  ${said}`);
  }

  /** Something about the whole machine. */
  note(virtualNs: number, text: string): void {
    this.#say(virtualNs, text);
  }

  /** The guest pauses, or the run ends: everything is shown. */
  settle(): void {
    this.#write();
    if (this.#held.length === 0) return;
    if (this.#shown.length > 0) this.#err.write("\n");
    this.#release();
    // On a terminal the guest's line, a prompt mostly, goes on below.
    if (this.#out.isTTY === true) this.#out.write(Uint8Array.from(this.#shown));
    else this.#shown = [];
  }

  #say(virtualNs: number, text: string): void {
    const time = (virtualNs / 1e9).toFixed(9).padStart(TIME_WIDTH);
    this.#held.push(`${this.#paint.cyan(`${MARK}${time}`)}  ${text}\n`);
    if (this.#pending.length === 0 && this.#shown.length === 0) this.#release();
  }

  #release(): void {
    for (const line of this.#held) this.#err.write(line);
    this.#held = [];
  }

  #write(): void {
    if (this.#pending.length === 0) return;
    this.#out.write(Uint8Array.from(this.#pending));
    this.#shown = [...this.#shown, ...this.#pending];
    this.#pending = [];
  }
}
