/** Progress of something that takes long: a bar on standard error, where that is a terminal. */
import { stderr } from "node:process";
import { SingleBar } from "cli-progress";

export class Progress {
  readonly #bar = new SingleBar({
    format: "{bar} {value}/{total} {what}",
    barsize: 24,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    hideCursor: true,
    clearOnComplete: true,
    stream: stderr,
  });

  /** @param total - steps that there are */
  constructor(total: number) {
    if (stderr.isTTY) this.#bar.start(total, 0, { what: "" });
  }

  /** A step begins. @param done - steps that are over */
  show(done: number, what: string): void {
    this.#bar.update(done, { what });
  }

  /** Takes the bar away. */
  end(): void {
    this.#bar.stop();
  }
}
