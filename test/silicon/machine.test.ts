import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it, vi } from "vitest";
import { Translator } from "../../src/translate/translator.js";
import { MachineTarget } from "./machine-target.js";
import { readSiliconFile } from "./reader.js";
import { disagreements, runSiliconFile } from "./runner.js";
import { runsTranslated, TranslatedTarget } from "./translated-target.js";

const DIRECTORY = new URL(".", import.meta.url);
const FILES = ["amd", "intel"].flatMap((maker) =>
  readdirSync(new URL(`${maker}/`, DIRECTORY)).map((name) => `${maker}/${name}`),
);
const open = (name: string) => readSiliconFile(readFileSync(new URL(name, DIRECTORY)));

const BUILDS = ["release", "debug"] as const;
const RUNS = BUILDS.flatMap((build) => FILES.map((file) => [build, file] as const));

describe("the machine", () => {
  it.each(RUNS)("%s core: does what the silicon did in %s", async (build, file) => {
    const target = await MachineTarget.create(build);
    expect(disagreements(runSiliconFile(open(file), target))).toBe("");
  });
});

/** Translating costs a millisecond a vector: of each form one in so many; 1 runs them all. */
const STRIDE = Number(process.env["X2VM_SILICON_STRIDE"] ?? 8);

describe("translated code", () => {
  const files = FILES.filter((name) => !/16|random/.test(name));
  it.each(files)(
    `does what the silicon did in %s (one vector in ${STRIDE})`,
    async (file) => {
      const target = await TranslatedTarget.create("release");
      const translate = vi.spyOn(Translator.prototype, "translate");
      const reports = runSiliconFile(
        open(file),
        target,
        (vector) => vector.index % STRIDE === 0 && runsTranslated(vector),
      );
      expect(disagreements(reports)).toBe("");
      const regions = translate.mock.results.filter(({ value }) => value >= 0).length;
      translate.mockRestore();
      expect(regions).toBeGreaterThanOrEqual(reports.reduce((sum, { total }) => sum + total, 0));
    },
    1_800_000,
  );
});
