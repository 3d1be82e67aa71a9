/** `x2vm bench` as users start it: what comes out, in which form. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const MAIN = new URL("../../../bin/x2vm.js", import.meta.url).pathname;
const FOLDER = mkdtempSync(join(tmpdir(), "x2vm-bench-"));
const QUICK = ["--repetitions", "1", "--cpus", "2"];
const ALONE = ["--peers", "none", "--apic", "x2apic", ...QUICK];

function bench(...args: string[]) {
  const { stdout, stderr, status } = spawnSync(process.execPath, [MAIN, "bench", ...args], {
    env: { ...process.env, NO_COLOR: "1" },
    encoding: "utf8",
    input: "",
  });
  return { stdout, stderr, status };
}

/** Without what goes by the clocks of the host. */
function guestSide(record: Record<string, unknown>): Record<string, unknown> {
  const names = Object.keys(record).filter((name) => !/ns|second|timesDry/i.test(name));
  return Object.fromEntries(names.map((name) => [name, record[name]]));
}

describe("x2vm bench ipi", () => {
  it("gives JSON with rows and hot-adds, and the guest's side of it is the same every time", () => {
    const [first, second] = [1, 2].map(() => {
      const { stdout, stderr, status } = bench("ipi", "dry", "ring", "hot-add", ...ALONE, "--json");
      expect([status, stderr]).toEqual([0, ""]); // no progress where there is no terminal
      return JSON.parse(stdout) as {
        rows: Record<string, unknown>[];
        hotAdd: Record<string, unknown>[];
      };
    });
    expect(first!.rows.map(({ pattern }) => pattern)).toEqual(["dry", "ring"]);
    expect(first!.rows[1]).toMatchObject({ apic: "x2apic", cpus: 2, interrupts: 2000001 });
    expect(first!.rows[1]!["timesDryRun"]).toBeGreaterThan(1);
    expect(first!.rows.map(guestSide)).toEqual(second!.rows.map(guestSide));
    expect(first!.hotAdd[0]).toMatchObject({ apic: "x2apic", cpus: 2, apicId: 0x123 });
    expect(first!.hotAdd[0]!["stages"]).toEqual(second!.hotAdd[0]!["stages"]);
  });

  it("gives CSV with a name for each column, and writes a page", () => {
    const page = join(FOLDER, "ipi.html");
    const { stdout } = bench("ipi", "ring", ...ALONE, "--csv", "--html", page);
    const [names, values, end] = stdout.split("\n");
    expect(names).toMatch(/^pattern,apic,cpus,interrupts,ipisPerSecond,nsPerIpi,/);
    expect(values!.split(",")).toHaveLength(names!.split(",").length);
    expect(end).toBe("");
    expect(readFileSync(page, "utf8")).toMatch(/^<!doctype html>/);
  });

  it("says which cases it leaves out, and why", () => {
    const { stdout, stderr } = bench("ipi", "flat", ...ALONE);
    expect(stderr).toBe("x2vm: flat, 2 CPUs, x2apic: is for xapic mode\n");
    expect(stdout).toMatch(/^Policy kvm\./);
  });
});

describe("x2vm bench scale", () => {
  it("gives JSON with a row for each number of CPUs, and writes a page", () => {
    const page = join(FOLDER, "scale.html");
    const { stdout, status } = bench("scale", ...QUICK, "--json", "--html", page);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      rows: [{ cpus: 2, wakeAllMs: { median: expect.any(Number) } }],
      sparse: [{ cpus: 2, denseNs: { median: expect.any(Number) } }],
    });
    expect(readFileSync(page, "utf8")).toContain("from two CPUs to a million");
  });
});

describe("x2vm bench dispatch", () => {
  it("gives JSON with a row for each pattern", () => {
    const { stdout, status } = bench("dispatch", ...QUICK, "--json");
    expect(status).toBe(0);
    const rows = JSON.parse(stdout) as { pattern: string; cpus: number }[];
    expect(rows.map(({ pattern, cpus }) => [pattern, cpus])).toEqual([
      ["unicast", 2],
      ["cluster", 2],
      ["broadcast", 2],
    ]);
  });
});

describe("x2vm bench", () => {
  it.each([
    [["ipi", "shout"], 'There is no pattern "shout"'],
    [["ipi", "--cpus", "5000"], "5000 is not from 1 to 4096"],
    [["ipi", "--apic", "x3apic"], "neither xapic nor x2apic"],
    [["ipi", "--peers", "all"], "neither auto nor none"],
    [["ipi", "--html", join(FOLDER, "no/such/folder")], "there is no such file"],
    [["scale", "--cpus", "1"], "1 is not from 2 to 1048576"],
    [["dispatch", "--repetitions", "0"], "at least 1"],
  ])("%j is answered by a sentence, with exit status 2", (args, words) => {
    const { stdout, stderr, status } = bench(...args);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^x2vm: .*\n$/);
    expect(stderr).toContain(words);
    expect(status).toBe(2);
  });
});
