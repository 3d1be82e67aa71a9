import { DATA } from "../../silicon/environment.js";
import { rows } from "./rows.js";

const AT = BigInt(DATA);
const ONES = 0xffffffffffffffffn;

rows(64, "MOV", [
  ["mov ah, bl", "88dc", { rax: ONES, rbx: 1n }, { rax: 0xffffffff_ffff01ffn }],
  ["mov sil, bl", "4088de", { rsi: ONES, rbx: 1n }, { rsi: 0xffffffff_ffffff01n }],
  ["mov ax, bx", "6689d8", { rax: ONES, rbx: 1n }, { rax: 0xffffffff_ffff0001n }],
  ["mov eax, ebx", "89d8", { rax: ONES, rbx: ONES }, { rax: 0xffffffffn }],
  ["mov rax, strict dword -1", "48c7c0ffffffff", {}, { rax: ONES }],
  ["mov eax, -1", "b8ffffffff", {}, { rax: 0xffffffffn }],
  ["mov r15, 0x0123456789abcdef", "49bfefcdab8967452301", {}, { r15: 0x0123456789abcdefn }],
  ["mov r9b, 7", "41b107", { r9: ONES }, { r9: 0xffffffff_ffffff07n }],
  [
    "mov al, [abs qword 0x600001]",
    "a00100600000000000",
    { rax: 0x100n, memory: { [DATA]: "0102" } },
    { rax: 0x102n },
  ],
  [
    "mov [abs qword 0x600001], rax",
    "48a30100600000000000",
    { rax: 5n, memory: { [DATA]: "ff" } },
    { memory: { [DATA]: "ff0500000000000000" } },
  ],
  [
    "mov dword [rbx], 5",
    "c70305000000",
    { rbx: AT, memory: { [DATA]: "ffffffffff" } },
    { memory: { [DATA]: "05000000ff" } },
  ],
  ["mov [rbx], eax", "8903", { rbx: 0x601ffen }, { trap: "#PF(7) 602000" }],
  ["db 0xc6, 0xc8, 1 ; group 11 /1", "c6c801", {}, { trap: "#UD" }],
]);

rows(64, "extensions", [
  ["movzx eax, bl", "0fb6c3", { rax: ONES, rbx: 0x1ffn }, { rax: 0xffn }],
  ["movzx ax, ah", "660fb6c4", { rax: 0x5ff00n }, { rax: 0x500ffn }],
  ["movzx r8, bx", "4c0fb7c3", { r8: ONES, rbx: ONES }, { r8: 0xffffn }],
  ["movsx eax, bl", "0fbec3", { rax: ONES, rbx: 0x80n }, { rax: 0xffffff80n }],
  [
    "movsx rax, word [rbx]",
    "480fbf03",
    { rbx: AT, memory: { [DATA]: "0080" } },
    { rax: 0xffffffff_ffff8000n },
  ],
  ["movsx ax, bl", "660fbec3", { rbx: 0x80n }, { rax: 0xff80n }],
  ["movsxd rax, ebx", "4863c3", { rbx: 0x80000000n }, { rax: 0xffffffff_80000000n }],
  ["db 0x63, 0xc3 ; movsxd eax, ebx", "63c3", { rbx: ONES }, { rax: 0xffffffffn }],
  ["cbw", "6698", { rax: 0x1_0080n }, { rax: 0x1_ff80n }],
  ["cwde", "98", { rax: 0xf_00008000n }, { rax: 0xffff8000n }],
  ["cdqe", "4898", { rax: 0x80000000n }, { rax: 0xffffffff_80000000n }],
  ["cwd", "6699", { rax: 0x8000n, rdx: 0x10000n }, { rdx: 0x1ffffn }],
  ["cdq", "99", { rax: 0x7fffffffn, rdx: ONES }, { rdx: 0n }],
  ["cqo", "4899", { rax: 1n << 63n }, { rdx: ONES }],
]);

rows(64, "LEA, XLAT, LAHF, SAHF, CMOVcc, SETcc, MOVBE", [
  ["lea rax, [rbx+rcx*8-1]", "488d44cbff", { rbx: 0x10n, rcx: 2n }, { rax: 0x1fn }],
  ["lea eax, [rbx+rcx]", "8d040b", { rbx: ONES, rcx: 1n, rax: ONES }, { rax: 0n }],
  ["lea rax, [ebx+ecx]", "67488d040b", { rbx: 0xffffffffn, rcx: 2n }, { rax: 1n }],
  ["lea ax, [rbx]", "668d03", { rbx: 0x12345n, rax: ONES }, { rax: 0xffffffff_ffff2345n }],
  ["lea rax, [rel $+0x10]", "488d0509000000", {}, { rax: 0x500010n }],
  ["lea rax, [fs:rbx]", "64488d03", { rbx: 5n }, { rax: 5n }],
  ["db 0x8d, 0xc0 ; lea eax, eax", "8dc0", {}, { trap: "#UD" }],
  ["xlatb", "d7", { rbx: AT, rax: 0x101n, memory: { [DATA]: "aabb" } }, { rax: 0x1bbn }],
  ["lahf", "9f", { flags: "C Z S O" }, { rax: 0xc300n }],
  ["sahf", "9e", { rax: 0xff00n, flags: "O" }, { flags: "C P A Z S O" }],
  ["sahf", "9e", { flags: "C P A Z S" }, { flags: "" }],
  ["cmovz eax, ebx", "0f44c3", { rax: ONES, rbx: 5n }, { rax: 0xffffffffn }],
  ["cmovz ax, bx", "660f44c3", { rax: ONES, rbx: 5n, flags: "Z" }, { rax: 0xffffffff_ffff0005n }],
  ["cmovz eax, [rbx]", "0f4403", { rax: ONES, rbx: 0x400000n }, { trap: "#PF(4) 400000" }],
  ["setle ah", "0f9ec4", { flags: "S" }, { rax: 0x100n }],
  [
    "setg byte [rbx]",
    "0f9f03",
    { rbx: AT, flags: "Z", memory: { [DATA]: "ff" } },
    { memory: { [DATA]: "00" } },
  ],
  [
    "movbe eax, [rbx]",
    "0f38f003",
    { rbx: AT, memory: { [DATA]: "01020304" } },
    { rax: 0x01020304n },
  ],
  [
    "movbe [rbx], ax",
    "660f38f103",
    { rbx: AT, rax: 0x1234n, memory: { [DATA]: "0000" } },
    { memory: { [DATA]: "1234" } },
  ],
]);

rows(16, "16-bit addressing", [
  [
    "mov al, [bx+si]",
    "8a00",
    { rbx: 0x4000n, rsi: 0x10001n, memory: { [DATA]: "0102" } },
    { rax: 2n },
  ],
  ["mov ax, [bx-1]", "8b47ff", { rbx: 0x10n }, { trap: "#PF(4) 5fc00f" }],
  ["mov ax, [0xffff]", "a1ffff", {}, { trap: "#GP(0)" }],
  ["mov ax, [bp]", "8b4600", { rbp: 0x87ffn, memory: { 0x7007ff: "3412" } }, { rax: 0x1234n }],
  ["mov ax, [bp]", "8b4600", { rbp: 0xffffn }, { trap: "#SS(0)" }],
  ["lea ax, [bx+si]", "8d00", { rbx: 0x8001n, rsi: 0x8001n }, { rax: 2n }],
  ["salc", "d6", { rax: 0x100n, flags: "C" }, { rax: 0x1ffn }],
]);
