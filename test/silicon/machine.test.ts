import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { MachineTarget } from "./machine-target.js";
import { readSiliconFile } from "./reader.js";
import { disagreements, runSiliconFile } from "./runner.js";

const DIRECTORY = new URL(".", import.meta.url);
const FILES = readdirSync(DIRECTORY).filter((name) => name.endsWith(".bin"));
const open = (name: string) => readSiliconFile(readFileSync(new URL(name, DIRECTORY)));

const BUILDS = ["release", "debug"] as const;
const RUNS = BUILDS.flatMap((build) => FILES.map((file) => [build, file] as const));

describe("the machine", () => {
  it.each(RUNS)("%s core: does what the silicon did in %s", async (build, file) => {
    const target = await MachineTarget.create(build);
    expect(disagreements(runSiliconFile(open(file), target))).toBe("");
  });
});
