/**
 * Mistakes of the host: one error class with a code from a closed list and a sentence with the values.
 *
 * Guest mistakes are architecture and never end up here.
 */

export type X2vmErrorCode = "BAD_SCENARIO";

export class X2vmError extends Error {
  readonly code: X2vmErrorCode;

  constructor(code: X2vmErrorCode, message: string) {
    super(message);
    this.name = "X2vmError";
    this.code = code;
  }
}
