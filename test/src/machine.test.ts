import { describe, expect, it } from "vitest";
import { Machine, X2vmError, describeApicEvent, type MachineOptions } from "../../src/index.js";
import {
  CLI,
  HLT,
  NOP,
  SPIN,
  bootSector,
  exit,
  machineWith,
  outDx32,
  outDx8,
  say,
  serialOf,
} from "./guest-code.js";

const CODE = 0x7c00;

describe("Machine.create", () => {
  // option, code, words of the sentence
  it.each<[MachineOptions, string, string]>([
    [{ cpus: 0 }, "BAD_OPTION", "cpus is 0"],
    [{ cpus: 1.5 }, "BAD_OPTION", "cpus is 1.5"],
    [{ cpus: 2 ** 24 + 1 }, "BAD_OPTION", "cpus is 16777217"],
    [{ cpus: 2, apicIds: [0] }, "BAD_OPTION", "either cpus or apicIds"],
    [{ apicIds: [] }, "BAD_OPTION", "at least one CPU"],
    [{ apicIds: [0, 0x23, 0] }, "APIC_ID_TAKEN", "0x0 is given twice"],
    [{ apicIds: [-1] }, "APIC_ID_RANGE", "-1"],
    [{ apicIds: [2 ** 32] }, "APIC_ID_RANGE", "not a 32-bit APIC ID"],
    [{ apicIds: [0xffffffff] }, "APIC_ID_RANGE", "addresses all CPUs"],
    [{ apicIds: [0], possibleApicIds: [0] }, "APIC_ID_TAKEN", "0x0 is given twice"],
    [{ apicIds: [0], possibleApicIds: [0xffffffff] }, "APIC_ID_RANGE", "addresses all CPUs"],
    [{ memoryBytes: 0 }, "BAD_OPTION", "memoryBytes is 0"],
    [{ memoryBytes: 4097 }, "BAD_OPTION", "not a multiple of 4096"],
    [{ memoryBytes: 2 ** 31 + 4096 }, "BAD_OPTION", "memoryBytes is 2147487744"],
    [{ seed: -1 }, "BAD_OPTION", "seed is -1"],
    [{ seed: 2 ** 32 }, "BAD_OPTION", "seed is 4294967296"],
    [{ instructionNs: 0 }, "BAD_OPTION", "instructionNs is 0"],
    [{ instructionNs: 1001 }, "BAD_OPTION", "instructionNs is 1001"],
    [{ policy: "vmware" }, "BAD_OPTION", 'no policy "vmware"'],
    [{ policy: "kvm,colour=red" }, "BAD_OPTION", "colour"],
    [{ policy: "kvm,high=maybe" }, "BAD_OPTION", "maybe"],
    [{ cpus: 4, vcpuCapacity: 3 }, "BAD_OPTION", "vcpuCapacity is 3"],
    [{ build: "fast" as "debug" }, "BAD_OPTION", 'build is "fast"'],
    [{ memoryBytes: 2 ** 31, vcpuCapacity: 2 ** 21, cpus: 1 }, "MEMORY_TOO_LARGE", "4 GiB"],
    [{ wasm: Uint8Array.of(1, 2, 3) }, "CORE_UNAVAILABLE", "not a WebAssembly module"],
    [
      { wasm: new URL("no-such-core.wasm", import.meta.url) },
      "CORE_UNAVAILABLE",
      "no-such-core.wasm",
    ],
  ])("refuses %j", async (options, code, words) => {
    const error = await Machine.create(options).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(X2vmError);
    expect(error).toMatchObject({ code, message: expect.stringContaining(words) });
  });

  it("gives CPUs their APIC IDs in order, the first runnable, the others uninitialized", async () => {
    const machine = await Machine.create({ apicIds: [0x23, 0, 0xfffffffe] });
    expect(
      machine.vcpus.map(({ vcpuIndex, apicId, runState }) => [vcpuIndex, apicId, runState]),
    ).toEqual([
      [0, 0x23, "runnable"],
      [1, 0, "uninitialized"],
      [2, 0xfffffffe, "uninitialized"],
    ]);
  });
});

