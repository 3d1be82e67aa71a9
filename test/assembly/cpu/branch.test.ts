import { DATA, STACK } from "../../silicon/environment.js";
import { rows, stackTop } from "./rows.js";

const TOP = STACK + 0x800;
const SP64 = stackTop(64);
const SP16 = stackTop(16);

rows(64, "Jcc, JMP", [
  ["jz $+0x10", "740e", { flags: "Z" }, { rip: 0x500010n }],
  ["jz $+0x10", "740e", {}, {}],
  ["jle near $+0x1000", "0f8efa0f0000", { flags: "O" }, { rip: 0x501000n }],
  ["jmp $-0x10", "ebee", {}, { rip: 0x4ffff0n }],
  ["jmp rax", "ffe0", { rax: 0x500123n }, { rip: 0x500123n }],
  ["jmp rax", "ffe0", { rax: 0x8000_00000000n }, { trap: "#GP(0)" }],
  [
    "jmp [rbx]",
    "ff23",
    { rbx: BigInt(DATA), memory: { [DATA]: "2301500000000000" } },
    { rip: 0x500123n },
  ],
]);

rows(64, "CALL, RET", [
  [
    "call $+0x10",
    "e80b000000",
    {},
    { rip: 0x500010n, rsp: SP64 - 8n, memory: { [TOP - 8]: "0500500000000000" } },
  ],
  [
    "call rax",
    "ffd0",
    { rax: 0x500123n },
    { rip: 0x500123n, rsp: SP64 - 8n, memory: { [TOP - 8]: "0200500000000000" } },
  ],
  ["call rax", "ffd0", { rax: 0x8000_00000000n }, { trap: "#GP(0)" }],
  [
    "call [rsp]",
    "ff1424",
    { memory: { [TOP]: "2301500000000000" } },
    { rip: 0x500123n, rsp: SP64 - 8n, memory: { [TOP - 8]: "0300500000000000" } },
  ],
  ["call $+0x10", "e80b000000", { rsp: BigInt(STACK) }, { trap: "#PF(6) 6ffff8" }],
  ["ret", "c3", { memory: { [TOP]: "2301500000000000" } }, { rip: 0x500123n, rsp: SP64 + 8n }],
  [
    "ret 0xfff8",
    "c2f8ff",
    { memory: { [TOP]: "2301500000000000" } },
    { rip: 0x500123n, rsp: SP64 + 0x10000n },
  ],
  ["ret", "c3", { memory: { [TOP]: "0000000000008000" } }, { trap: "#GP(0)" }],
]);

rows(64, "LOOP, JRCXZ", [
  ["loop $+0x10", "e20e", { rcx: 2n }, { rcx: 1n, rip: 0x500010n }],
  ["loop $+0x10", "e20e", { rcx: 1n }, { rcx: 0n }],
  ["loop $+0x10", "e20e", {}, { rcx: 0xffffffffffffffffn, rip: 0x500010n }],
  ["a32 loop $+0x10", "67e20d", { rcx: 0xf_00000001n }, { rcx: 0n }],
  ["loope $+0x10", "e10e", { rcx: 2n }, { rcx: 1n }],
  ["loopne $+0x10", "e00e", { rcx: 2n }, { rcx: 1n, rip: 0x500010n }],
  ["jrcxz $+0x10", "e30e", { rcx: 0x1_00000000n }, {}],
  ["a32 jecxz $+0x10", "67e30d", { rcx: 0x1_00000000n }, { rip: 0x500010n }],
]);

rows(16, "16-bit code", [
  ["jmp near $-0x10", "e9edff", {}, { rip: 0xfff0n }],
  ["jmp dword $+0x10000", "66e9faff0000", {}, { trap: "#GP(0)" }],
  ["call near $+0x10", "e80d00", {}, { rip: 0x10n, rsp: SP16 - 2n, memory: { [TOP - 2]: "0300" } }],
  [
    "call dword $+0x10",
    "66e80a000000",
    {},
    { rip: 0x10n, rsp: SP16 - 4n, memory: { [TOP - 4]: "06000000" } },
  ],
  ["call dword $+0x10000", "66e8faff0000", { rsp: 1n }, { trap: "#SS(0)" }],
  ["ret 4", "c20400", { memory: { [TOP]: "3412" } }, { rip: 0x1234n, rsp: SP16 + 6n }],
  ["o32 ret", "66c3", { memory: { [TOP]: "00000100" } }, { trap: "#GP(0)" }],
  ["loop $+0x10", "e20e", { rcx: 0x50000n }, { rcx: 0x5ffffn, rip: 0x10n }],
  ["o32 jmp eax", "66ffe0", { rax: 0x10000n }, { trap: "#GP(0)" }],
]);
