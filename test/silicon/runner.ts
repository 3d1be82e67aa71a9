/** Runs recorded vectors on a machine and reports, per form, how many agree and how the first one that does not differs. */
import { codeAddress, DATA, PAGE_BYTES, STACK, WINDOWS, CODE, type Mode } from "./environment.js";
import { compareOutcome, type Outcome } from "./compare.js";
import type { Patch, SiliconFile, SiliconForm, SiliconVector, Trap } from "./reader.js";
import { windowPatterns } from "./seeded-state.js";
import { FX_FCW, FX_FSW, FX_FTW, FX_MXCSR, FX_ST, FX_XMM, type CpuState } from "./state.js";

/** What runs the vectors: a CPU at CPL 3 in the world that environment.ts describes. */
export interface SiliconTarget {
  /** Enters a mode: its segments, and paging with the windows. Called whenever the mode changes. */
  load(mode: Mode): void;
  setState(state: CpuState): void;
  /** Writes linear memory of a window, whatever its page protection. */
  writeMemory(address: number, bytes: Uint8Array): void;
  /** Runs one instruction; of a repeated string instruction at least one iteration. */
  step(): { trap?: Trap };
  getState(): CpuState;
  readMemory(address: number, length: number): Uint8Array;
}

export interface FormReport {
  form: SiliconForm;
  total: number;
  agreed: number;
  /** The first disagreement, readable. */
  first?: string;
}

/** Bound on the steps of one repeated string instruction. */
const MAX_STEPS = 5000;
const BREAKPOINT = 0xcc;

interface WindowImage {
  address: number;
  pattern: Uint8Array;
  /** What memory must hold now. */
  expected: Uint8Array;
}

function imagesOf(): WindowImage[] {
  const { data, stack } = windowPatterns();
  const writable = data.subarray(0, 2 * PAGE_BYTES);
  return [
    { address: DATA, pattern: writable, expected: writable.slice() },
    { address: STACK, pattern: stack, expected: stack.slice() },
  ];
}

function prepareMemory(target: SiliconTarget): void {
  const { data, stack } = windowPatterns();
  target.writeMemory(CODE, new Uint8Array(WINDOWS[0]!.length).fill(BREAKPOINT));
  target.writeMemory(DATA, data);
  target.writeMemory(STACK, stack);
}

function patchImages(images: WindowImage[], patches: Patch[]): void {
  for (const { address, bytes } of patches) {
    const image = images.find(
      (i) => address >= i.address && address < i.address + i.expected.length,
    );
    if (!image)
      throw new Error(`vector file: patch outside the windows at ${address.toString(16)}`);
    image.expected.set(bytes, address - image.address);
  }
}

function runToEnd(target: SiliconTarget, vector: SiliconVector): Outcome {
  for (let steps = 0; ; steps++) {
    const { trap } = target.step();
    if (trap) return { state: target.getState(), trap };
    const state = target.getState();
    if (!vector.form.repeats || state.rip !== vector.before.rip || steps === MAX_STEPS)
      return { state };
  }
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Address ranges in which memory is not as expected, as text. */
function compareMemory(target: SiliconTarget, images: WindowImage[]): string[] {
  const differences: string[] = [];
  for (const { address, expected } of images) {
    const actual = target.readMemory(address, expected.length);
    if (Buffer.compare(actual, expected) === 0) continue;
    for (let i = 0; i < expected.length && differences.length < 4; i++) {
      if (actual[i] === expected[i]) continue;
      let end = i + 1;
      while (
        end < expected.length &&
        !equalBytes(actual.subarray(end, end + 4), expected.subarray(end, end + 4))
      )
        end++;
      const hex = (bytes: Uint8Array) => Buffer.from(bytes.subarray(i, end)).toString("hex");
      differences.push(
        `[${(address + i).toString(16)}] expected ${hex(expected)}, got ${hex(actual)}`,
      );
      i = end;
    }
  }
  return differences;
}

/** The operands in XMM and x87 registers are told by the differences; the control words are not. */
function describeControl({ before, form }: SiliconVector): string[] {
  if (form.profile === "integer") return [];
  const fx = new DataView(before.fx.buffer, before.fx.byteOffset);
  const hex = (value: number) => value.toString(16);
  const registers = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => {
    const bytes = before.fx.slice(FX_ST + 16 * i, FX_ST + 16 * i + 10).reverse();
    return `r${i}=${Buffer.from(bytes).toString("hex")}`;
  });
  const xmm = Array.from({ length: 16 }, (_, i) => {
    const bytes = before.fx.slice(FX_XMM + 16 * i, FX_XMM + 16 * i + 16).reverse();
    return `xmm${i}=${Buffer.from(bytes).toString("hex")}`;
  });
  return [
    `    fcw=${hex(fx.getUint16(FX_FCW, true))} fsw=${hex(fx.getUint16(FX_FSW, true))} ` +
      `ftw=${hex(before.fx[FX_FTW]!)} mxcsr=${hex(fx.getUint32(FX_MXCSR, true))}`,
    `    ${(form.profile === "x87" || form.name.startsWith("mmx") ? registers : xmm).join(" ")}`,
  ];
}