describe.each(["release", "debug"] as const)("Machine, %s core", (build) => {
  const make = (...code: number[]) => machineWith(code, { build });

  it("runs a boot sector to its exit code, with its serial output", async () => {
    const machine = await make(...say("hi"), ...exit(0x10));
    const serial = serialOf(machine);
    expect(machine.run()).toEqual({
      reason: "exit",
      exitCode: 0x21,
      instructions: 8,
      virtualNs: 8,
    });
    expect(serial.text).toBe("hi");
  });

  it("ends with code 0 when the guest writes Shutdown to port 0x8900", async () => {
    const machine = await make(
      ...[..."Shutdown"].flatMap((each) => outDx8(0x8900, each.charCodeAt(0))),
    );
    expect(machine.run()).toMatchObject({ reason: "exit", exitCode: 0 });
  });

  it.each([
    ["the keyboard controller", outDx8(0x64, 0xfe)],
    ["the chipset", outDx8(0xcf9, 0x06)],
    ["system control port A", outDx8(0x92, 0x01)],
  ])("ends when the guest asks for a reset through %s", async (_, code) => {
    expect((await make(...code, ...SPIN)).run()).toMatchObject({
      reason: "reset",
      instructions: 3,
    });
  });

  it("is not reset by a PCI address written to port 0xcf8", async () => {
    const machine = await make(...outDx32(0xcf8, 0x80000600), ...exit(0));
    expect(machine.run().reason).toBe("exit");
  });

  it("stops at its instruction limit and goes on where it stopped", async () => {
    const machine = await make(...say("abc"), ...exit(0));
    const serial = serialOf(machine);
    expect(machine.run({ maxInstructions: 4 })).toEqual({
      reason: "budget",
      instructions: 4,
      virtualNs: 4,
    });
    expect(serial.text).toBe("a");
    expect(machine.run({ maxInstructions: 0 })).toMatchObject({
      reason: "budget",
      instructions: 0,
    });
    expect(machine.run().reason).toBe("exit");
    expect(serial.text).toBe("abc");
  });

  it("stops at a limit although the guest only takes faults", async () => {
    const machine = await make();
    machine.writeMemory(6 * 4, Uint8Array.of(0x00, 0x7c, 0x00, 0x00)); // #UD leads back
    machine.writeMemory(CODE, Uint8Array.of(0x0f, 0x0b)); // ud2
    expect(machine.run({ maxInstructions: 1000 }).reason).toBe("budget");
  });

  it.each([1, 2, 1000])("takes %i ns for an instruction where it is told so", async (ns) => {
    const machine = await machineWith([CLI, ...SPIN], { instructionNs: ns });
    const { virtualNs } = machine.run({ maxInstructions: 9000 });
    expect(virtualNs).toBe(9000 * ns);
    const { reason } = machine.run({ untilNs: 20_000_000 });
    expect(reason).toBe("time");
    expect(machine.instructions).toBe(20_000_000 / ns);
  });

  it("stops at a virtual time", async () => {
    const machine = await make(...SPIN);
    expect(machine.run({ untilNs: 500 })).toMatchObject({ reason: "time", virtualNs: 500 });
    expect(machine.run({ untilNs: 500 })).toMatchObject({ reason: "time", instructions: 0 });
    expect(machine.run({ untilNs: 700.5 })).toMatchObject({ reason: "time", virtualNs: 701 });
  });

  it("is idle when every CPU waits and nothing is due", async () => {
    const machine = await make(CLI, HLT);
    expect(machine.run()).toMatchObject({ reason: "idle", instructions: 2 });
    expect(machine.vcpus[0]!.runState).toBe("halted");
  });

  it("lets time pass in an idle machine up to the limit", async () => {
    const machine = await make(CLI, HLT);
    expect(machine.run({ untilNs: 1e6 })).toMatchObject({ reason: "time", virtualNs: 1e6 });
  });

  it("names the CPU that takes a triple fault", async () => {
    const machine = await make(0x0f, 0x0b); // ud2
    machine.vcpus[0]!.idtr = { base: 0n, limit: 0 };
    expect(machine.run()).toMatchObject({ reason: "shutdown", vcpuIndex: 0 });
    expect(machine.vcpus[0]!.runState).toBe("shutdown");
  });

  it("tells a triple fault once: the CPU waits afterwards", async () => {
    const machine = await machineWith(SPIN, { build, cpus: 2 });
    machine.vcpus[0]!.idtr = { base: 0n, limit: 0 };
    machine.writeMemory(CODE, Uint8Array.of(0x0f, 0x0b)); // ud2
    expect(machine.run()).toMatchObject({ reason: "shutdown", vcpuIndex: 0 });
    expect(machine.run()).toMatchObject({ reason: "idle" });
  });

  it.each([{ maxInstructions: -1 }, { maxInstructions: Number.NaN }, { untilNs: -1 }])(
    "refuses to run with %j",
    async (options) => {
      const machine = await make(...SPIN);
      expect(() => machine.run(options)).toThrow(expect.objectContaining({ code: "BAD_OPTION" }));
    },
  );
});

