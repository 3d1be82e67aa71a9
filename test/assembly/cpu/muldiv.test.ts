import { rows } from "./rows.js";

const ONES = 0xffffffffffffffffn;
const MIN = 1n << 63n;
const UNDEFINED = "S Z A P";
const ALL = "C P A Z S O";

rows(64, "MUL, IMUL", [
  [
    "mul bl",
    "f6e3",
    { rax: 0x10n, rbx: 0x10n },
    { rax: 0x100n, flags: "C O", undefined: UNDEFINED },
  ],
  ["mul bl", "f6e3", { rax: 0xff0fn, rbx: 0x10n }, { rax: 0xf0n, flags: "", undefined: UNDEFINED }],
  [
    "mul bx",
    "66f7e3",
    { rax: 0xffffn, rbx: 0xffffn, rdx: 0x7_0000n },
    { rax: 1n, rdx: 0x7_fffen, flags: "C O", undefined: UNDEFINED },
  ],
  [
    "mul ebx",
    "f7e3",
    { rax: 0xffffffffn, rbx: 0xffffffffn, rdx: ONES },
    { rax: 1n, rdx: 0xfffffffen, flags: "C O", undefined: UNDEFINED },
  ],
  [
    "mul rbx",
    "48f7e3",
    { rax: ONES, rbx: ONES },
    { rax: 1n, rdx: ONES - 1n, flags: "C O", undefined: UNDEFINED },
  ],
  [
    "mul rbx",
    "48f7e3",
    { rax: 0x1_00000001n, rbx: 0xffffffffn, rdx: 5n },
    { rax: 0xffffffff_ffffffffn, rdx: 0n, flags: "", undefined: UNDEFINED },
  ],
  [
    "imul bl",
    "f6eb",
    { rax: 0x80n, rbx: 0xffn },
    { rax: 0x80n, flags: "C O", undefined: UNDEFINED },
  ],
  ["imul bl", "f6eb", { rax: 0xffn, rbx: 0xffn }, { rax: 1n, flags: "", undefined: UNDEFINED }],
  [
    "imul rbx",
    "48f7eb",
    { rax: MIN, rbx: ONES },
    { rax: MIN, rdx: 0n, flags: "C O", undefined: UNDEFINED },
  ],
  [
    "imul rbx",
    "48f7eb",
    { rax: ONES, rbx: 2n },
    { rax: ONES - 1n, rdx: ONES, flags: "", undefined: UNDEFINED },
  ],
  [
    "imul rax, rbx",
    "480fafc3",
    { rax: MIN, rbx: ONES },
    { rax: MIN, flags: "C O", undefined: UNDEFINED },
  ],
  [
    "imul eax, ebx, -3",
    "6bc3fd",
    { rax: ONES, rbx: 0x55555556n },
    { rax: 0xfffffffen, flags: "C O", undefined: UNDEFINED },
  ],
  [
    "imul ax, bx, 0x100",
    "6669c30001",
    { rbx: 0x7fn },
    { rax: 0x7f00n, flags: "", undefined: UNDEFINED },
  ],
]);

rows(64, "DIV, IDIV", [
  ["div bl", "f6f3", { rax: 0x1ffn, rbx: 2n }, { rax: 0x1ffn, undefined: ALL, rip: 0x500002n }],
  ["div bl", "f6f3", { rax: 0x200n, rbx: 2n }, { trap: "#DE" }],
  ["div bl", "f6f3", { rax: 7n }, { trap: "#DE" }],
  [
    "div ebx",
    "f7f3",
    { rax: 0xffffffffn, rdx: 0xf_00000001n, rbx: 2n },
    { rax: 0xffffffffn, rdx: 1n, undefined: ALL },
  ],
  ["div ebx", "f7f3", { rdx: 2n, rbx: 2n }, { trap: "#DE" }],
  [
    "div rbx",
    "48f7f3",
    { rax: ONES, rdx: ONES - 1n, rbx: ONES },
    { rax: ONES, rdx: ONES - 1n, undefined: ALL },
  ],
  [
    "div rbx",
    "48f7f3",
    { rax: 5n, rdx: 1n, rbx: 0x1_00000000n },
    { rax: 0x1_00000000n, rdx: 5n, undefined: ALL },
  ],
  [
    "div rbx",
    "48f7f3",
    { rdx: 0x7fffffff_fffffffen, rbx: 0x80000000_00000001n },
    { rax: 0xffffffff_fffffffan, rdx: 6n, undefined: ALL },
  ],
  ["idiv bl", "f6fb", { rax: 0xff80n, rbx: 1n }, { rax: 0x80n, undefined: ALL }],
  ["idiv bl", "f6fb", { rax: 0xff80n, rbx: 0xffn }, { trap: "#DE" }],
  ["idiv bl", "f6fb", { rax: 0xfff9n, rbx: 2n }, { rax: 0xfffdn, undefined: ALL }],
  ["idiv ebx", "f7fb", { rax: 0x80000000n, rdx: 0xffffffffn, rbx: 0xffffffffn }, { trap: "#DE" }],
  ["idiv ebx", "f7fb", { rdx: 0x80000000n, rbx: 0xffffffffn }, { trap: "#DE" }],
  ["idiv rbx", "48f7fb", { rax: MIN, rdx: ONES, rbx: 1n }, { rax: MIN, rdx: 0n, undefined: ALL }],
  ["idiv rbx", "48f7fb", { rax: MIN, rdx: ONES, rbx: ONES }, { trap: "#DE" }],
  [
    "idiv rbx",
    "48f7fb",
    { rax: ONES - 6n, rdx: ONES, rbx: 2n },
    { rax: ONES - 2n, rdx: ONES, undefined: ALL },
  ],
  ["idiv rbx", "48f7fb", { rdx: MIN, rbx: ONES }, { trap: "#DE" }],
]);
