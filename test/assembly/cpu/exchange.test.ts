import { DATA } from "../../silicon/environment.js";
import { rows } from "./rows.js";

const AT = BigInt(DATA);

rows(64, "XCHG, XADD, BSWAP", [
  ["xchg eax, ebx", "93", { rax: 0x1_00000002n, rbx: 0x3_00000004n }, { rax: 4n, rbx: 2n }],
  ["db 0x87, 0xc0 ; xchg eax, eax", "87c0", { rax: 0x1_00000002n }, { rax: 2n }],
  ["nop", "90", { rax: 0x1_00000002n }, {}],
  ["db 0x41, 0x90 ; xchg r8d, eax", "4190", { rax: 1n, r8: 0x5_00000002n }, { rax: 2n, r8: 1n }],
  ["db 0xf3, 0x41, 0x90 ; pause", "f34190", { rax: 1n, r8: 2n }, {}],
  ["xchg ah, al", "86e0", { rax: 0x1234n }, { rax: 0x3412n }],
  [
    "xchg [rbx], rbx",
    "48871b",
    { rbx: AT, memory: { [DATA]: "0807060504030201" } },
    { rbx: 0x0102030405060708n, memory: { [DATA]: "0000600000000000" } },
  ],
  [
    "xadd eax, ebx",
    "0fc1d8",
    { rax: 7n, rbx: 0x1_ffffffffn },
    { rax: 6n, rbx: 7n, flags: "C P A" },
  ],
  ["xadd eax, eax", "0fc1c0", { rax: 0x40000000n }, { rax: 0x80000000n, flags: "P S O" }],
  [
    "xadd [rbx], rbx",
    "480fc11b",
    { rbx: AT, memory: { [DATA]: "0100000000000000" } },
    { rbx: 1n, flags: "", memory: { [DATA]: "0100600000000000" } },
  ],
  ["bswap eax", "0fc8", { rax: 0xff_12345678n }, { rax: 0x78563412n }],
  ["bswap r8", "490fc8", { r8: 0x0102030405060708n }, { r8: 0x0807060504030201n }],
]);

rows(64, "CMPXCHG", [
  ["cmpxchg ebx, ecx", "0fb1cb", { rax: 5n, rbx: 5n, rcx: 9n }, { rbx: 9n, flags: "P Z" }],
  [
    "cmpxchg ebx, ecx",
    "0fb1cb",
    { rax: 0xf_00000005n, rbx: 0xa_00000006n, rcx: 9n },
    { rax: 6n, flags: "C P A S" },
  ],
  [
    "cmpxchg ebx, ecx",
    "0fb1cb",
    { rax: 0xf_00000005n, rbx: 0xa_00000005n, rcx: 9n },
    { rbx: 9n, flags: "P Z" },
  ],
  [
    "cmpxchg [rax], cl",
    "0fb008",
    { rax: AT, rcx: 9n, memory: { [DATA]: "33" } },
    { rax: AT + 0x33n, flags: "C S A", memory: { [DATA]: "33" } },
  ],
  ["cmpxchg [rbx], cl", "0fb00b", { rbx: 0x602000n, rax: 1n }, { trap: "#PF(7) 602000" }],
]);

rows(64, "CMPXCHG8B, CMPXCHG16B", [
  [
    "cmpxchg8b [rsi]",
    "0fc70e",
    {
      rsi: AT,
      rax: 1n,
      rdx: 2n,
      rbx: 3n,
      rcx: 4n,
      memory: { [DATA]: "0100000002000000" },
      flags: "C",
    },
    { flags: "C Z", memory: { [DATA]: "0300000004000000" } },
  ],
  [
    "cmpxchg8b [rsi]",
    "0fc70e",
    {
      rsi: AT,
      rax: 0xf_00000000n,
      rdx: 0xf_00000000n,
      memory: { [DATA]: "0100000002000000" },
      flags: "Z S",
    },
    { rax: 1n, rdx: 2n, flags: "S" },
  ],
  [
    "cmpxchg16b [rsi]",
    "480fc70e",
    {
      rsi: AT,
      rax: 1n,
      rdx: 2n,
      rbx: 3n,
      rcx: 4n,
      memory: { [DATA]: "01000000000000000200000000000000" },
    },
    { flags: "Z", memory: { [DATA]: "03000000000000000400000000000000" } },
  ],
  ["cmpxchg16b [rsi]", "480fc70e", { rsi: AT + 8n }, { trap: "#GP(0)" }],
  ["db 0x0f, 0xc7, 0xc8 ; cmpxchg8b of a register", "0fc7c8", {}, { trap: "#UD" }],
]);