describe("Machine.step", () => {
  it("runs one instruction", async () => {
    const machine = await machineWith([0x66, 0x01, 0xd8]); // add eax, ebx
    const [cpu] = machine.vcpus;
    cpu!.gpr.rax = 0xffff_ffffn;
    cpu!.gpr.rbx = 1n;
    expect(machine.step(0)).toEqual({ reason: "stepped", instructions: 1, virtualNs: 1 });
    expect(cpu!.gpr.rax).toBe(0n);
    expect(cpu!.rip).toBe(BigInt(CODE + 3));
    expect(cpu!.rflags).toBe(0x57n); // CF PF AF ZF
  });

  it("tells the exception that it delivered", async () => {
    const machine = await machineWith([0xf7, 0xf3]); // div bx
    machine.writeMemory(0, Uint8Array.of(0x34, 0x12, 0x00, 0x10));
    expect(machine.step(0)).toMatchObject({
      reason: "stepped",
      exception: { vector: 0, hasErrorCode: false },
    });
    const [cpu] = machine.vcpus;
    expect([cpu!.segment("cs").selector, cpu!.rip]).toEqual([0x1000, 0x1234n]);
  });

  it("tells the error code's presence in protected mode", async () => {
    const machine = await machineWith([0x8e, 0xd8]); // mov ds, ax
    const [cpu] = machine.vcpus;
    cpu!.control.cr0 |= 1n;
    cpu!.gpr.rax = 0x50n;
    cpu!.gdtr = { base: 0x1000n, limit: 0x1f };
    cpu!.idtr = { base: 0x2000n, limit: 0x7f };
    machine.writeMemory(0x1008, Uint8Array.of(0xff, 0xff, 0, 0, 0, 0x9b, 0, 0)); // 16-bit code
    machine.writeMemory(0x2000 + 13 * 8, Uint8Array.of(0x00, 0x50, 0x08, 0, 0, 0x86, 0, 0)); // 16-bit interrupt gate
    expect(machine.step(0)).toMatchObject({ exception: { vector: 13, hasErrorCode: true } });
    expect(cpu!.rip).toBe(0x5000n);
  });

  it("reports an exit, and a CPU that waits", async () => {
    const machine = await machineWith([...exit(1), CLI, HLT]);
    machine.step(0);
    expect(machine.step(0)).toMatchObject({ reason: "exit", exitCode: 3 });
    machine.step(0);
    machine.step(0);
    expect(machine.step(0).reason).toBe("idle");
  });

  it.each([1, -1, 0.5])("refuses vCPU %d of a machine that has one", async (vcpuIndex) => {
    const machine = await machineWith(SPIN);
    expect(() => machine.step(vcpuIndex)).toThrow(expect.objectContaining({ code: "NO_VCPU" }));
  });
});

