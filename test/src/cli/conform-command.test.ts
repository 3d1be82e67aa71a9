/** `x2vm conform apic` on files that are not as they should be: the sentence, and the exit status. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

const MAIN = new URL("../../../dist/src/cli/main.js", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "x2vm-conform-"));
afterAll(() => rmSync(folder, { recursive: true }));

const GOOD = {
  cpus: [{ id: 0, mode: "x2" }],
  from: 0,
  dest: 0,
  dlv: 4,
  result: { acc: [0], ret: null, mpAfter: [0] },
};
const line = (changes: object = {}): string => `${JSON.stringify({ ...GOOD, ...changes })}\n`;

/** @returns exit status and what was said, without the folder's name */
function conform(content: string | Uint8Array, ...args: string[]): [number | null, string] {
  const file = join(folder, "v.jsonl");
  writeFileSync(file, content);
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [MAIN, "conform", "apic", file, ...args],
    { encoding: "utf8" },
  );
  return [status, (stdout + stderr).replaceAll(`${folder}/`, "").trim()];
}

describe("x2vm conform apic", () => {
  it.each<[string, string | Uint8Array, number, string]>([
    ["agrees", line(), 0, "all 1 scenarios agree"],
    ["names file and line", `${line()}\n{`, 2, "x2vm: v.jsonl:3: not a JSON object"],
    [
      "names the field",
      line({ dest: "0x23" }),
      2,
      'x2vm: v.jsonl:1: dest is "0x23", not an integer in 0..4294967295',
    ],
    [
      "names the CPU",
      line() + line({ cpus: [{ id: 0, mode: "q" }] }),
      2,
      'x2vm: v.jsonl:2: cpus[0]: mode is "q", not x, x2 or off',
    ],
    ["refuses a file without scenarios", "\n\n", 2, "x2vm: v.jsonl holds no scenario."],
    [
      "refuses what is no text",
      Uint8Array.of(0xff, 0xfe, 0),
      2,
      "x2vm: v.jsonl:1: not a JSON object",
    ],
  ])("%s", (_, content, status, sentence) => {
    expect(conform(content)).toEqual([status, sentence]);
  });

  it("shows what differs, and exits with 1", () => {
    const wrong = line({ result: { ...GOOD.result, acc: [] } });
    const [status, text] = conform(line() + wrong);
    expect(status).toBe(1);
    expect(text).toContain("line 2: acc differs");
    expect(text).toContain("1 of 2 scenarios agree, 1 differ");
  });

  it("gives the same as JSON", () => {
    const [status, text] = conform(line({ result: { ...GOOD.result, acc: [] } }), "--json");
    expect(status).toBe(1);
    expect(JSON.parse(text)).toMatchObject({ total: 1, agreed: 0, disagreements: [{ line: 1 }] });
  });

  it.each([
    [["--show", "-1"], '--show: "-1" is not a whole number'],
    [["--show", "x"], '--show: "x" is not a whole number'],
    [["another.jsonl"], "too many arguments"],
    [["--nope"], "unknown option '--nope'"],
  ])("refuses %j", (args, sentence) => {
    const [status, text] = conform(line(), ...args);
    expect(status).toBe(2);
    expect(text).toContain(sentence);
  });
});
