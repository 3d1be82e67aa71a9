/**
 * Nothing of the core's state is forgotten: every module variable and every piece of static or reserved memory is either
 * saved, or listed here with the reason why it need not be. Whoever adds one is asked by this test.
 */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CORE_VARIABLES } from "../../../src/snapshot/core-variables.js";

/** Variables that are no state, by file. */
const OTHERS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  // Set once by `create`, from the options of the machine: where things lie, and who is called.
  layout: {
    layout: "vcpuBase vcpuCapacity ramBase ramBytes next",
    "apic/ids": "dense denseCount sparse sparseBits",
    "apic/map": "xapicBits xapicBytes",
    "apic/requests": "wake",
    "apic/time": "clock",
    "mem/hooks": "apicPageRead apicPageWrite codeWritten lineWritten dataAccess",
    "mem/code-map": "masks watches",
    "cpu/block": "hash pages losses arena mostLosses",
    "cpu/heat": "translateAfter",
    "cpu/platform": "apicMsrRead apicMsrWrite cr8Read cr8Write now hypercall takeInterrupt wake",
    "vm/timers": "heap places",
    "vm/runnable": "level0 level1 level2 level3",
  },
  // Made anew when a machine is restored.
  derived: {
    "cpu/features": "ready offerings",
    "cpu/vme": "vmeFlags",
    "mem/paging": "hasGigabytePages",
    "vm/clock": "sharersOf",
    "vm/runnable": "runnableCount",
  },
  // A restored machine decodes code anew, and looks up who takes IPIs.
  cache: {
    "apic/plain-targets": "isFilled",
    "cpu/block": "arenaNext generation",
    "cpu/cr": "cr4Valid cr4ValidFor",
  },
  // The host's wishes, which it says again for each run.
  host: {
    "apic/trace": "traceMask",
    "vm/run": "stopTime",
  },
  // Hold something within one instruction, one call of the host, or one `execute` only.
  scratch: {
    "state-areas": "start end",
    "apic/msr": "msrValue",
    "apic/time": "given",
    "cpu/control": "yieldSlice stepHandled",
    "cpu/decode": "at end short lastAttributes",
    "cpu/platform": "msrValue",
    "cpu/cpuid": "cpuidA cpuidB cpuidC cpuidD",
    "cpu/descriptor-table": "eventExt",
    "cpu/operand": "destination farSelector",
    "cpu/dr": "trapHits",
    "cpu/frame": "base mask addressMask width framePointer",
    "cpu/inner-stack": "innerSelector innerRaw innerPointer",
    "cpu/task": "taskRip",
    "cpu/interrupt": "lastException lastError",
    "cpu/msr": "msrResult",
    "cpu/flat-memory": "currentOp",
    "cpu/call-gate": "selector offset width code",
    "cpu/far-jump": "selector offset",
    "cpu/wide": "remainder",
    "cpu/segment-ops": "examined",
    "cpu/progress": "firstOp retiredBefore limitOfExecute",
    "cpu/interpret": "following",
    "fpu/sse-integer": "unknown",
    "fpu/wide": "lowBits productLow",
    "fpu/soft":
      "rounding masks flushToZero wrap flags roundedUp precision minExp maxExp shiftedHi shiftedLo remainder tailOfRoot",
    "fpu/x87-control": "newFcw newFsw newTags newIp newDp newCs newDs newFop",
    "fpu/sse-float": "mxcsr fast before after",
    "fpu/sse42": "words isSigned",
    "fpu/x87-math": "lastQuotient",
    "fpu/x87-numbers": "high sig",
    "fpu/transcendental": "accHi accLo fixedHi fixedLo restHi restLo quadrant",
    "vm/state-hash": "low high",
  },
};

