/**
 * The text screen of a PC: 25 rows of 80 characters, each with a byte of colour, at 0xb8000.
 *
 * There is no display adapter; memory takes what a guest writes there, and this reads it.
 * Not modelled: scrolling by the CRT controller's start address, other modes.
 */
import type { Machine } from "./machine.js";

const SCREEN = 0xb8000;
const COLUMNS = 80;
const ROWS = 25;
const CELL_BYTES = 2;

/** Code page 437 where it is not ASCII: below 20H, then from 7FH on. */
const LOW = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼";
const HIGH =
  "⌂ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ";

/** The rows of the screen without trailing blanks, up to the last that is not blank; none where nothing was written. */
export function textScreen(machine: Machine): string[] {
  if (machine.memoryBytes < SCREEN + COLUMNS * ROWS * CELL_BYTES) return [];
  const cells = machine.readMemory(SCREEN, COLUMNS * ROWS * CELL_BYTES);
  const rows = Array.from({ length: ROWS }, (_, row) =>
    Array.from({ length: COLUMNS }, (_, column) =>
      character(cells[(row * COLUMNS + column) * CELL_BYTES]!),
    )
      .join("")
      .trimEnd(),
  );
  return rows.slice(0, rows.findLastIndex((row) => row !== "") + 1);
}

function character(code: number): string {
  if (code < 0x20) return LOW[code]!;
  return code < 0x7f ? String.fromCharCode(code) : HIGH[code - 0x7f]!;
}