describe("Machine.at", () => {
  it("acts at exact times, in order, between two instructions", async () => {
    const machine = await machineWith(SPIN);
    const log: string[] = [];
    machine.at(200, () => log.push(`b ${machine.virtualNs} ${machine.instructions}`));
    machine.at(100, () => log.push(`a ${machine.virtualNs} ${machine.instructions}`));
    machine.run({ untilNs: 300 });
    expect(log).toEqual(["a 100 100", "b 200 200"]);
  });

  it("happens in an idle machine too", async () => {
    const machine = await machineWith([CLI, HLT]);
    let when = 0;
    machine.at(5000, () => (when = machine.virtualNs));
    expect(machine.run()).toMatchObject({ reason: "idle", virtualNs: 5000 });
    expect(when).toBe(5000);
  });

  it("lets an action plan the next, and end the run", async () => {
    const machine = await machineWith(SPIN);
    machine.at(10, () => machine.at(20, () => machine.stop()));
    expect(machine.run()).toMatchObject({ reason: "stopped", virtualNs: 20 });
  });

  it("takes a time that has passed as now", async () => {
    const machine = await machineWith(SPIN);
    machine.run({ untilNs: 100 });
    let when = 0;
    machine.at(50, () => (when = machine.virtualNs));
    machine.run({ untilNs: 200 });
    expect(when).toBe(100);
  });

  it("works from a listener, while the guest runs", async () => {
    const machine = await machineWith([...say("x"), ...SPIN]);
    let when = 0;
    machine.onSerial(() => machine.at(machine.virtualNs + 50, () => (when = machine.virtualNs)));
    machine.run({ untilNs: 1000 });
    expect(when).toBeGreaterThanOrEqual(52);
    expect(when).toBeLessThan(60);
  });

  it.each([-1, Number.NaN])("refuses the time %d", async (ns) => {
    const machine = await machineWith(SPIN);
    expect(() => machine.at(ns, () => {})).toThrow(expect.objectContaining({ code: "BAD_OPTION" }));
  });
});

describe("Machine while it runs", () => {
  it.each<[string, (machine: Machine) => unknown]>([
    ["run", (machine) => machine.run()],
    ["step", (machine) => machine.step(0)],
    ["hotplug", (machine) => machine.hotplug({ apicId: 5 })],
    ["load", (machine) => machine.load(bootSector())],
    ["stateHash", (machine) => machine.stateHash()],
  ])("refuses %s from a listener", async (_, call) => {
    const machine = await machineWith([...say("x"), ...exit(0)]);
    let error: unknown;
    machine.onSerial(() => {
      try {
        call(machine);
      } catch (reason) {
        error = reason;
      }
    });
    expect(machine.run().reason).toBe("exit");
    expect(error).toMatchObject({ code: "MACHINE_RUNNING" });
  });
});

describe("guest memory", () => {
  it("is read and written by guest-physical address", async () => {
    const machine = await Machine.create({ memoryBytes: 0x2000 });
    machine.writeMemory(0x1ffe, Uint8Array.of(1, 2));
    expect([...machine.readMemory(0x1ffdn, 3)]).toEqual([0, 1, 2]);
  });

  it.each([
    [-1, 1],
    [0x2000, 1],
    [0x1fff, 2],
    [0, 0x2001],
    [0.5, 1],
  ])("refuses %d, %i bytes", async (gpa, length) => {
    const machine = await Machine.create({ memoryBytes: 0x2000 });
    expect(() => machine.readMemory(gpa, length)).toThrow(
      expect.objectContaining({ code: "MEMORY_OUT_OF_RANGE" }),
    );
    expect(() => machine.writeMemory(gpa, new Uint8Array(length))).toThrow(
      expect.objectContaining({ code: "MEMORY_OUT_OF_RANGE" }),
    );
  });

  it("shows the guest new code where it has run before", async () => {
    const machine = await machineWith([NOP, NOP, ...SPIN]);
    machine.run({ maxInstructions: 100 });
    machine.writeMemory(CODE + 2, Uint8Array.from(exit(3)));
    expect(machine.run({ maxInstructions: 100 })).toMatchObject({ reason: "exit", exitCode: 7 });
  });

  it("keeps a refused image out", async () => {
    const machine = await Machine.create({ memoryBytes: 0x8000 });
    const before = machine.stateHash();
    expect(() => machine.load(bootSector(), { address: 0x7f00 })).toThrow(
      expect.objectContaining({ code: "IMAGE_DOES_NOT_FIT" }),
    );
    expect(machine.stateHash()).toBe(before);
  });
});

