/** Compares what a machine did with what the silicon did. */
import type { SiliconVector, Trap } from "./reader.js";
import { FX_FCW, FX_FSW, FX_FTW, FX_MXCSR, FX_ST, FX_XMM, type CpuState } from "./state.js";

export interface Outcome {
  state: CpuState;
  trap?: Trap;
}

const NAMES = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split(" ");
const FLAG_NAMES: readonly [number, string][] = [
  [1, "CF"],
  [4, "PF"],
  [0x10, "AF"],
  [0x40, "ZF"],
  [0x80, "SF"],
  [0x400, "DF"],
  [0x800, "OF"],
  [0x4000, "NT"],
  [0x40000, "AC"],
  [0x200000, "ID"],
];

function trapText(trap: Trap | undefined): string {
  if (!trap) return "no trap";
  const cr2 = trap.cr2 === undefined ? "" : ` at ${trap.cr2.toString(16)}`;
  return `vector ${trap.vector} error ${trap.errorCode.toString(16)}${cr2}`;
}

function flagText(flags: number): string {
  return FLAG_NAMES.filter(([bit]) => flags & bit)
    .map(([, name]) => name)
    .join(" ");
}

function compareTrap(expected: Trap | undefined, actual: Trap | undefined): string[] {
  const same =
    expected?.vector === actual?.vector &&
    expected?.errorCode === actual?.errorCode &&
    expected?.cr2 === (expected?.vector === 14 ? actual?.cr2 : undefined);
  return same ? [] : [`trap: expected ${trapText(expected)}, got ${trapText(actual)}`];
}

function compareIntegers(vector: SiliconVector, actual: CpuState): string[] {
  const { after, mode } = vector;
  const differences: string[] = [];
  const expect = (what: string, expected: bigint | number, got: bigint | number) => {
    if (expected !== got)
      differences.push(`${what}: expected ${expected.toString(16)}, got ${got.toString(16)}`);
  };
  const mask = mode === 64 ? 0xffffffffffffffffn : 0xffffffffn;
  for (let i = 0; i < (mode === 64 ? 16 : 8); i++) {
    expect(NAMES[i]!, after.gpr[i]! & mask, actual.gpr[i]! & mask);
  }
  expect("rip", after.rip, actual.rip);
  const wrong = (after.rflags ^ actual.rflags) & vector.flagMask;
  if (wrong) {
    differences.push(
      `flags: expected ${flagText(after.rflags & vector.flagMask) || "none"}, wrong: ${flagText(wrong)}`,
    );
  }
  for (let i = 0; i < 6; i++) {
    expect(`${["es", "cs", "ss", "ds", "fs", "gs"][i]}`, after.segments[i]!, actual.segments[i]!);
  }
  return differences;
}

const hexOf = (bytes: Uint8Array) => Buffer.from(bytes.slice().reverse()).toString("hex");
const equal = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

/** Accuracy of RCPPS and RSQRTPS: a relative error of 1.5 * 2^-12 each, the recording CPU's and the machine's. */
const RECIPROCAL_ERROR = 3 * 2 ** -12;
/** Accuracy of the x87 transcendentals: one unit in the last place each. */
const TRANSCENDENTAL_ULPS = 2n;

function lanesClose(expected: Uint8Array, got: Uint8Array): boolean {
  const a = new DataView(expected.buffer, expected.byteOffset, 16);
  const b = new DataView(got.buffer, got.byteOffset, 16);
  for (let i = 0; i < 16; i += 4) {
    if (a.getUint32(i, true) === b.getUint32(i, true)) continue;
    const want = a.getFloat32(i, true);
    const error = Math.abs(b.getFloat32(i, true) - want);
    if (!(error <= Math.abs(want) * RECIPROCAL_ERROR)) return false;
  }
  return true;
}

/** Position of an extended double on the line of all of them. */
function rank(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 10);
  const exponent = BigInt(view.getUint16(8, true));
  const magnitude =
    ((exponent & 0x7fffn) << 63n) + (view.getBigUint64(0, true) & 0x7fffffffffffffffn);
  return exponent & 0x8000n ? -magnitude : magnitude;
}

function extendedClose(expected: Uint8Array, got: Uint8Array): boolean {
  const distance = rank(expected) - rank(got);
  return distance >= -TRANSCENDENTAL_ULPS && distance <= TRANSCENDENTAL_ULPS;
}

/** Registers that are empty hold nothing that an instruction can read; they are not compared. */
function compareFloats(vector: SiliconVector, actual: CpuState): string[] {
  const { before, after, form } = vector;
  const differences: string[] = [];
  const expectBytes = (what: string, at: number, length: number, close: typeof equal = equal) => {
    const expected = after.fx.subarray(at, at + length);
    const got = actual.fx.subarray(at, at + length);
    if (equal(expected, got) || close(expected, got)) return;
    const was = hexOf(before.fx.subarray(at, at + length));
    differences.push(`${what}: before ${was}, expected ${hexOf(expected)}, got ${hexOf(got)}`);
  };
  const statusMask = 0xffff & ~form.undefinedStatus;
  const statusClose = (expected: Uint8Array, got: Uint8Array) =>
    (((expected[0]! | (expected[1]! << 8)) ^ (got[0]! | (got[1]! << 8))) & statusMask) === 0;
  expectBytes("fcw", FX_FCW, 2);
  expectBytes("fsw", FX_FSW, 2, statusClose);
  expectBytes("ftw", FX_FTW, 1);
  expectBytes("mxcsr", FX_MXCSR, 4);
  const stackClose = form.tolerance === "transcendental" ? extendedClose : equal;
  for (let i = 0; i < 8; i++) {
    if ((after.fx[FX_FTW]! >> i) & 1) expectBytes(`r${i}`, FX_ST + 16 * i, 10, stackClose);
  }
  const lanesMatch = form.tolerance === "reciprocal" ? lanesClose : equal;
  for (let i = 0; i < (form.mode === 64 ? 16 : 8); i++) {
    expectBytes(`xmm${i}`, FX_XMM + 16 * i, 16, lanesMatch);
  }
  return differences;
}

/** Differences between the recorded outcome and the machine's, as lines of text; none when they agree. */
export function compareOutcome(vector: SiliconVector, outcome: Outcome): string[] {
  return [
    ...compareTrap(vector.trap, outcome.trap),
    ...compareIntegers(vector, outcome.state),
    ...(vector.form.profile === "integer" ? [] : compareFloats(vector, outcome.state)),
  ];
}
