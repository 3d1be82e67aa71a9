import { rows } from "./rows.js";

rows(64, "SHL, SHR, SAR", [
  ["shl al, 1", "d0e0", { rax: 0x40n }, { rax: 0x80n, flags: "S O", undefined: "A" }],
  [
    "shl eax, cl",
    "d3e0",
    { rax: 1n, rcx: 31n },
    { rax: 0x80000000n, flags: "P S", undefined: "A O" },
  ],
  ["shl eax, cl", "d3e0", { rax: 0x1_00000001n, rcx: 32n, flags: "C Z" }, { rax: 1n }],
  [
    "shl rax, cl",
    "48d3e0",
    { rax: 1n, rcx: 0x7fn },
    { rax: 1n << 63n, flags: "P S", undefined: "A O" },
  ],
  ["shl al, 9", "c0e009", { rax: 0xffn }, { rax: 0n, flags: "P Z", undefined: "A O C" }],
  ["shl ax, 16", "66c1e010", { rax: 0x8001n }, { rax: 0n, flags: "P Z", undefined: "A O C" }],
  ["shr al, 1", "d0e8", { rax: 0x81n }, { rax: 0x40n, flags: "C O", undefined: "A" }],
  [
    "shr rax, 63",
    "48c1e83f",
    { rax: -1n & 0xffffffffffffffffn },
    { rax: 1n, flags: "C", undefined: "A O" },
  ],
  ["sar al, 1", "d0f8", { rax: 0x81n }, { rax: 0xc0n, flags: "C P S", undefined: "A" }],
  ["sar al, 31", "c0f81f", { rax: 0x80n }, { rax: 0xffn, flags: "C P S", undefined: "A O" }],
  [
    "sar eax, 4",
    "c1f804",
    { rax: 0xff_80000000n },
    { rax: 0xf8000000n, flags: "P S", undefined: "A O" },
  ],
  [
    "db 0xc0, 0xf0, 1 ; sal al, 1 by /6",
    "c0f001",
    { rax: 0x81n },
    { rax: 2n, flags: "C O", undefined: "A" },
  ],
]);

rows(64, "ROL, ROR, RCL, RCR", [
  ["rol al, 1", "d0c0", { rax: 0x81n, flags: "Z" }, { rax: 3n, flags: "C Z O" }],
  ["rol al, 8", "c0c008", { rax: 0x81n }, { flags: "C", undefined: "O" }],
  ["rol eax, 32", "c1c020", { rax: 0xf_00000081n, flags: "C" }, { rax: 0x81n }],
  ["ror eax, 1", "d1c8", { rax: 1n }, { rax: 0x80000000n, flags: "C O" }],
  ["ror ax, cl", "66d3c8", { rax: 0x8000n, rcx: 16n }, { flags: "C", undefined: "O" }],
  ["rcl al, 1", "d0d0", { rax: 0x80n }, { rax: 0n, flags: "C O" }],
  ["rcl al, 9", "c0d009", { rax: 0x5an, flags: "C" }, { flags: "C", undefined: "O" }],
  [
    "rcl eax, 31",
    "c1d01f",
    { rax: 3n, flags: "C" },
    { rax: 0xc0000000n, flags: "C", undefined: "O" },
  ],
  [
    "rcl rax, 63",
    "48c1d03f",
    { rax: 4n, flags: "C" },
    { rax: 0x4000000000000001n, flags: "", undefined: "O" },
  ],
  ["rcr ax, 1", "66d1d8", { flags: "C" }, { rax: 0x8000n, flags: "O" }],
  ["rcr ax, 17", "66c1d811", { rax: 0x1234n, flags: "C" }, { undefined: "O" }],
  ["rcr rax, 63", "48c1d83f", { rax: 1n, flags: "C" }, { rax: 6n, flags: "", undefined: "O" }],
]);

rows(64, "SHLD, SHRD", [
  [
    "shld eax, ebx, 4",
    "0fa4d804",
    { rax: 0x12345678n, rbx: 0xabcdef01n },
    { rax: 0x2345678an, flags: "C", undefined: "A O" },
  ],
  [
    "shld ax, bx, 16",
    "660fa4d810",
    { rax: 0x1235n, rbx: 0xabcdn },
    { rax: 0xabcdn, flags: "C S", undefined: "A O" },
  ],
  ["shld rax, rbx, cl", "480fa5d8", { rax: 1n, rbx: 1n << 63n, rcx: 64n, flags: "C" }, {}],
  [
    "shrd eax, ebx, 1",
    "0facd801",
    { rax: 1n, rbx: 1n },
    { rax: 0x80000000n, flags: "C P S O", undefined: "A" },
  ],
  [
    "shrd rax, rbx, 63",
    "480facd83f",
    { rax: 1n << 62n, rbx: 3n },
    { rax: 6n, flags: "C P", undefined: "A O" },
  ],
  ["shrd eax, ebx, cl", "0fadd8", { rax: 0xf_00000001n, rcx: 32n }, { rax: 1n }],
]);

rows(64, "a count of 0 in memory that cannot be written", [
  ["shl byte [rbx], 0", "c02300", { rbx: 0x602000n }, { trap: "#PF(7) 602000" }],
  ["shld [rbx], eax, cl", "0fa503", { rbx: 0x602000n }, { trap: "#PF(7) 602000" }],
]);
