import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CODE, DATA, PAGE_BYTES, SEGMENTS } from "../../silicon/environment.js";
import { MachineTarget } from "../../silicon/machine-target.js";
import { emptyState } from "../../silicon/state.js";
import { rows } from "./rows.js";

const AT = BigInt(DATA);
const END = DATA + 2 * PAGE_BYTES; // then a read-only page, then nothing

rows(64, "string instructions alone", [
  [
    "movsb",
    "a4",
    { rsi: AT, rdi: AT + 4n, memory: { [DATA]: "0102030400000000" } },
    { rsi: AT + 1n, rdi: AT + 5n, memory: { [DATA]: "0102030401000000" } },
  ],
  [
    "movsq",
    "48a5",
    { rsi: AT, rdi: AT + 8n, flags: "D", memory: { [DATA]: "01020304050607080000000000000000" } },
    { rsi: AT - 8n, rdi: AT, memory: { [DATA]: "01020304050607080102030405060708" } },
  ],
  [
    "stosd",
    "ab",
    { rax: 0x1_12345678n, rdi: AT, memory: { [DATA]: "0000000000" } },
    { rdi: AT + 4n, memory: { [DATA]: "7856341200" } },
  ],
  [
    "lodsw",
    "66ad",
    { rax: 0x1_ffffffffn, rsi: AT, memory: { [DATA]: "3412" } },
    { rax: 0x1_ffff1234n, rsi: AT + 2n },
  ],
  [
    "lodsd",
    "ad",
    { rax: 0x1_ffffffffn, rsi: AT, memory: { [DATA]: "78563412" } },
    { rax: 0x12345678n, rsi: AT + 4n },
  ],
  [
    "cmpsb",
    "a6",
    { rsi: AT, rdi: AT + 1n, memory: { [DATA]: "0102" } },
    { rsi: AT + 1n, rdi: AT + 2n, flags: "C P A S" },
  ],
  [
    "scasw",
    "66af",
    { rax: 0x18000n, rdi: AT, memory: { [DATA]: "0100" } },
    { rdi: AT + 2n, flags: "P A O" },
  ],
  ["a32 stosb", "67aa", { rdi: 0xf_00000000n + AT }, { rdi: AT + 1n }],
  ["a32 stosb", "67aa", { rdi: 0xf_00400000n }, { trap: "#PF(6) 400000" }],
  ["movsb", "a4", { rsi: 0x400000n, rdi: 0x400000n }, { trap: "#PF(4) 400000" }],
  ["cmpsb", "a6", { rsi: 0x400000n, rdi: 0x400001n }, { trap: "#PF(4) 400001" }],
]);

rows(64, "REP", [
  ["rep stosb", "f3aa", { rdi: 0x400000n }, {}],
  ["a32 rep stosb", "f367aa", { rcx: 1n << 32n, rdi: 1n << 40n }, {}],
  [
    "rep stosb",
    "f3aa",
    { rax: 0xaan, rcx: 3n, rdi: AT, memory: { [DATA]: "00000000" } },
    { rcx: 0n, rdi: AT + 3n, memory: { [DATA]: "aaaaaa00" } },
  ],
  [
    "rep stosw",
    "f366ab",
    { rax: 0x1234n, rcx: 2n, rdi: AT + 2n, flags: "D", memory: { [DATA]: "0000000000" } },
    { rcx: 0n, rdi: AT - 2n, memory: { [DATA]: "3412341200" } },
  ],
  [
    "rep movsb",
    "f3a4",
    { rcx: 5n, rsi: AT, rdi: AT + 1n, memory: { [DATA]: "7700000000000000" } },
    { rcx: 0n, rsi: AT + 5n, rdi: AT + 6n, memory: { [DATA]: "7777777777770000" } },
  ],
  [
    "rep movsb",
    "f3a4",
    { rcx: 4n, rsi: AT + 1n, rdi: AT, memory: { [DATA]: "0102030405" } },
    { rcx: 0n, rsi: AT + 5n, rdi: AT + 4n, memory: { [DATA]: "0203040505" } },
  ],
  [
    "rep movsb",
    "f3a4",
    { rcx: 4n, rsi: AT + 3n, rdi: AT + 4n, flags: "D", memory: { [DATA]: "0102030405" } },
    { rcx: 0n, rsi: AT - 1n, rdi: AT, memory: { [DATA]: "0101020304" } },
  ],
  [
    "rep lodsb",
    "f3ac",
    { rcx: 3n, rsi: AT, memory: { [DATA]: "010203" } },
    { rax: 3n, rcx: 0n, rsi: AT + 3n },
  ],
  [
    "repe cmpsb",
    "f3a6",
    { rcx: 9n, rsi: AT, rdi: AT + 4n, memory: { [DATA]: "0102030401020504" } },
    { rcx: 6n, rsi: AT + 3n, rdi: AT + 7n, flags: "C A S" },
  ],
  [
    "repne cmpsb",
    "f2a6",
    { rcx: 2n, rsi: AT, rdi: AT + 4n, memory: { [DATA]: "0102030402030504" } },
    { rcx: 0n, rsi: AT + 2n, rdi: AT + 6n, flags: "C P A S" },
  ],
  [
    "repne scasb",
    "f2ae",
    { rax: 3n, rcx: 9n, rdi: AT, memory: { [DATA]: "0102030401020504" } },
    { rcx: 6n, rdi: AT + 3n, flags: "P Z" },
  ],
  [
    "repe scasd",
    "f3af",
    { rcx: 2n, rdi: AT, memory: { [DATA]: "0000000000000000" } },
    { rcx: 0n, rdi: AT + 8n, flags: "P Z" },
  ],
]);

