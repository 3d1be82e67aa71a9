import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { WINDOWS } from "./environment.js";
import { readSiliconFile } from "./reader.js";
import { disagreements, runSiliconFile, type SiliconTarget } from "./runner.js";
import type { SiliconVector } from "./reader.js";
import { copyState, emptyState, type CpuState } from "./state.js";

const DIRECTORY = new URL(".", import.meta.url);
const FILES = ["amd", "intel"].flatMap((maker) =>
  readdirSync(new URL(`${maker}/`, DIRECTORY)).map((name) => `${maker}/${name}`),
);
const open = (name: string) => readSiliconFile(readFileSync(new URL(name, DIRECTORY)));

/** A target that plays the recording back, once with a flaw: shows that the runner sees what it should see. */
class Playback implements SiliconTarget {
  private readonly memory = new Map(WINDOWS.map((w) => [w.address, new Uint8Array(w.length)]));
  private state: CpuState = emptyState();
  private readonly vectors: Iterator<SiliconVector>;
  private readonly flaw: (vector: SiliconVector, state: CpuState) => void;

  constructor(
    vectors: Iterator<SiliconVector>,
    flaw: (vector: SiliconVector, state: CpuState) => void,
  ) {
    this.vectors = vectors;
    this.flaw = flaw;
  }

  load(): void {}

  setState(state: CpuState): void {
    this.state = copyState(state);
  }

  step() {
    const vector = this.vectors.next().value as SiliconVector;
    if (vector.before.gpr.some((value, i) => value !== this.state.gpr[i]))
      throw new Error("out of step");
    this.state = copyState(vector.after);
    for (const { address, bytes } of vector.memoryAfter) this.writeMemory(address, bytes);
    this.flaw(vector, this.state);
    return vector.trap ? { trap: vector.trap } : {};
  }

  getState(): CpuState {
    return this.state;
  }

  private locate(address: number): [Uint8Array, number] {
    for (const [base, bytes] of this.memory) {
      if (address >= base && address < base + bytes.length) return [bytes, address - base];
    }
    throw new Error("outside the windows");
  }

  writeMemory(address: number, bytes: Uint8Array): void {
    let done = 0;
    while (done < bytes.length) {
      const [window, at] = this.locate(address + done);
      const part = bytes.subarray(done, done + window.length - at);
      window.set(part, at);
      done += part.length;
    }
  }

  readMemory(address: number, length: number): Uint8Array {
    const [window, at] = this.locate(address);
    return window.slice(at, at + length);
  }
}

describe("silicon vectors", () => {
  it.each(FILES)("%s reads to its end, in forms of one name each", (name) => {
    const file = open(name);
    let count = 0;
    let longest = 0;
    for (const vector of file.vectors()) {
      count++;
      longest = Math.max(longest, vector.bytes.length);
    }
    expect(longest).toBeLessThanOrEqual(16); // 15, and the one that breaks the limit
    expect(count).toBe(file.forms.reduce((sum, form) => sum + form.count, 0));
    expect(new Set(file.forms.map((form) => `${form.mode} ${form.name}`)).size).toBe(
      file.forms.length,
    );
  });

  it("agree with their own recording", () => {
    const file = open("amd/integer64.bin");
    const reports = runSiliconFile(file, new Playback(file.vectors(), () => {}));
    expect(disagreements(reports)).toBe("");
  });

  it("show a wrong register, flag and byte of memory", () => {
    const file = open("amd/integer64.bin");
    const flaws = (vector: SiliconVector, state: CpuState) => {
      if (vector.index !== 3) return;
      if (vector.form.name === "add Eb,Gb reg") state.gpr[5]! ^= 1n;
      if (vector.form.name === "sub Eb,Gb reg") state.rflags ^= 0x10;
      if (vector.form.name === "and Eb,Gb reg") state.rflags ^= 0x10;
    };
    const reports = runSiliconFile(file, new Playback(file.vectors(), flaws));
    const failed = reports.filter((report) => report.agreed !== report.total);
    expect(failed.map((report) => report.form.name)).toEqual(["add Eb,Gb reg", "sub Eb,Gb reg"]);
    expect(failed[0]!.first).toContain("rbp: expected");
    expect(failed[1]!.first).toContain("wrong: AF");
  });
});
