import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { MachineTarget } from "./machine-target.js";
import { readSiliconFile } from "./reader.js";
import { disagreements, runSiliconFile } from "./runner.js";

const DIRECTORY = new URL(".", import.meta.url);
const FILES = readdirSync(DIRECTORY).filter((name) => name.endsWith(".bin"));
const open = (name: string) => readSiliconFile(readFileSync(new URL(name, DIRECTORY)));

/** Forms of SSE4, which the core does not offer yet. */
const PENDING_FORMS =
  /^(66 0f 38 (1[0457]|2|3|4)|movntdqa|pblendw|blendp|pextr[bdq]|pextrw Ew|extractps|pinsr[bdq]|insertps|mpsadbw|round|dpp|pcmp[ei]str|crc32)/;

const BUILDS = ["release", "debug"] as const;
const RUNS = BUILDS.flatMap((build) => FILES.map((file) => [build, file] as const));

describe("the machine", () => {
  it.each(RUNS)("%s core: does what the silicon did in %s", async (build, file) => {
    const target = await MachineTarget.create(build);
    const accept = ({ name }: { name: string }) => !PENDING_FORMS.test(name);
    expect(disagreements(runSiliconFile(open(file), target, accept))).toBe("");
  });
});
