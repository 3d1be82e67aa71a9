/**
 * Reads device state that comes from a snapshot: a file that anybody may have written, so that nothing in it is taken on
 * trust. Every refusal names the field.
 */
import { X2vmError } from "../errors.js";

const LARGEST = 0xffffffff;

export class StateReader {
  readonly #fields: Readonly<Record<string, unknown>>;

  /** @throws X2vmError BAD_SNAPSHOT unless it is an object with exactly these fields */
  constructor(state: unknown, fields: readonly string[]) {
    if (typeof state !== "object" || state === null || Array.isArray(state))
      malformed("state", state);
    this.#fields = state as Record<string, unknown>;
    const given = Object.keys(state);
    const strange = given.find((name) => !fields.includes(name));
    if (strange !== undefined) malformed(strange, "present");
    const missing = fields.find((name) => !given.includes(name));
    if (missing !== undefined) malformed(missing, "missing");
  }

  /** A whole number, 0 .. `most`. */
  number(field: string, most = LARGEST): number {
    return whole(field, this.#fields[field], most);
  }

  boolean(field: string): boolean {
    const value = this.#fields[field];
    if (typeof value !== "boolean") malformed(field, value);
    return value;
  }

  /** Whole numbers, 0 .. `most`; at most `longest` of them. */
  numbers(field: string, most: number, longest = Infinity): number[] {
    const value = this.list(field);
    if (value.length > longest) malformed(field, `${value.length} long`);
    return value.map((each) => whole(field, each, most));
  }

  list(field: string): readonly unknown[] {
    const value = this.#fields[field];
    if (!Array.isArray(value)) malformed(field, value);
    return value as unknown[];
  }
}

function whole(field: string, value: unknown, most: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > most)
    malformed(field, value);
  return value as number;
}

function malformed(field: string, value: unknown): never {
  const text = typeof value === "object" ? "no number" : String(value).slice(0, 40);
  throw new X2vmError(
    "BAD_SNAPSHOT",
    `The snapshot is malformed: "${field}" of a device is ${text}.`,
  );
}