function describeVector(vector: SiliconVector): string {
  const { before, form } = vector;
  const names = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split(" ");
  const registers = [...before.gpr]
    .slice(0, form.mode === 64 ? 16 : 8)
    .map((value, i) => `${names[i]}=${value.toString(16)}`);
  const memory = vector.memoryBefore.map(
    ({ address, bytes }) => `    [${address.toString(16)}] = ${Buffer.from(bytes).toString("hex")}`,
  );
  return [
    `  ${form.mode}-bit ${form.name} #${vector.index}: ${Buffer.from(vector.bytes).toString("hex")}`,
    `    before: rip=${before.rip.toString(16)} flags=${before.rflags.toString(16)} ${registers.join(" ")}`,
    ...describeControl(vector),
    ...memory,
  ].join("\n");
}

/**
 * Runs all vectors of a file.
 *
 * @param accept - vectors to run; all by default
 * @returns one report per form, in file order
 */
export function runSiliconFile(
  file: SiliconFile,
  target: SiliconTarget,
  accept: (vector: SiliconVector) => boolean = () => true,
): FormReport[] {
  const reports = new Map<SiliconForm, FormReport>();
  const images = imagesOf();
  let mode: Mode | undefined;
  for (const vector of file.vectors()) {
    if (!accept(vector)) continue;
    let report = reports.get(vector.form);
    if (!report) reports.set(vector.form, (report = { form: vector.form, total: 0, agreed: 0 }));
    if (vector.mode !== mode) {
      mode = vector.mode;
      target.load(mode);
      prepareMemory(target);
    }
    const code = codeAddress(mode, vector.before);
    target.writeMemory(code, vector.bytes);
    for (const { address, bytes } of vector.memoryBefore) target.writeMemory(address, bytes);
    target.setState(vector.before);
    const outcome = runToEnd(target, vector);
    patchImages(images, vector.memoryBefore);
    patchImages(images, vector.memoryAfter);
    const ignored = vector.memoryIgnored.map(({ address, length }) => ({
      address,
      bytes: target.readMemory(address, length),
    }));
    patchImages(images, ignored);
    const memory = compareMemory(target, images);
    const differences = [...compareOutcome(vector, outcome), ...memory];
    report.total++;
    if (differences.length === 0) report.agreed++;
    else report.first ??= `${describeVector(vector)}\n    ${differences.join("\n    ")}`;
    target.writeMemory(code, new Uint8Array(vector.bytes.length).fill(BREAKPOINT));
    const touched = [...vector.memoryBefore, ...vector.memoryAfter, ...ignored];
    restore(target, images, touched, memory.length > 0);
  }
  return [...reports.values()];
}

/** Puts the patterns back. @param wholly - memory is not known to be as expected */
function restore(
  target: SiliconTarget,
  images: WindowImage[],
  touched: Patch[],
  wholly: boolean,
): void {
  for (const image of images) {
    for (const { address, bytes } of touched) {
      const at = address - image.address;
      if (at < 0 || at >= image.pattern.length) continue;
      const original = image.pattern.subarray(at, at + bytes.length);
      image.expected.set(original, at);
      target.writeMemory(address, original);
    }
    if (wholly) target.writeMemory(image.address, image.pattern);
  }
}

/** Reports of forms with disagreements, as text. Empty when all agree. */
export function disagreements(reports: FormReport[], limit = 20): string {
  const failed = reports.filter((report) => report.agreed !== report.total);
  const lines = failed.map(
    ({ form, agreed, total, first }) =>
      `${form.mode}-bit ${form.name}: ${agreed} of ${total} agree\n${first}`,
  );
  if (lines.length > limit)
    lines.splice(limit, lines.length, `... and ${failed.length - limit} forms more`);
  return lines.join("\n");
}
