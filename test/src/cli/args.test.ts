import { describe, expect, it } from "vitest";
import {
  parseApicIds,
  parseCount,
  parseHotplug,
  parseInput,
  parseNumber,
  parseSize,
  parseTime,
} from "../../../src/cli/args.js";

const OPTION = "--option";

/** The value, or the sentence of the refusal. */
function outcome(parse: (text: string, what: string) => unknown, text: string): unknown {
  try {
    return parse(text, OPTION);
  } catch (error) {
    expect(error).toMatchObject({ code: "USAGE" });
    return (error as Error).message;
  }
}

function refused(text: string): unknown {
  return expect.stringMatching(
    new RegExp(`^--option: "${text.replace(/[.*+?^$()[\]\\]/g, "\\$&")}" is not `),
  );
}

describe.each([
  [
    "parseNumber",
    parseNumber,
    [
      ["0", 0],
      ["4", 4],
      ["0x123", 0x123],
      ["0XFF", 255],
    ],
    ["", "-1", "1.5", "x", "0x", "1e3", " 1", "0x20000000000000"],
  ],
  [
    "parseSize",
    parseSize,
    [
      ["4096", 4096],
      ["0x1000", 4096],
      ["64M", 64 * 2 ** 20],
      ["64m", 64 * 2 ** 20],
      ["2G", 2 ** 31],
      ["1.5k", 1536],
    ],
    ["", "M", "64MB", "-1M", "1.0001k", "64 M"],
  ],
  [
    "parseCount",
    parseCount,
    [
      ["5", 5],
      ["200M", 200e6],
      ["2G", 2e9],
      ["1k", 1000],
    ],
    ["", "many", "-5", "1.5"],
  ],
  [
    "parseTime",
    parseTime,
    [
      ["500ns", 500],
      ["20us", 20e3],
      ["2ms", 2e6],
      ["1.5s", 1.5e9],
      ["2MS", 2e6],
    ],
    ["", "2", "2m", "ms", "-2ms", "2 ms"],
  ],
  [
    "parseApicIds",
    parseApicIds,
    [
      ["0", [0]],
      ["0,0x23,0x123", [0, 0x23, 0x123]],
      ["0, 1", [0, 1]],
    ],
    ["x", "-1"],
  ],
  [
    "parseHotplug",
    parseHotplug,
    [
      ["0x123@2ms", { apicId: 0x123, moment: { ns: 2e6 } }],
      ["5@0ns", { apicId: 5, moment: { ns: 0 } }],
      ["0x123@/login:/", { apicId: 0x123, moment: { line: /login:/ } }],
      ["0x123@/a@b$/i", { apicId: 0x123, moment: { line: /a@b$/i } }],
    ],
    ["0x123", "0x123@"],
  ],
  [
    "parseInput",
    parseInput,
    [
      ["root\\n@2ms", { text: "root\n", moment: { ns: 2e6 } }],
      ["a@b@/login:/", { text: "a@b", moment: { line: /login:/ } }],
      ["\\x03\\\\\\t\\e@0ns", { text: "\x03\\\t\x1b", moment: { ns: 0 } }],
    ],
    ["root", "root@"],
  ],
] as const)("%s", (_, parse, good, bad) => {
  it.each(good.map(([text, value]) => [text, value] as const))("takes %s", (text, value) => {
    expect(outcome(parse, text)).toEqual(value);
  });

  it.each(bad.map((text) => [text]))("refuses '%s'", (text) => {
    expect(outcome(parse, text)).toEqual(refused(text));
  });
});

describe("lists and pairs", () => {
  it.each([
    [parseApicIds, "0,,1", '--option: "" is not a whole number'],
    [parseApicIds, "0,1x", '--option: "1x" is not a whole number'],
    [parseHotplug, "x@2ms", '--option: "x" is not a whole number'],
    [parseHotplug, "1@2", '--option: "2" is not a time'],
    [parseHotplug, "1@2ms@3ms", '--option: "2ms@3ms" is not a time'],
    [parseHotplug, "1@/(/", "--option: /(/ is not a regular expression"],
    [parseInput, "x@/[/", "--option: /[/ is not a regular expression"],
  ])("name the part that is wrong", (parse, text, words) => {
    expect(outcome(parse, text)).toContain(words);
  });
});
