import { DATA } from "../../silicon/environment.js";
import { rows } from "./rows.js";

rows(64, "ADD, ADC, SUB, SBB, CMP", [
  ["add al, bl", "00d8", { rax: 0x7fn, rbx: 1n }, { rax: 0x80n, flags: "A S O" }],
  ["add al, bl", "00d8", { rax: 0xffn, rbx: 1n }, { rax: 0n, flags: "C P A Z" }],
  ["add ah, bl", "00dc", { rax: 0xff00n, rbx: 1n }, { rax: 0n, flags: "C P A Z" }],
  ["add spl, al", "4000c4", { rax: 1n, rsp: 0x7008ffn }, { rsp: 0x700800n, flags: "C P A Z" }],
  ["add ax, bx", "6601d8", { rax: 0x17fffn, rbx: 1n }, { rax: 0x18000n, flags: "P A S O" }],
  ["add eax, ebx", "01d8", { rax: 0x1_7fffffffn, rbx: 1n }, { rax: 0x80000000n, flags: "P A S O" }],
  ["add rax, -1", "4883c0ff", { rax: 1n }, { rax: 0n, flags: "C P A Z" }],
  ["adc eax, ebx", "11d8", { rax: 0xffffffffn, flags: "C" }, { rax: 0n, flags: "C P A Z" }],
  ["adc al, 0xff", "14ff", { rax: 5n, flags: "C" }, { rax: 5n, flags: "C P A" }],
  ["sub al, bl", "28d8", { rbx: 1n }, { rax: 0xffn, flags: "C P A S" }],
  ["sub ax, bx", "6629d8", { rax: 0x8000n, rbx: 1n }, { rax: 0x7fffn, flags: "P A O" }],
  ["sub rax, rbx", "4829d8", { rax: 5n, rbx: 5n }, { rax: 0n, flags: "P Z" }],
  [
    "sbb eax, eax",
    "19c0",
    { rax: 0x1_00000000n, flags: "C" },
    { rax: 0xffffffffn, flags: "C P A S" },
  ],
  ["sbb al, 0xff", "1cff", { rax: 3n, flags: "C" }, { rax: 3n, flags: "C A P" }],
  ["cmp eax, ebx", "39d8", { rax: 0x1_00000001n, rbx: 2n }, { flags: "C P A S" }],
  [
    "cmp word [rbx], -2",
    "66833bfe",
    { rbx: BigInt(DATA), memory: { [DATA]: "feff" } },
    { flags: "P Z" },
  ],
]);

rows(64, "AND, OR, XOR, TEST, NOT, NEG", [
  [
    "and eax, ebx",
    "21d8",
    { rax: 0xffff0000_ffffffffn, rbx: 0x80000000n, flags: "C O" },
    { rax: 0x80000000n, flags: "P S", undefined: "A" },
  ],
  ["or bl, cl", "08cb", { rbx: 0x100n, flags: "C A" }, { flags: "P Z", undefined: "A" }],
  [
    "xor rax, rax",
    "4831c0",
    { rax: 5n, flags: "C S O" },
    { rax: 0n, flags: "P Z", undefined: "A" },
  ],
  ["test ah, 0x80", "f6c480", { rax: 0x8000n, flags: "C" }, { flags: "S", undefined: "A" }],
  ["not eax", "f7d0", { rax: 0xf_00000000n, flags: "C Z" }, { rax: 0xffffffffn }],
  ["neg al", "f6d8", { rax: 0x80n }, { rax: 0x80n, flags: "C S O" }],
  ["neg rax", "48f7d8", { flags: "C S" }, { flags: "P Z" }],
]);

rows(64, "INC, DEC", [
  ["inc al", "fec0", { rax: 0xffn, flags: "C" }, { rax: 0n, flags: "C P A Z" }],
  ["inc ax", "66ffc0", { rax: 0x7fffn }, { rax: 0x8000n, flags: "P A S O" }],
  [
    "inc dword [rbx]",
    "ff03",
    { rbx: BigInt(DATA), flags: "C", memory: { [DATA]: "ffffffff" } },
    { flags: "C P A Z", memory: { [DATA]: "00000000" } },
  ],
  ["dec eax", "ffc8", { flags: "C" }, { rax: 0xffffffffn, flags: "C P A S" }],
  ["dec al", "fec8", { rax: 0x80n }, { rax: 0x7fn, flags: "A O" }],
]);

rows(64, "a destination that cannot be written", [
  ["add [rbx], al", "0003", { rbx: 0x602000n, rax: 1n, flags: "C" }, { trap: "#PF(7) 602000" }],
  ["inc qword [rbx]", "48ff03", { rbx: 0x601ffcn }, { trap: "#PF(7) 602000" }],
  [
    "cmp [rbx], al",
    "3803",
    { rbx: 0x602000n, rax: 0xccn },
    { flags: "P A C", undefined: "PACSOZ" },
  ],
  ["neg byte [rbx]", "f61b", { rbx: 0x400000n, flags: "Z" }, { trap: "#PF(6) 400000" }],
  ["lock add [rbx], al", "f00003", { rbx: 0x8000_00000000n }, { trap: "#GP(0)" }],
  ["add [rsp], al", "000424", { rsp: 0x8000_00000000n }, { trap: "#SS(0)" }],
]);

rows(32, "INC and DEC by opcode", [
  ["inc esp", "44", { rsp: 0x7fffffffn }, { rsp: 0x80000000n, flags: "P A S O" }],
  ["dec ax", "6648", { rax: 0x10000n, flags: "C" }, { rax: 0x1ffffn, flags: "C P A S" }],
]);
