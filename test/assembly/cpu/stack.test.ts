import { STACK } from "../../silicon/environment.js";
import { rows, stackTop } from "./rows.js";

const TOP = STACK + 0x800;
const SP64 = stackTop(64);
const SP16 = stackTop(16);
const ONES = 0xffffffffffffffffn;

rows(64, "PUSH, POP", [
  ["push rsp", "54", {}, { rsp: SP64 - 8n, memory: { [TOP - 8]: "0008700000000000" } }],
  ["push ax", "6650", { rax: 0x12345n }, { rsp: SP64 - 2n, memory: { [TOP - 2]: "4523" } }],
  ["push -2", "6afe", {}, { rsp: SP64 - 8n, memory: { [TOP - 8]: "feffffffffffffff" } }],
  ["push word 0x1234", "66683412", {}, { rsp: SP64 - 2n, memory: { [TOP - 2]: "3412" } }],
  [
    "push qword [rsp]",
    "ff3424",
    { memory: { [TOP]: "0102030405060708" } },
    { rsp: SP64 - 8n, memory: { [TOP - 8]: "0102030405060708" } },
  ],
  ["pop rsp", "5c", { memory: { [TOP]: "8877665544332211" } }, { rsp: 0x1122334455667788n }],
  [
    "pop ax",
    "6658",
    { rax: ONES, memory: { [TOP]: "3412" } },
    { rsp: SP64 + 2n, rax: 0xffffffff_ffff1234n },
  ],
  [
    "pop qword [rsp]",
    "8f0424",
    { memory: { [TOP]: "0100000000000000ff" } },
    { rsp: SP64 + 8n, memory: { [TOP]: "01000000000000000100000000000000" } },
  ],
  ["pop qword [rbx]", "8f03", { rbx: 0x602000n }, { trap: "#PF(7) 602000" }],
  ["push rax", "50", { rsp: BigInt(STACK) }, { trap: "#PF(6) 6ffff8" }],
  ["push rax", "50", { rsp: 0x8000_00000008n }, { trap: "#SS(0)" }],
  ["pop rax", "58", { rsp: 0x8000_00000000n }, { trap: "#SS(0)" }],
  ["push qword [rbx]", "ff33", { rbx: 0x8000_00000000n }, { trap: "#GP(0)" }],
  ["db 0x8f, 0xc8 ; group 1A /1", "8fc8", {}, { trap: "#UD" }],
]);

rows(64, "ENTER, LEAVE", [
  [
    "enter 0x10, 0",
    "c8100000",
    { rbp: 7n },
    { rbp: SP64 - 8n, rsp: SP64 - 0x18n, memory: { [TOP - 8]: "0700000000000000" } },
  ],
  [
    "enter 0, 1",
    "c8000001",
    { rbp: 7n },
    {
      rbp: SP64 - 8n,
      rsp: SP64 - 0x10n,
      memory: { [TOP - 16]: "f8077000000000000700000000000000" },
    },
  ],
  [
    "enter 8, 3",
    "c8080003",
    { rbp: SP64 + 0x20n, memory: { [TOP + 0x10]: "02000000000000000100000000000000" } },
    {
      rbp: SP64 - 8n,
      rsp: SP64 - 0x28n,
      memory: { [TOP - 32]: "f807700000000000020000000000000001000000000000002008700000000000" },
    },
  ],
  ["enter 0x1000, 0", "c8001000", { rbp: 7n }, { trap: "#PF(6) 6ff7f8" }],
  ["enter 0, 2", "c8000002", { rbp: 0x400008n }, { trap: "#PF(4) 400000" }],
  [
    "leave",
    "c9",
    { rbp: SP64 + 8n, memory: { [TOP + 8]: "0500000000000000" } },
    { rbp: 5n, rsp: SP64 + 16n },
  ],
  ["leave", "c9", { rbp: 0x400000n }, { trap: "#PF(4) 400000" }],
  [
    "o16 leave",
    "66c9",
    { rbp: SP64 + 8n, memory: { [TOP + 8]: "0500" } },
    { rbp: 0x700005n, rsp: SP64 + 10n },
  ],
]);

rows(32, "PUSHA, POPA", [
  [
    "pusha",
    "60",
    { rax: 1n, rcx: 2n, rdx: 3n, rbx: 4n, rbp: 5n, rsi: 6n, rdi: 7n },
    {
      rsp: SP64 - 32n,
      memory: {
        [TOP - 32]: "07000000060000000500000000087000" + "04000000030000000200000001000000",
      },
    },
  ],
  [
    "popa",
    "61",
    { memory: { [TOP]: "07000000060000000500000099999999" + "04000000030000000200000001000000" } },
    { rax: 1n, rcx: 2n, rdx: 3n, rbx: 4n, rbp: 5n, rsi: 6n, rdi: 7n, rsp: SP64 + 32n },
  ],
  [
    "pusha",
    "60",
    {
      rsp: BigInt(STACK) + 0x10n,
      rax: ONES & 0xffffffffn,
      memory: { [STACK]: "00000000000000000000000000000000" },
    },
    { trap: "#PF(6) 6ffffc" },
  ],
]);

rows(16, "a 16-bit stack", [
  [
    "push eax",
    "6650",
    { rax: 0x12345678n, rsp: 0x10000n + SP16 },
    { rsp: 0x10000n + SP16 - 4n, memory: { [TOP - 4]: "78563412" } },
  ],
  [
    "pusha",
    "60",
    { rax: 1n, rdi: 8n },
    { rsp: SP16 - 16n, memory: { [TOP - 16]: "0800000000000088" + "0000000000000100" } },
  ],
  ["push ax", "50", { rsp: 1n }, { trap: "#SS(0)" }],
  [
    "leave",
    "c9",
    { rbp: 0x10000n + SP16, rsp: 0x50000n, memory: { [TOP]: "0500" } },
    { rbp: 0x10005n, rsp: 0x50000n + SP16 + 2n },
  ],
  [
    "enter 2, 1",
    "c8020001",
    { rbp: 0x1_0007n },
    { rbp: 0x1_0000n + SP16 - 2n, rsp: SP16 - 6n, memory: { [TOP - 4]: "fe870700" } },
  ],
]);