/** Memory of modules: what `memory.data` and `reserve` place, by file, and what a snapshot does with it. */
const MEMORY: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  saved: {
    layout: "vcpuBase ramBase",
    "mem/space": "spaces",
    "mem/walked": "records",
    "mem/tlb": "tlbRead tlbWrite tlbExecute tlbDeviceRead tlbDeviceWrite largePages",
    "apic/policy": "values",
    "apic/map": "state",
    "apic/inject": "state rules held",
    "apic/message": "message",
    "cpu/features": "words",
    "cpu/cpuid": "vendor brand",
    "vm/timers": "heap places",
    "vm/runnable": "level0",
  },
  derived: {
    "apic/ids": "dense sparse",
    "apic/map": "buckets xapicBits",
    "apic/logical-map": "slots counts",
    "vm/runnable": "level1 level2 level3",
    "mem/code-map": "watches",
    "mem/space": "buckets",
  },
  cache: {
    "apic/plain-targets": "entries",
    "mem/code-map": "masks",
    "cpu/block": "hash pages losses arena jumps",
    "cpu/known-gate": "entries",
    "cpu/known-segments": "entries",
    "cpu/msr-table": "recent",
  },
  constant: {
    "apic/policy": "limits",
    "cpu/msr-table": "rows",
  },
  // Areas by another name: what the caller of `reservePages` gets.
  parts: {
    layout: "room",
  },
  scratch: {
    "apic/trace": "messageRecord targetRecord",
    "vm/trace": "record",
    "vm/exports": "exchange",
    "cpu/control": "cell",
    "vm/region": "registerRead",
    "cpu/task": "incoming",
    "cpu/block": "single window",
    "cpu/call-gate": "parameters",
    "fpu/x87-control": "registers",
    "fpu/sse-move": "lanes",
    "fpu/sse4": "a16 b16 r16",
    "fpu/fxsave": "area",
    "fpu/sse42": "a16 b16",
    "fpu/transcendental": "value t u v w",
    "fpu/sse-integer": "shiftWindow",
    "fpu/sse-arith": "a16 b16 r16",
    "fpu/soft": "A B R",
  },
};

const ASSEMBLY = new URL("../../../assembly/", import.meta.url);

function names(table: Readonly<Record<string, Readonly<Record<string, string>>>>): string[] {
  return Object.values(table).flatMap((files) =>
    Object.entries(files).flatMap(([file, list]) =>
      list.split(" ").map((name) => `${file}/${name}`),
    ),
  );
}

/** Variables or constants that get memory when the core is made, as the sources say. */
function placedMemory(): string[] {
  const files = readdirSync(ASSEMBLY, { recursive: true, encoding: "utf8" });
  return files
    .filter((file) => file.endsWith(".ts"))
    .flatMap((file) => {
      const text = readFileSync(new URL(file, ASSEMBLY), "utf8").replaceAll(
        /\/\*[^]*?\*\/|\/\/.*/g,
        "",
      );
      const placed = text.matchAll(
        /(?:const )?(\w+)(?:: \w+)?\s*=\s*(?:changetype<\w+>\()?(?:memory\.data|reserve(?:Pages)?)\b/g,
      );
      return [...placed].map(([, name]) => `${file.replace(/\.ts$/, "")}/${name!}`);
    });
}

describe.each(["release", "debug"])("the %s build of the core", (build) => {
  it("has no variable that nobody has thought about", async () => {
    const bytes = readFileSync(new URL(`../../../build/${build}.wasm`, import.meta.url));
    const exported = WebAssembly.Module.exports(await WebAssembly.compile(bytes))
      .filter(
        ({ kind, name }) =>
          kind === "global" && name !== "build" && name !== "__rtti_base" && name !== "memory",
      )
      .map(({ name }) => name);
    const known = [...CORE_VARIABLES.map(({ name }) => name), ...names(OTHERS)];
    expect(exported.toSorted()).toEqual(known.toSorted());
  });
});

describe("the memory of the core", () => {
  it("has no area that nobody has thought about", () => {
    expect([...new Set(placedMemory())].toSorted()).toEqual(names(MEMORY).toSorted());
  });

  it("is placed by memory.data and reserve only where this test looks", () => {
    const calls = readdirSync(ASSEMBLY, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .flatMap((file) => {
        const text = readFileSync(new URL(file, ASSEMBLY), "utf8").replaceAll(
          /\/\*[^]*?\*\/|\/\/.*/g,
          "",
        );
        return [...text.matchAll(/\b(?:memory\.data|reserve(?:Pages)?)\s*(?:<\w+>)?\(/g)];
      });
    // Two are the declarations of `reserve` and `reservePages`.
    expect(placedMemory()).toHaveLength(calls.length - 2);
  });
});
