/** The program as users start it: the built one. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CLI, HLT, SPIN, bootSector, exit, out8, outDx8, say } from "../guest-code.js";

const MAIN = new URL("../../../bin/x2vm.js", import.meta.url).pathname;
const FOLDER = mkdtempSync(join(tmpdir(), "x2vm-"));

function x2vm(...args: string[]) {
  const { stdout, stderr, status } = spawnSync(process.execPath, [MAIN, ...args], {
    // CI systems ask for colours.
    env: { ...process.env, NO_COLOR: "1" },
    encoding: "utf8",
    input: "",
  });
  return { stdout, stderr, status };
}

function image(name: string, ...code: number[]): string {
  const path = join(FOLDER, name);
  writeFileSync(path, bootSector(...code));
  return path;
}

/** mov cx, 0xffff; loop to itself */
const DELAY = [0xb9, 0xff, 0xff, 0xe2, 0xfe];

const HELLO = image("hello.img", ...say("hello\n"), ...exit(0x10));
const IDLE = image("idle.img", CLI, HLT);
const SPINNING = image("spin.img", ...SPIN);
const TEXT = join(FOLDER, "text.txt");
writeFileSync(TEXT, "not an image");

describe("x2vm run", () => {
  it("prints the serial output, a summary line on stderr, and has the guest's exit code", () => {
    const { stdout, stderr, status } = x2vm("run", HELLO);
    expect(stdout).toBe("hello\n");
    expect(stderr).toMatch(
      /^x2vm: guest exit code 33 · 20 instructions · 20 ns virtual · .* wall · .* MIPS\n$/,
    );
    expect(status).toBe(33);
  });

  it("gives the same as one JSON document", () => {
    const { stdout, status } = x2vm("run", HELLO, "--json", "--apic-ids", "0,0x123");
    expect(JSON.parse(stdout)).toMatchObject({
      image: HELLO,
      reason: "exit",
      exitCode: 33,
      instructions: 20,
      virtualNs: 20,
      stateHash: expect.stringMatching(/^[0-9a-f]{32}$/),
      cpus: [
        { vcpuIndex: 0, apicId: 0, runState: "runnable", instructions: 20 },
        { vcpuIndex: 1, apicId: 0x123, runState: "uninitialized", instructions: 0 },
      ],
      serial: "hello\n",
    });
    expect(status).toBe(33);
  });

  it("shows the text screen of a guest that prints nothing, and of others on request", () => {
    // mov ax, b800h; mov ds, ax; mov word [0], 0748h
    const write = [0xb8, 0x00, 0xb8, 0x8e, 0xd8, 0xc7, 0x06, 0x00, 0x00, 0x48, 0x07];
    const silent = image("screen.img", ...write, CLI, HLT);
    const other = image("both.img", ...write, ...say("A\n"), CLI, HLT);
    expect(x2vm("run", silent).stdout).toBe("H\n");
    expect(x2vm("run", other).stdout).toBe("A\n");
    expect(x2vm("run", other, "--screen").stdout).toBe("A\nH\n");
    expect(JSON.parse(x2vm("run", other, "--json").stdout)).toMatchObject({ screen: ["H"] });
  });

  it("tells the last POST code, in the summary only of a guest that prints nothing", () => {
    const silent = image("post.img", ...out8(0x80, 0x12), ...out8(0x80, 0x0f), CLI, HLT);
    const other = image("post-and-say.img", ...out8(0x80, 0x12), ...say("A\n"), CLI, HLT);
    expect(x2vm("run", silent).stderr).toMatch(/^x2vm: idle.* MIPS · POST code 0x0f\n$/);
    expect(x2vm("run", other).stderr).toMatch(/^x2vm: idle.* MIPS\n$/);
    expect(JSON.parse(x2vm("run", other, "--json").stdout)).toMatchObject({ postCode: 0x12 });
    expect(JSON.parse(x2vm("run", IDLE, "--json").stdout)).toMatchObject({ postCode: null });
  });

  it("puts the debug console where it is asked to", () => {
    const code = [...out8(0xe9, 0x42), ...outDx8(0x402, 0x0a), ...say("A\n"), CLI, HLT];
    const guest = image("debug.img", ...code);
    const path = join(FOLDER, "debug.txt");
    expect(x2vm("run", guest).stdout).toBe("A\n");
    expect(x2vm("run", guest, "--debug-console", "-").stdout).toBe("B\nA\n");
    expect(x2vm("run", guest, "--debug-console", path).stdout).toBe("A\n");
    expect(readFileSync(path, "utf8")).toBe("B\n");
  });

  it.each([
    [[SPINNING, "--max-instructions", "1k"], "instruction limit reached · 1,000 instructions", 0],
    [
      [SPINNING, "--max-time", "2us"],
      "time limit reached · 2,000 instructions · 2.00 µs virtual",
      0,
    ],
    [[IDLE], "idle: every CPU waits and no timer is armed · 2 instructions", 0],
    [[IDLE, "--hotplug", "0x123@2ms", "--no-reboot"], "2.00 ms virtual", 0],
    [[HELLO, "--debug-core"], "guest exit code 33", 33],
    [
      [HELLO, "--load-address", "0x8000", "--memory", "1M", "--seed", "5"],
      "guest exit code 33",
      33,
    ],
  ])("%j ends: %s", (args, words, expected) => {
    const { stderr, status } = x2vm("run", ...args);
    expect(stderr).toContain(words);
    expect(status).toBe(expected);
  });

  it("reports a triple fault and exits with 1", () => {
    // lidt [0x1000], where zeros are; ud2
    const { stderr, status } = x2vm(
      "run",
      image("crash.img", 0x0f, 0x01, 0x1e, 0x00, 0x10, 0x0f, 0x0b),
    );
    expect(stderr).toContain("Triple fault on CPU 0x00 in real mode");
    expect(stderr).toContain("Last instructions");
    expect(stderr).toContain("x2vm: triple fault on CPU 0x00");
    expect(status).toBe(1);
  });

  it("writes the events of the APICs to a file", () => {
    const trace = join(FOLDER, "trace.jsonl");
    const guest = new URL("../../../guests/hotplug.bin", import.meta.url).pathname;
    x2vm("run", guest, "--apic-ids", "0,0x23", "--hotplug", "0x123@2ms", "--trace", trace);
    const events = readFileSync(trace, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events[0]).toMatchObject({
      kind: "message",
      number: 1,
      sender: 0,
      deliveryMode: 5,
      dest: 0x23,
    });
    expect(events[0].text).toContain("INIT to physical 0x23");
    expect(events.map(({ kind }) => kind)).toContain("other");
  });

  it("tampers with messages as it is told, and shows it in the trace", () => {
    const trace = join(FOLDER, "faults.jsonl");
    const guest = new URL("../../../guests/hotplug.bin", import.meta.url).pathname;
    const hotplug = ["--apic-ids", "0,0x23", "--hotplug", "0x123@2ms"];
    const faults = ["--fault", "drop:INIT,dest=0x123", "--fault", "delay:NMI@10us,sender=0x123"];
    const { stdout } = x2vm("run", guest, ...hotplug, ...faults, "--trace", trace);
    expect(stdout).toContain("FAIL woke");
    const texts = readFileSync(trace, "utf8").match(/"text":"[^"]*"/g)!;
    expect(texts.filter((text) => text.includes("by rule"))).toEqual([
      expect.stringContaining("0x0: INIT to physical 0x123, dropped by rule 0"),
    ]);
  });

  it("tells what happens to a CPU that comes, on stderr, unless it shall not", () => {
    const args = ["run", IDLE, "--hotplug", "0x123@2ms"];
    const possible = [...args, "--possible-apic-ids", "0x123"];
    expect(x2vm(...possible).stderr).toContain("▸  0.002000000  0x123  added by the host\n");
    expect(x2vm(...possible, "--no-events").stderr).toMatch(/^x2vm: idle.*\n$/);
    expect(x2vm(...possible, "--quiet").stderr).toBe("");
    const { events } = JSON.parse(x2vm(...possible, "--json").stdout);
    expect(events).toEqual([
      { kind: "added", apicId: 0x123, virtualNs: 2e6, text: "added by the host" },
    ]);
  });

  it("boots again when the guest resets the machine, with the CPUs that are there now", () => {
    const resetting = image("reset.img", ...say("boot\n"), ...DELAY, ...outDx8(0xcf9, 0x06));
    const args = ["run", resetting, "--hotplug", "0x123@1ns", "--max-instructions", "1M"];
    const once = x2vm(...args, "--no-reboot");
    expect([once.stdout, once.status]).toEqual(["boot\n", 0]);
    expect(once.stderr).toContain("guest asked for a reset");
    const again = x2vm(...args);
    expect(again.stdout).toMatch(/^(boot\n){5,}$/);
    expect(again.stderr).toContain("instruction limit reached · 1,000,000 instructions");
    expect(again.stderr.match(/added by the host/g)).toHaveLength(1);
    const { cpus } = JSON.parse(x2vm(...args, "--json").stdout);
    expect(cpus.map(({ apicId }: { apicId: number }) => apicId)).toEqual([0, 0x123]);
  });

  it("types what it is told when a line of the console matches", () => {
    const echo = [
      0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xfb, 0xba, 0xf8, 0x03, 0xec, 0xee, 0xeb, 0xf1,
    ];
    const guest = image("prompt.img", ...say("name? "), ...echo);
    const { stdout } = x2vm("run", guest, "--type", "x2vm\\n@/name[?] /", "--max-time", "1ms");
    expect(stdout).toBe("name? x2vm\n");
  });

  it("feeds a file to the serial port", () => {
    const echo = [
      0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xfb, 0xba, 0xf8, 0x03, 0xec, 0xee, 0xeb, 0xf1,
    ];
    const { stdout } = x2vm(
      "run",
      image("echo.img", ...echo),
      "--input",
      TEXT,
      "--max-instructions",
      "1k",
    );
    expect(stdout).toBe("not an image");
  });
});