rows(64, "REP at page ends", [
  [
    "rep stosb",
    "f3aa",
    { rcx: 8n, rdi: BigInt(END) - 4n, memory: { [END - 4]: "ffffffff" } },
    { rcx: 4n, rdi: BigInt(END), rip: BigInt(CODE), memory: { [END - 4]: "00000000" } },
  ],
  [
    "rep stosb",
    "f3aa",
    { steps: 2, rcx: 8n, rdi: BigInt(END) - 4n },
    { rcx: 4n, rdi: BigInt(END), trap: "#PF(7) 602000" },
  ],
  [
    "rep movsd",
    "f3a5",
    { steps: 9, rax: 5n, rcx: 8n, rsi: AT, rdi: BigInt(END) - 6n },
    { rcx: 7n, rsi: AT + 4n, rdi: BigInt(END) - 2n, trap: "#PF(7) 602000" },
  ],
  [
    "repe cmpsb",
    "f3a6",
    { steps: 9, rcx: 8n, rsi: BigInt(END) + 0xffen, rdi: AT, flags: "C" },
    { rcx: 6n, rsi: BigInt(END) + 0x1000n, rdi: AT + 2n, flags: "P Z", trap: "#PF(4) 603000" },
  ],
  [
    "rep stosq",
    "f348ab",
    {
      steps: 3,
      rax: 0x0807060504030201n,
      rcx: 3n,
      rdi: AT + 0xff4n,
      memory: { [DATA + 0xffa]: "0000000000000000" },
    },
    { rcx: 0n, rdi: AT + 0x100cn, memory: { [DATA + 0xffa]: "0708010203040506" } },
  ],
]);

rows(64, "REP under single step", [
  ["rep stosb", "f3aa", { rcx: 3n, rdi: AT, flags: "T" }, { rcx: 2n, rdi: AT + 1n, trap: "#DB" }],
  [
    "rep stosb",
    "f3aa",
    { rcx: 1n, rdi: AT, flags: "T" },
    { rcx: 0n, rdi: AT + 1n, rip: BigInt(CODE) + 2n, trap: "#DB" },
  ],
]);

rows(64, "REP over code that was decoded", [
  [
    "rep movsb; nop; nop",
    "f3a49090",
    { steps: 2, rcx: 2n, rsi: AT, rdi: BigInt(CODE) + 2n, memory: { [DATA]: "9f90" } },
    { rax: 0x200n, rcx: 0n, rsi: AT + 2n, rdi: BigInt(CODE) + 4n, rip: BigInt(CODE) + 3n },
  ],
  [
    "rep stosb; nop; nop",
    "f3aa9090",
    { steps: 2, rax: 0x9fn, rcx: 2n, rdi: BigInt(CODE) + 2n },
    { rax: 0x29fn, rcx: 0n, rdi: BigInt(CODE) + 4n, rip: BigInt(CODE) + 3n },
  ],
]);

