import { DATA } from "../../silicon/environment.js";
import { rows } from "./rows.js";

rows(32, "DAA, DAS, AAA, AAS, AAM, AAD", [
  ["daa", "27", { rax: 0x9an }, { rax: 0n, flags: "C P A Z", undefined: "O" }],
  ["daa", "27", { rax: 0x10n, flags: "A" }, { rax: 0x16n, flags: "A", undefined: "O" }],
  ["daa", "27", { rax: 0x0fn, flags: "C" }, { rax: 0x75n, flags: "C A", undefined: "O" }],
  ["das", "2f", { rax: 0x05n, flags: "A" }, { rax: 0xffn, flags: "C P A S", undefined: "O" }],
  ["das", "2f", { rax: 0x9an }, { rax: 0x34n, flags: "C A", undefined: "O" }],
  ["aaa", "37", { rax: 0xffan }, { rax: 0x1100n, flags: "C A", undefined: "O S Z P" }],
  ["aaa", "37", { rax: 0x35n }, { rax: 0x05n, flags: "", undefined: "O S Z P" }],
  [
    "aas",
    "3f",
    { rax: 0x200n, flags: "A" },
    { rax: 0x10an - 0x10an + 0x0an, flags: "C A", undefined: "O S Z P" },
  ],
  ["aam", "d40a", { rax: 0xff63n }, { rax: 0x0909n, flags: "P", undefined: "O A C" }],
  ["db 0xd4, 0 ; aam 0", "d400", { rax: 5n }, { trap: "#DE" }],
  ["aad", "d50a", { rax: 0x0909n }, { rax: 0x63n, flags: "P", undefined: "O A C" }],
  [
    "db 0xd5, 16 ; aad 16",
    "d510",
    { rax: 0x1818n },
    { rax: 0x98n, flags: "S", undefined: "O A C" },
  ],
]);

rows(32, "BOUND", [
  [
    "bound eax, [ebx]",
    "6203",
    { rax: 5n, rbx: BigInt(DATA), memory: { [DATA]: "ffffffff05000000" } },
    {},
  ],
  [
    "bound eax, [ebx]",
    "6203",
    { rax: 6n, rbx: BigInt(DATA), memory: { [DATA]: "ffffffff05000000" } },
    { trap: "#BR" },
  ],
  [
    "bound ax, [ebx]",
    "666203",
    { rax: 0xfffen, rbx: BigInt(DATA), memory: { [DATA]: "ffff0500" } },
    { trap: "#BR" },
  ],
  ["db 0x62, 0xc3 ; bound of a register", "62c3", {}, { trap: "#UD" }],
]);