describe("a mistake", () => {
  // arguments, words of the sentence
  it.each([
    [["run"], "missing required argument 'image'"],
    [["rnu"], "unknown command 'rnu'"],
    [["run", HELLO, "--colour"], "unknown option '--colour'"],
    [["run", join(FOLDER, "none.bin")], "none.bin: there is no such file"],
    [["run", FOLDER], "it is a directory"],
    [["run", TEXT], "text.txt: neither a Linux or Multiboot kernel nor a boot sector"],
    [["run", HELLO, "--cpus", "many"], '--cpus: "many" is not a whole number'],
    [["run", HELLO, "--cpus", "0"], "cpus is 0"],
    [["run", HELLO, "--cpus", "2", "--apic-ids", "0,1"], "either --cpus or --apic-ids"],
    [["run", HELLO, "--apic-ids", "0,0"], "0x0 is given twice"],
    [["run", HELLO, "--apic-ids", "0,0xffffffff"], "addresses all CPUs"],
    [["run", HELLO, "--memory", "3G"], "memoryBytes is 3221225472"],
    [["run", HELLO, "--memory", "lots"], '--memory: "lots" is not a size'],
    [["run", HELLO, "--memory", "16k"], "lies outside the 0x4000 bytes"],
    [["run", HELLO, "--append", "x"], "a command line is for Multiboot and Linux kernels"],
    [["run", HELLO, "--initrd", join(FOLDER, "none")], "there is no such file"],
    [["run", HELLO, "--format", "iso"], '"iso" is not an image format'],
    [["run", HELLO, "--load-address", "here"], '--load-address: "here" is not a whole number'],
    [["run", HELLO, "--policy", "vmware"], 'no policy "vmware"'],
    [["run", HELLO, "--hotplug", "0x123"], "is not an APIC ID and a moment"],
    [
      ["run", SPINNING, "--hotplug", "0@1us", "--max-time", "1ms"],
      "belongs to a CPU that is already there",
    ],
    [
      ["run", SPINNING, "--hotplug", "0x123@1us", "--policy", "kvm-legacy", "--max-time", "1ms"],
      "CPU 0x123 could never be woken",
    ],
    [["run", HELLO, "--hotplug", "0x123@/(/"], "/(/ is not a regular expression"],
    [["run", HELLO, "--hotplug", "1@1s", "--max-cpus", "1"], "may come: none"],
    [
      ["run", HELLO, "--hotplug", "9@1s", "--possible-apic-ids", "0x123,5"],
      "--hotplug: 0x9 is not among the CPUs that may come: 0x123, 0x5",
    ],
    [["run", HELLO, "--cpus", "4", "--max-cpus", "2"], "not a number from 4"],
    [["run", HELLO, "--unplug", "0@1s"], "CPU 0x0 boots the machine and cannot be unplugged"],
    [["run", HELLO, "--unplug", "7@1s"], "CPU 0x7 is neither there from the start nor added"],
    [["run", HELLO, "--unplug", "7"], "is not an APIC ID and a moment"],
    [["run", HELLO, "--type", "text"], "is not a text and a moment"],
    [["run", HELLO, "--fault", "lose:3"], 'no action "lose"'],
    [["run", HELLO, "--fault", "drop,sender=0x99"], "No CPU has APIC ID 0x99"],
    [["run", HELLO, "--max-instructions", "x"], '--max-instructions: "x" is not a count'],
    [["run", HELLO, "--seed", "-1"], '--seed: "-1" is not a whole number'],
    [["run", HELLO, "--trace", join(FOLDER, "no", "such", "folder")], "there is no such file"],
  ])("%j is answered by a sentence, without a stack, with exit status 2", (args, words) => {
    const { stderr, status } = x2vm(...args);
    expect(stderr).toContain(words);
    expect(stderr).not.toMatch(/^ {4}at /m);
    expect(status).toBe(2);
  });
});

describe("help", () => {
  it.each([
    [["--help"], "x2vm start"],
    [["run", "--help"], "--hotplug 0x123@2ms"],
    [["run", "--help"], "delay:INIT@10us"],
    [["start", "--help"], "hot-add"],
    [["help", "run"], "Multiboot"],
    [["--version"], "0.1.0"],
  ])("%j teaches, with exit status 0", (args, words) => {
    const { stdout, status } = x2vm(...args);
    expect(stdout).toContain(words);
    expect(status).toBe(0);
  });
});

describe("x2vm start", () => {
  it("shows the headline experiment and what other policies make of it", () => {
    const { stdout, status } = x2vm("start");
    expect(stdout).toContain("PASS woke");
    expect(stdout).toMatch(/INIT .*│ 2\.00 ms +│ 0x00 +│ no /);
    expect(stdout).toMatch(/│ 0x123 │ yes /);
    expect(stdout).toMatch(/^kvm-legacy +INIT to 0x123 reaches nobody, not 0x123/m);
    expect(stdout).toMatch(/^knl +the same CPUs wake/m);
    expect(status).toBe(0);
  });
});
