/** What lets a page load the library as it is, without a bundler. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const IMPORT = /^(?:import|export)\b[^;]*?from\s+"([^"]+)"|^import\s+"([^"]+)"/gm;

/** Specifiers of all static imports that are not of types, of a module and of those that it imports. */
function staticImports(module: URL, seen = new Map<string, string[]>()): Map<string, string[]> {
  if (seen.has(module.href)) return seen;
  const found = [...readFileSync(module, "utf8").matchAll(IMPORT)]
    .filter(([text]) => !/^(?:import|export) type\b/.test(text))
    .map(([, from, bare]) => (from ?? bare)!);
  seen.set(module.href, found);
  for (const specifier of found.filter((each) => each.startsWith(".")))
    staticImports(new URL(specifier.replace(/\.js$/, ".ts"), module), seen);
  return seen;
}

describe("the library", () => {
  const imports = staticImports(new URL("../../src/index.ts", import.meta.url));

  it("is more than its entry", () => {
    expect(imports.size).toBeGreaterThan(50);
  });

  it("imports no package and nothing of Node until it is needed", () => {
    expect([...imports].filter(([, found]) => found.some((each) => !each.startsWith(".")))).toEqual(
      [],
    );
  });
});
