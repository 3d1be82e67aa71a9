/**
 * Ways out of a region. Each leaves the record exact: registers that it lacks, flags, x87 state and RIP.
 *
 * A way out that is taken often stores all that where it is. Those that are only there for what seldom happens, several
 * for each block, share the code of all that have the same to store where that is much.
 */
import * as abi from "../../assembly/abi.js";
import type { Emitter } from "./emitter.js";
import { L } from "./locals.js";
import { NOTHING, numbers } from "./registers.js";
import { M, W } from "./wasm.js";

/** Registers that each way out stores itself: to bring them all to the same place would be no less code. */
const FEW = 4;

/** What the ways out that share code have in common. */
interface Kind {
  /** Registers that the record lacks. */
  readonly dirty: number;
  /** Flags may be pending. */
  readonly hasFlags: boolean;
}

export class Exits {
  readonly #emitter: Emitter;
  readonly #kinds: Kind[] = [];

  constructor(emitter: Emitter) {
    this.#emitter = emitter;
  }

  /** Leaves the region. @param offset - of RIP in `page`; @param retired - instructions to take off what is left */
  leave(offset: number, retired: number): void {
    const { code, flags, found, registers } = this.#emitter;
    if (found.x87) return this.bail(offset, retired);
    registers.store();
    flags.put();
    this.#storeRip(() => code.i64(offset));
    this.leaveExact(retired);
  }

  /** Leaves the region with the record exact. */
  leaveExact(retired: number): void {
    const { code } = this.#emitter;
    code.get(L.left);
    if (retired > 0) code.i32(retired).op(W.i32Sub);
    code.return();
  }

  /** As `leave`, for what is seldom. */
  bail(offset: number, retired: number): void {
    const { code, flags, found, registers } = this.#emitter;
    const { dirty } = registers.held;
    if (!found.x87 && numbers(dirty).length <= FEW) {
      registers.store();
      flags.putByCall();
      this.#storeRip(() => code.i64(offset));
      return this.leaveExact(retired);
    }
    const hasFlags = flags.state !== "record";
    let number = this.#kinds.findIndex(
      (each) => each.dirty === dirty && each.hasFlags === hasFlags,
    );
    if (number < 0) number = this.#kinds.push({ dirty, hasFlags }) - 1;
    this.#emitter.retire(retired);
    code.i32(offset).set(L.exit).brOut(number);
  }

  /** Puts the code around a body, of which no path goes past its end. @param inner - who wrote the body and its ways out */
  wrap(inner: Emitter): void {
    const { code, flags, found, registers, stack } = this.#emitter;
    const kinds = inner.exits.#kinds;
    const last = code.block();
    kinds.forEach(() => code.block());
    code.append(inner.code);
    kinds.forEach(({ dirty, hasFlags }) => {
      code.end();
      registers.held = { loaded: dirty, dirty };
      registers.store();
      flags.state = hasFlags ? "unknown" : "record";
      flags.put();
      code.br(last);
    });
    registers.held = NOTHING;
    code.end();
    if (found.x87) stack.store();
    this.#storeRip(() => code.get(L.exit).op(W.i64ExtendI32S));
    code.get(L.left);
  }

  /** RIP := `page` plus what a function pushes. */
  #storeRip(pushOffset: () => void): void {
    const { code, around } = this.#emitter;
    code.get(L.cpu).get(L.page);
    pushOffset();
    code.op(W.i64Add);
    if (!around.is64) code.op(W.i32WrapI64, W.i64ExtendI32U);
    code.memory(M.i64Store, abi.VCPU_RIP);
  }
}
