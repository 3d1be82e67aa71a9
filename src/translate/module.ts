/** The WebAssembly module around one translated region. */
import { Code } from "./code.js";
import { F32, F64, I32, I64, V128 } from "./wasm.js";

/** What a region imports from the core, in the order of the function indices. */
export const IMPORTS = [
  "regionRead",
  "regionWrite",
  "regionExecute",
  "regionFlags",
  "regionDivide",
  "regionRemainder",
  "regionControl",
  "regionWriteMsr",
  "regionInterruptReturn",
  "regionStore",
  "regionSum",
  "regionProduct",
  "regionQuotient",
  "regionRoot",
  "regionOrder",
  "regionStoreDouble",
  "regionStoreSingle",
  "regionStoreInteger",
] as const;

/** Index of an imported function. */
export const CALL = {
  read: 0,
  write: 1,
  execute: 2,
  flags: 3,
  divide: 4,
  remainder: 5,
  control: 6,
  writeMsr: 7,
  interruptReturn: 8,
  store: 9,
  sum: 10,
  product: 11,
  quotient: 12,
  root: 13,
  order: 14,
  storeDouble: 15,
  storeSingle: 16,
  storeInteger: 17,
} as const;

/** Types of the functions: of each import, then of the region. */
const TYPES: readonly { readonly from: readonly number[]; readonly to: readonly number[] }[] = [
  { from: [I32, I64, I32, I32], to: [I32] },
  { from: [I32, I64, I32], to: [I32] },
  { from: [I32, I32, I32], to: [I32] },
  { from: [I32, I32, I64, I64, I64], to: [] },
  { from: [I64, I64, I64], to: [I64] },
  { from: [], to: [I64] },
  { from: [I32, I32], to: [I32] },
  { from: [I32, I32, I64, I32], to: [I32] },
  { from: [I32, I64], to: [I32] },
  { from: [I32, I64, I32, I64, I32], to: [I32] },
  { from: [I32, I32, I32, I64, I32, I64], to: [I32] },
  { from: [I32, I32, I32, I64, I32, I64], to: [I32] },
  { from: [I32, I32, I32, I64, I32, I64], to: [I32] },
  { from: [I32, I32, I32, I64], to: [I32] },
  { from: [I32, I64, I32, I64], to: [I32] },
  { from: [I32, I32, I32, I64], to: [I32] },
  { from: [I32, I32, I32, I64], to: [I32] },
  { from: [I32, I32, I32, I64, I32], to: [I32] },
  { from: [I32, I32], to: [I32] },
];

/** Names under which a module imports and exports. */
export const IMPORT_MODULE = "core";
export const IMPORT_MEMORY = "memory";
export const EXPORT_REGION = "region";

/** Numbers of locals by type, in the order in which a function declares them. */
export interface Locals {
  readonly i32: number;
  readonly i64: number;
  readonly f32: number;
  readonly f64: number;
  readonly v128: number;
}

const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const FUNCTION = 0x60;

function name(code: Code, text: string): Code {
  code.unsigned(text.length);
  for (const character of text) code.op(character.charCodeAt(0));
  return code;
}

function section(out: Code, id: number, content: Code): void {
  out.op(id).unsigned(content.bytes.length);
  for (const byte of content.bytes) out.bytes.push(byte);
}

/** @param body - of the region, without its last `end` */
export function moduleOf(body: Code, locals: Locals): Uint8Array<ArrayBuffer> {
  const types = new Code().unsigned(TYPES.length);
  for (const { from, to } of TYPES) {
    types.op(FUNCTION).unsigned(from.length);
    types.op(...from).unsigned(to.length);
    types.op(...to);
  }
  const imports = new Code().unsigned(IMPORTS.length + 1);
  IMPORTS.forEach((each, index) => {
    name(name(imports, IMPORT_MODULE), each).op(0x00).unsigned(index);
  });
  // Shared flag off, minimum 1 page, no maximum of our own.
  name(name(imports, IMPORT_MODULE), IMPORT_MEMORY).op(0x02, 0x00).unsigned(1);
  const functions = new Code().unsigned(1).unsigned(IMPORTS.length);
  const exports = name(new Code().unsigned(1), EXPORT_REGION).op(0x00).unsigned(IMPORTS.length);
  const groups = [
    [locals.i32, I32],
    [locals.i64, I64],
    [locals.f32, F32],
    [locals.f64, F64],
    [locals.v128, V128],
  ].filter(([count]) => count !== 0);
  const head = new Code().unsigned(groups.length);
  for (const [count, type] of groups) head.unsigned(count!).op(type!);
  const size = head.bytes.length + body.bytes.length + 1;
  const code = new Code().unsigned(1).unsigned(size);
  for (const part of [head.bytes, body.bytes]) for (const byte of part) code.bytes.push(byte);
  code.op(0x0b);

  const out = new Code().op(...MAGIC);
  section(out, 1, types);
  section(out, 2, imports);
  section(out, 3, functions);
  section(out, 7, exports);
  section(out, 10, code);
  return Uint8Array.from(out.bytes);
}