rows(16, "16-bit addresses", [
  [
    "rep movsb",
    "f3a4",
    { rcx: 0x50003n, rsi: 0x14000n, rdi: 0x24010n, memory: { [DATA]: "010203" } },
    { rcx: 0x50000n, rsi: 0x14003n, rdi: 0x24013n, memory: { [DATA + 16]: "010203" } },
  ],
  ["rep stosw", "f3ab", { steps: 3, rcx: 3n, rdi: 0xffffn }, { trap: "#GP(0)" }],
  ["fs lodsb", "64ac", { rsi: 0x2000n }, { trap: "#GP(0)" }],
  [
    "rep movsb",
    "f3a4",
    { rcx: 1n, rsi: 0xbfffn, rdi: 0x4000n, memory: { [DATA]: "00" } },
    { trap: "#PF(4) 607fff" },
  ],
]);

describe("a repeated string instruction does what its iterations do", () => {
  const WINDOW = 2 * PAGE_BYTES;
  const OPCODES = { movs: 0xa4, cmps: 0xa6, stos: 0xaa, lods: 0xac, scas: 0xae };
  const make = async () => {
    const target = await MachineTarget.create("release");
    target.load(64);
    return target;
  };
  const target = make();

  const instruction = fc.record({
    name: fc.constantFrom(...(Object.keys(OPCODES) as (keyof typeof OPCODES)[])),
    log2: fc.nat(3),
    prefix: fc.constantFrom(0xf2, 0xf3),
    isBackward: fc.boolean(),
    from: fc.integer({ min: 256, max: WINDOW - 256 }),
    to: fc.integer({ min: 256, max: WINDOW - 256 }),
    isNear: fc.boolean(), // operands overlap
    count: fc.integer({ min: 0, max: 600 }),
    rax: fc.constantFrom(0n, 0x0101010101010101n, 0x0807060504030201n),
    period: fc.constantFrom(1, 7, 256),
  });
  type Instruction = typeof instruction extends fc.Arbitrary<infer T> ? T : never;

  function bytes({ name, log2, prefix }: Instruction, repeated: boolean): Uint8Array {
    const size = log2 === 1 ? [0x66] : log2 === 3 ? [0x48] : [];
    return Uint8Array.from([
      ...(repeated ? [prefix] : []),
      ...size,
      OPCODES[name] | (log2 === 0 ? 0 : 1),
    ]);
  }

  function run(machine: MachineTarget, test: Instruction, repeated: boolean) {
    const code = bytes(test, repeated);
    machine.writeMemory(CODE, code);
    const image = Uint8Array.from({ length: WINDOW }, (_, i) => (i % test.period) & 0xff);
    machine.writeMemory(DATA, image);
    const state = emptyState();
    state.segments.set(SEGMENTS[64].map(({ selector }) => selector));
    const to = test.isNear ? Math.min(test.from + (test.to % 17), WINDOW - 256) : test.to;
    state.gpr.set([test.rax, BigInt(test.count)], 0);
    state.gpr.set([BigInt(DATA + test.from), BigInt(DATA + to)], 6);
    state.rflags = 0x202 | (test.isBackward ? 0x400 : 0);
    state.rip = BigInt(CODE);
    machine.setState(state);
    const next = BigInt(CODE + code.length);
    const isCompare = test.name === "cmps" || test.name === "scas";
    for (;;) {
      if (!repeated && machine.getState().gpr[1] === 0n) break;
      const { trap } = machine.step();
      const now = machine.getState();
      if (repeated) {
        if (trap !== undefined || now.rip === next) return finish(machine, trap);
        continue;
      }
      if (trap !== undefined) return finish(machine, trap);
      now.gpr[1]!--;
      now.rip = BigInt(CODE);
      machine.setState(now);
      if (isCompare && ((now.rflags & 0x40) !== 0) === (test.prefix === 0xf2)) break;
    }
    return finish(machine);
  }

  function finish(machine: MachineTarget, trap?: object) {
    const { gpr, rflags } = machine.getState();
    // CMPS and SCAS keep the flags of the last chunk before a fault, and iterations alone those of the last one.
    return {
      trap,
      gpr: [...gpr],
      rflags: trap ? 0 : rflags,
      memory: machine.readMemory(DATA, WINDOW),
    };
  }

  it("in both directions, overlapping, over page ends", async () => {
    const machine = await target;
    fc.assert(
      fc.property(instruction, (test) => {
        expect(run(machine, test, true)).toEqual(run(machine, test, false));
      }),
      { numRuns: 300, seed: 1 },
    );
  });
});
