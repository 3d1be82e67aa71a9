/** POST code port (0x80): firmware writes progress codes, others write to it to wait a microsecond. */
import type { AccessSize, Device, DeviceState } from "./device.js";
import { StateReader } from "./state-reader.js";

export class PostPort implements Device {
  readonly #post: (code: number) => void;
  #code = 0;

  /** @param post - gets each code, 0..255 */
  constructor(post: (code: number) => void) {
    this.#post = post;
  }

  /** The last code written. */
  read(_offset: number, _size: AccessSize): number {
    return this.#code;
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    this.#code = value;
    this.#post(value);
  }

  state(): DeviceState {
    return { code: this.#code };
  }

  fromState(state: DeviceState): void {
    this.#code = new StateReader(state, ["code"]).number("code");
  }
}
