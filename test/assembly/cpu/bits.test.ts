import { DATA } from "../../silicon/environment.js";
import { rows } from "./rows.js";

const AT = BigInt(DATA) + 0x100n;
const BEFORE = DATA + 0xf8;
const ONES = 0xffffffffffffffffn;
const OTHERS = "P A S O";

rows(64, "BT, BTS, BTR, BTC", [
  ["bt eax, 33", "0fbae021", { rax: 2n }, { flags: "C", undefined: OTHERS }],
  [
    "bt rax, rbx",
    "480fa3d8",
    { rax: 1n << 63n, rbx: ONES, flags: "Z" },
    { flags: "C Z", undefined: OTHERS },
  ],
  [
    "bts eax, ebx",
    "0fabd8",
    { rax: 0x1_00000000n, rbx: 31n, flags: "C" },
    { rax: 0x80000000n, flags: "", undefined: OTHERS },
  ],
  [
    "btr ax, bx",
    "660fb3d8",
    { rax: 0x18000n, rbx: 15n },
    { rax: 0x10000n, flags: "C", undefined: OTHERS },
  ],
  ["btc rax, 0", "480fbaf800", { rax: 1n }, { rax: 0n, flags: "C", undefined: OTHERS }],
  [
    "bts [rsi], ebx",
    "0fab1e",
    { rsi: AT, rbx: 32n, memory: { [DATA + 0x104]: "00" } },
    { flags: "", undefined: OTHERS, memory: { [DATA + 0x104]: "01" } },
  ],
  [
    "btr [rsi], ebx",
    "0fb31e",
    { rsi: AT, rbx: 0xffffffffn, memory: { [DATA + 0xfc]: "ffffffff" } },
    { flags: "C", undefined: OTHERS, memory: { [DATA + 0xfc]: "ffffff7f" } },
  ],
  [
    "btc [rsi], rbx",
    "480fbb1e",
    { rsi: AT, rbx: ONES - 63n, memory: { [BEFORE]: "00" } },
    { flags: "", undefined: OTHERS, memory: { [BEFORE]: "01" } },
  ],
  ["bt [rsi], bx", "660fa31e", { rsi: AT, rbx: 0x8000n }, { trap: "#PF(4) 5ff100" }],
  [
    "bts word [rsi], 17",
    "660fba2e11",
    { rsi: AT, memory: { [DATA + 0x100]: "0000" } },
    { flags: "", undefined: OTHERS, memory: { [DATA + 0x100]: "0200" } },
  ],
  ["bt dword [rbx], 0", "0fba2300", { rbx: 0x602000n }, { flags: "C", undefined: "C P A S O" }],
  ["bts dword [rbx], 0", "0fba2b00", { rbx: 0x602000n }, { trap: "#PF(7) 602000" }],
  ["db 0x0f, 0xba, 0xd8, 1 ; group 8 /3", "0fbad801", {}, { trap: "#UD" }],
]);

rows(64, "BSF, BSR, POPCNT", [
  [
    "bsf eax, ebx",
    "0fbcc3",
    { rax: ONES, rbx: 0x1_80000000n },
    { rax: 31n, flags: "", undefined: "C P A S O" },
  ],
  ["bsf rax, rbx", "480fbcc3", { rax: 5n }, { flags: "Z", undefined: "C P A S O" }],
  ["bsf eax, ebx", "0fbcc3", { rax: ONES }, { flags: "Z", undefined: "C P A S O" }],
  [
    "bsr ax, bx",
    "660fbdc3",
    { rax: 0x50000n, rbx: 0x10100n },
    { rax: 0x50008n, flags: "", undefined: "C P A S O" },
  ],
  ["bsr rax, rbx", "480fbdc3", { rbx: ONES }, { rax: 63n, flags: "", undefined: "C P A S O" }],
  ["popcnt rax, rbx", "f3480fb8c3", { rbx: ONES, flags: "C P A Z S O" }, { rax: 64n, flags: "" }],
  [
    "popcnt ax, bx",
    "66f30fb8c3",
    { rax: 0x1ffffn, rbx: 0x10000n, flags: "C" },
    { rax: 0x10000n, flags: "Z" },
  ],
  ["db 0x0f, 0xb8, 0xc3 ; jmpe", "0fb8c3", {}, { trap: "#UD" }],
]);
