import { X2vmError } from "../errors.js";

/** The error of a snapshot whose content cannot be. @param what - a part of a sentence that says what is wrong */
export function malformed(what: string): X2vmError {
  return new X2vmError("BAD_SNAPSHOT", `The snapshot is malformed: ${what}.`);
}