describe("serial port", () => {
  // in al, 0x3fd; test al, 1; jz back; in al, dx; out dx, al; jmp back
  const echo = [
    0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xfb, 0xba, 0xf8, 0x03, 0xec, 0xee, 0xeb, 0xf1,
  ];

  it("gives a polling guest what is sent", async () => {
    const machine = await machineWith(echo);
    const serial = serialOf(machine);
    machine.sendSerial("ab");
    machine.at(500, () => machine.sendSerial(Uint8Array.of(0x63)));
    machine.run({ untilNs: 2000 });
    expect(serial.text).toBe("abc");
  });

  it("interrupts a guest that waits, through the PIC", async () => {
    const machine = await machineWith([
      ...[
        [0x20, 0x11],
        [0x21, 0x20],
        [0x21, 0x04],
        [0x21, 0x01],
        [0x21, 0xef],
      ].flatMap(([port, value]) => outDx8(port!, value!)),
      ...outDx8(0x3fc, 0x08), // MCR: OUT2
      ...outDx8(0x3f9, 0x01), // IER: received data
      0xfb, // sti
      HLT,
      ...exit(2), // not reached: the handler ends the run
    ]);
    machine.writeMemory(0x24 * 4, Uint8Array.of(0x00, 0x10, 0x00, 0x00));
    machine.writeMemory(0x1000, Uint8Array.from(exit(1)));
    expect(machine.listensToSerial).toBe(false);
    expect(machine.run().reason).toBe("idle");
    expect(machine.listensToSerial).toBe(true);
    machine.sendSerial("x");
    expect(machine.run()).toMatchObject({ reason: "exit", exitCode: 3 });
  });

  it("stops telling a listener that has ended its subscription", async () => {
    const machine = await machineWith([...say("ab"), ...exit(0)]);
    let text = "";
    const end = machine.onSerial((byte) => {
      text += String.fromCharCode(byte);
      end();
    });
    machine.run();
    expect(text).toBe("a");
  });
});

