/** Results of the IPI benchmark that nobody measured: each interrupt takes 100 ns here. */
import type { PeerFigure } from "../../src/bench/ipi-peers.js";
import { IPI_ROWS, type ApicMode } from "../../src/bench/ipi-rows.js";
import type { IpiResult } from "../../src/bench/ipi.js";

/** A figure that all repetitions had. */
export const summary = (median: number) => ({ median, least: median, most: median });

/** @param figure - of QEMU, the only peer */
export function ipiResult(
  name: string,
  cpus: number,
  mode: ApicMode,
  figure: PeerFigure,
): IpiResult {
  return {
    row: IPI_ROWS.find((row) => row.name === name)!,
    cpus,
    mode,
    interrupts: 1,
    nsEach: summary(100),
    cpuNsEach: summary(100),
    instructionsEach: 1,
    latency: undefined,
    distribution: [],
    peers: new Map([["QEMU", figure]]),
  };
}
