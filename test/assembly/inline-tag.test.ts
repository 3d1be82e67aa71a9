/** What the tags of doc comments do to calls: a step of the build, assembly/inline-tag.mjs. */
import { main } from "assemblyscript/asc";
import { describe, expect, it } from "vitest";

const BODY = "{ return a % 7 === 3 ? a * a : a ^ 0x5a5a; }";

/** Compiles a function with this doc comment, and callers of it, as the core is compiled. @returns the text of the module */
async function compile(comment: string, callers: number): Promise<string> {
  const calls = Array.from(
    { length: callers },
    (_, n) => `export function caller${n}(a: i32): i32 { return callee(a + ${n}) - a; }`,
  );
  const source = `${comment}\nfunction callee(a: i32): i32 ${BODY}\n${calls.join("\n")}\n`;
  let text = "";
  const { error } = await main(
    // prettier-ignore
    ["assembly/tagged.ts", "-O3", "--noAssert", "--runtime", "stub", "--textFile", "out.wat", "--debug",
      "--transform", "./assembly/inline-tag.mjs"],
    {
      readFile: (name) => (name === "assembly/tagged.ts" ? source : null),
      writeFile: (_name, contents) => {
        if (typeof contents === "string") text = contents;
      },
      listFiles: () => [],
    },
  );
  expect(error).toBeNull();
  return text;
}

const calls = (text: string): number =>
  [...text.matchAll(/call \$assembly\/tagged\/callee/g)].length;

describe("a function", () => {
  it.each([
    ["without a tag is inlined into its only caller", "", 1, 0],
    ["with @noinline is called there", "/** @noinline */", 1, 1],
    ["with @inline is inlined into every caller", "/** @inline */", 9, 0],
    ["with @noinline is called by all", "/** Seldom. @returns a number @noinline */", 9, 9],
  ])("%s", async (_, comment, callers, expected) => {
    expect(calls(await compile(comment, callers))).toBe(expected);
  });
});