describe("Machine.trace", () => {
  // mov eax, 0x000c4500; mov [0x300], eax: DS lies over the xAPIC page
  async function sender() {
    const machine = await machineWith(
      [0x66, 0xb8, 0x00, 0x45, 0x0c, 0x00, 0x66, 0xa3, 0x00, 0x03, ...exit(0)],
      { apicIds: [0, 0x23] },
    );
    machine.vcpus[0]!.setSegment("ds", { base: 0xfee00000n });
    return machine;
  }

  it("tells a message, who takes it and what comes of it", async () => {
    const machine = await sender();
    const events: string[] = [];
    machine.trace((event) =>
      events.push(describeApicEvent(event, (i) => machine.vcpus[i]!.apicId)),
    );
    machine.run();
    expect(events).toHaveLength(3);
    expect(events[0]).toMatch(/^#\d+ 0x0: INIT to all but self/);
    expect(events[1]).toMatch(/0x23 \(not started\) accepts it/);
    expect(events[2]).toMatch(/accepted by one/);
  });

  it("tells who does not take it when asked, and nothing after the end of the subscription", async () => {
    const machine = await sender();
    const kinds: string[] = [];
    const end = machine.trace(({ kind }) => kinds.push(kind), { others: true });
    machine.run();
    expect(kinds.toSorted()).toEqual(["message", "other", "result", "target"]);
    end();
    machine.vcpus[0]!.rip = BigInt(CODE);
    machine.run();
    expect(kinds).toHaveLength(4);
  });

  it("does not change the run", async () => {
    const [plain, traced] = [await sender(), await sender()];
    traced.trace(() => {}, { others: true });
    plain.run();
    traced.run();
    expect(traced.stateHash()).toBe(plain.stateHash());
  });
});

describe("devices of the user's own", () => {
  it("answer at their ports", async () => {
    const machine = await machineWith([0xe5, 0x40, ...exit(0)]); // in ax, 0x40
    machine.ports.register("mine", 0x40, 2, {
      widest: 2,
      read: () => 0x1234,
      write: () => {},
      state: () => ({}),
      fromState: () => {},
    });
    machine.run();
    expect(machine.vcpus[0]!.gpr.rax & 0xff00n).toBe(0x1200n); // AL was overwritten by exit
  });

  it("answer at their addresses behind guest RAM", async () => {
    const machine = await machineWith([
      0xb8, 0x00, 0x10, // mov ax, 0x1000
      0x8e, 0xd8, // mov ds, ax
      0x66, 0xa1, 0x04, 0x00, // mov eax, [4]
      0x66, 0xa3, 0x08, 0x00, // mov [8], eax
      HLT,
    ]); // prettier-ignore
    const writes: number[][] = [];
    machine.mmio.register("mine", 0x10000, 0x10, {
      widest: 4,
      read: (offset) => 0xdead0000 + offset,
      write: (offset, size, value) => writes.push([offset, size, value]),
      state: () => ({}),
      fromState: () => {},
    });
    machine.run({ maxInstructions: 5 });
    expect(writes).toEqual([[8, 4, 0xdead0004]]);
  });

  it("are refused where a device of the board is", async () => {
    const machine = await Machine.create({ memoryBytes: 4096 });
    const device = { read: () => 0, write: () => {}, state: () => ({}), fromState: () => {} };
    expect(() => machine.ports.register("mine", 0x3f0, 16, device)).toThrow(
      expect.objectContaining({ code: "RANGE_OVERLAP", message: expect.stringContaining("COM1") }),
    );
  });
});

describe("Machine.dispose", () => {
  it("refuses every call afterwards", async () => {
    const machine = await machineWith(SPIN);
    machine.dispose();
    for (const call of [
      () => machine.run(),
      () => machine.stateHash(),
      () => machine.readMemory(0, 1),
      () => machine.sendSerial("x"),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: "MACHINE_DISPOSED" }));
    }
  });
});

describe("determinism", () => {
  const guest = [
    0x31, 0xdb, // xor bx, bx
    0x43, // inc bx
    0x89, 0x1e, 0x00, 0x20, // mov [0x2000], bx
    0xba, 0xf8, 0x03, 0x88, 0xd8, 0xee, // mov dx, 0x3f8; mov al, bl; out dx, al
    0xf3, 0x90, // pause
    0x81, 0xfb, 0x00, 0x04, 0x75, 0xed, // cmp bx, 0x400; jne inc
    ...exit(0),
  ]; // prettier-ignore

  async function hashOf(slice: number, build: "release" | "debug" = "release"): Promise<string> {
    const machine = await machineWith(guest, { build });
    machine.at(1000, () => machine.hotplug({ apicId: 0x23 }));
    while (machine.run({ maxInstructions: slice }).reason === "budget");
    return machine.stateHash();
  }

  it("gives one state hash for every slicing of a run, on both builds", async () => {
    const whole = await hashOf(Infinity);
    for (const slice of [1, 7, 1000]) expect(await hashOf(slice)).toBe(whole);
    expect(await hashOf(13, "debug")).toBe(whole);
  });

  it.each<[string, (machine: Machine) => void]>([
    ["a byte of memory", (machine) => machine.writeMemory(0x9000, Uint8Array.of(1))],
    ["a register", (machine) => (machine.vcpus[0]!.gpr.r15 = 1n)],
    ["a flag", (machine) => (machine.vcpus[0]!.rflags |= 1n)],
    ["a device", (machine) => machine.sendSerial("x")],
    ["a CPU", (machine) => machine.hotplug({ apicId: 9 })],
    ["time", (machine) => machine.run({ maxInstructions: 1 })],
  ])("gives another state hash for a change of %s", async (_, change) => {
    const machine = await machineWith(SPIN);
    const before = machine.stateHash();
    expect(machine.stateHash()).toBe(before);
    change(machine);
    expect(machine.stateHash()).not.toBe(before);
  });
});
