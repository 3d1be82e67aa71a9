/** What a CPU makes of its local APIC: registers after INIT, what ends HLT, CPUID. On whole machines. */
import { describe, expect, it } from "vitest";
import type { Machine } from "../../src/index.js";
import { CLI, exit, HLT, machineWith, outDx8 } from "../src/guest-code.js";

const STI = 0xfb;

/** mov dword [offset], value: DS points at the register page */
function write(offset: number, value: number): number[] {
  const bytes = [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
  return [0x66, 0xc7, 0x06, offset & 0xff, offset >> 8, ...bytes];
}

/** Real-mode code on 0x00 that can write its LAPIC. */
async function machine(...code: number[]): Promise<Machine> {
  const made = await machineWith([CLI, ...write(0xf0, 0x1ff), ...code], { apicIds: [0, 0x23] });
  made.vcpus[0]!.setSegment("ds", { base: 0xfee00000n });
  return made;
}

/** mov ecx, 1BH; mov eax, 0FEE00000H | low; xor edx, edx; wrmsr */
function writeBase(low: number): number[] {
  const base = [0x66, 0xb8, low & 0xff, low >> 8, 0xe0, 0xfe];
  return [0x66, 0xb9, 0x1b, 0, 0, 0, ...base, 0x66, 0x31, 0xd2, 0x0f, 0x30];
}

describe("a CPU after INIT", () => {
  const INIT_TO_23 = [...write(0x310, 0x23000000), ...write(0x300, 0x4500), HLT];

  /** 0x23 with nothing as INIT leaves it. */
  async function afterInit(): Promise<Machine> {
    const made = await machine(...INIT_TO_23);
    const cpu = made.vcpus[1]!;
    for (const name of Object.keys(cpu.gpr) as (keyof typeof cpu.gpr)[]) cpu.gpr[name] = 0x1234n;
    cpu.rip = 0x777n;
    cpu.rflags = 0x202n;
    cpu.control.cr0 = 0x60000011n;
    cpu.control.cr3 = 0x5000n;
    cpu.control.cr4 = 0x620n;
    cpu.debug.dr0 = 0x1111n;
    cpu.debug.dr7 = 0x401n;
    cpu.gdtr = { base: 0x1000n, limit: 0x27 };
    cpu.idtr = { base: 0x2000n, limit: 0xff };
    for (const name of ["cs", "ds", "es", "fs", "gs", "ss"] as const) {
      cpu.setSegment(name, { selector: 0x10, base: 0x4440n, limit: 0x123 });
    }
    cpu.writeMsr(0x277, 0x0007040600070401n); // PAT
    cpu.writeMsr(0x174, 0x8n); // SYSENTER_CS
    cpu.writeMsr(0xc0000102, 0x5555n); // KERNEL_GS_BASE
    cpu.writeMsr(0x10, 1_000_000_000_000n); // TSC
    cpu.writeMsr(0xc0000103, 7n); // TSC_AUX
    cpu.fpu.setXmm(3, 0x33n);
    made.run();
    return made;
  }

  it("has its general registers 0, the signature in RDX, and starts at F000:FFF0", async () => {
    const cpu = (await afterInit()).vcpus[1]!;
    const { rdx, ...rest } = Object.fromEntries(Object.entries(cpu.gpr));
    expect(Object.values(rest).every((value) => value === 0n)).toBe(true);
    expect(rdx).toBeGreaterThan(0n);
    expect(cpu.rip).toBe(0xfff0n);
    expect(cpu.rflags).toBe(2n);
    expect(cpu.segment("cs")).toMatchObject({ selector: 0xf000, base: 0xffff0000n, limit: 0xffff });
    for (const name of ["ds", "es", "fs", "gs", "ss"] as const) {
      expect(cpu.segment(name)).toMatchObject({ selector: 0, base: 0n, limit: 0xffff });
    }
    expect(cpu.gdtr).toEqual({ base: 0n, limit: 0xffff });
    expect(cpu.idtr).toEqual({ base: 0n, limit: 0xffff });
  });

  it("has control and debug registers as after RESET, but keeps CD and NW", async () => {
    const cpu = (await afterInit()).vcpus[1]!;
    expect(cpu.control.cr0).toBe(0x60000010n);
    expect([cpu.control.cr2, cpu.control.cr3, cpu.control.cr4, cpu.control.efer]).toEqual([
      0n,
      0n,
      0n,
      0n,
    ]);
    expect([cpu.debug.dr0, cpu.debug.dr6, cpu.debug.dr7]).toEqual([0n, 0xffff0ff0n, 0x400n]);
  });

  it("keeps SSE state and the MSRs that are no segment bases", async () => {
    const cpu = (await afterInit()).vcpus[1]!;
    expect(cpu.fpu.xmm(3)).toBe(0x33n);
    expect(cpu.readMsr(0x277)).toBe(0x0007040600070401n);
    expect(cpu.readMsr(0x174)).toBe(8n);
    expect(cpu.readMsr(0xc0000102)).toBe(0x5555n);
    expect(cpu.readMsr(0x10)).toBeGreaterThanOrEqual(1_000_000_000_000n);
    expect(cpu.readMsr(0xc0000103)).toBe(7n);
    expect([cpu.readMsr(0xc0000100), cpu.readMsr(0xc0000101)]).toEqual([0n, 0n]);
  });

  it("has KVM's paravirtual clock and EOI switched off", async () => {
    const made = await machineWith([CLI, ...write(0xf0, 0x1ff), ...INIT_TO_23], {
      apicIds: [0, 0x23],
      kvmFeatures: (1 << 3) | (1 << 6),
    });
    made.vcpus[0]!.setSegment("ds", { base: 0xfee00000n });
    const cpu = made.vcpus[1]!;
    for (const msr of [0x4b564d01, 0x4b564d04]) expect(cpu.writeMsr(msr, 0x9001n)).toBe(true);
    made.run();
    expect(cpu.readMsr(0x4b564d01)).toBe(0n);
    expect(cpu.readMsr(0x4b564d04)).toBe(0n);
  });

  it("waits for STARTUP", async () => {
    expect((await afterInit()).vcpus[1]!.runState).toBe("wait-for-sipi");
  });
});

describe("an NMI to a CPU that waits", () => {
  const TO_23 = write(0x310, 0x23000000);
  const NMI = write(0x300, 0x4400);
  const INIT = write(0x300, 0x4500);
  const SIPI = write(0x300, 0x4608); // 8000H
  const PAUSE_OVER = [0xb9, 0x00, 0x40, 0xe2, 0xfe]; // mov cx, 4000H; loop $: past a slice, so that 0x23 looks

  /** 0x23 exits with 1; through the vector of NMI with 2. */
  async function start(...code: number[]): Promise<number | string> {
    const made = await machine(...TO_23, ...code, HLT);
    made.writeMemory(0x8000, Uint8Array.from(exit(1)));
    made.writeMemory(0x9000, Uint8Array.from(exit(2)));
    made.writeMemory(2 * 4, Uint8Array.of(0x00, 0x90, 0, 0));
    const { reason, exitCode } = made.run({ maxInstructions: 100_000 });
    return exitCode === undefined ? reason : exitCode >> 1;
  }

  it.each<[string, number[], number]>([
    ["is dropped by an INIT after it", [...NMI, ...INIT, ...SIPI], 1],
    ["is dropped when the INIT was sent before, and not yet taken", [...INIT, ...NMI, ...SIPI], 1],
    ["is taken right after STARTUP", [...INIT, ...PAUSE_OVER, ...NMI, ...SIPI], 2],
  ])("%s", async (_, code, outcome) => {
    expect(await start(...code)).toBe(outcome);
  });
});

describe("HLT", () => {
  const HANDLER = 0x7d00;
  const SELF = 0x40000;

  /** Runs code that ends in HLT and then exits with 1; interrupt 0x41 and NMI exit with 2. */
  async function halt(...code: number[]): Promise<number | string> {
    const made = await machine(...code, HLT, ...exit(1));
    const vector = Uint8Array.of(HANDLER & 0xff, HANDLER >> 8, 0, 0);
    made.writeMemory(2 * 4, vector);
    made.writeMemory(0x41 * 4, vector);
    made.writeMemory(HANDLER, Uint8Array.from(exit(2)));
    const { reason, exitCode } = made.run({ maxInstructions: 1000 });
    return exitCode === undefined ? reason : exitCode >> 1;
  }

  it.each<[string, number[], number | string]>([
    ["a fixed interrupt with IF = 1", [...write(0x300, SELF | 0x41), STI], 2],
    ["no interrupt with IF = 0", write(0x300, SELF | 0x41), "idle"],
    [
      "no interrupt that TPR masks",
      [...write(0x80, 0x50), ...write(0x300, SELF | 0x41), STI],
      "idle",
    ],
    [
      "no interrupt to a software-disabled LAPIC",
      [...write(0xf0, 0xff), ...write(0x300, SELF | 0x41), STI],
      "idle",
    ],
    ["an NMI, whatever IF is", write(0x300, SELF | 0x400), 2],
    ["a kick, whatever IF is, without an interrupt", write(0x300, SELF | 0x300), 1],
    ["a kick once", [...write(0x300, SELF | 0x300), HLT], "idle"],
    ["nothing else", [STI], "idle"],
  ])("is ended by %s", async (_, code, outcome) => {
    expect(await halt(...code)).toBe(outcome);
  });
});

// KVM kvm_apic_accept_pic_intr: the PIC passes while the LAPIC is off, or LINT0 is open as ExtINT.
describe("an interrupt of the PIC", () => {
  const LINT0 = 0x350;
  const out = (port: number, value: number): number[] => [0xb0, value, 0xe6, port];
  /** Vectors from 20H; only IRQ 4 is open. COM1 interrupts as soon as its transmitter is empty, which it is. */
  const RAISE = [
    ...out(0x20, 0x11),
    ...[0x20, 0x04, 0x01, 0xef].flatMap((value) => out(0x21, value)),
    ...outDx8(0x3fc, 0x0b), // MCR: OUT2
    ...outDx8(0x3f9, 0x02), // IER: transmitter empty
  ];
  const HANDLER = 0x7d00;

  /** Runs code with interrupts off, then raises and lets interrupts in: exits with 2 by the handler, else with 1. */
  async function taken(policy: string, ...code: number[]): Promise<boolean> {
    const made = await machineWith([CLI, ...code, ...RAISE, STI, 0x90, 0x90, ...exit(1)], {
      policy,
    });
    made.vcpus[0]!.setSegment("ds", { base: 0xfee00000n });
    made.writeMemory(0x24 * 4, Uint8Array.of(HANDLER & 0xff, HANDLER >> 8, 0, 0));
    made.writeMemory(HANDLER, Uint8Array.from(exit(2)));
    return made.run({ maxInstructions: 1000 }).exitCode === ((2 << 1) | 1);
  }

  it.each<[string, string, number[], boolean]>([
    ["as the boot CPU resets under KVM", "kvm", [], true],
    ["as LINT0 resets by the manual", "strict8", [], false],
    ["LINT0 open as ExtINT", "strict8", [...write(0xf0, 0x1ff), ...write(LINT0, 0x700)], true],
    ["LINT0 masked", "kvm", [...write(0xf0, 0x1ff), ...write(LINT0, 0x10700)], false],
    ["LINT0 open as NMI", "kvm", [...write(0xf0, 0x1ff), ...write(LINT0, 0x400)], false],
    ["software-disabled, which masks LINT0", "kvm", write(0xf0, 0xff), false],
    ["TPR high: it asks no priority", "kvm", write(0x80, 0xff), true],
    ["the LAPIC disabled", "strict8", writeBase(0x0100), true],
  ])("%s (%s)", async (_, policy, code, passes) => {
    expect(await taken(policy, ...code)).toBe(passes);
  });
});

describe("CPUID leaf 15H", () => {
  // mov eax, 15H; cpuid; mov [7000H], eax; mov [7004H], ebx; mov [7008H], ecx
  const code = [
    0x66, 0xb8, 0x15, 0, 0, 0, 0x0f, 0xa2, 0x66, 0xa3, 0x00, 0x70, 0x66, 0x89, 0x1e, 0x04, 0x70,
    0x66, 0x89, 0x0e, 0x08, 0x70,
  ];

  it.each([
    ["kvm", [1, 1, 1_000_000_000]],
    ["kvm,busCycle=40", [1, 40, 25_000_000]],
  ])("under %s tells the clock of the APIC timer", async (policy, leaf) => {
    const made = await machineWith([...code, ...exit(1)], { policy });
    made.run({ maxInstructions: 100 });
    const words = new Uint32Array(made.readMemory(0x7000, 12).buffer);
    expect([...words]).toEqual(leaf);
  });
});

describe("CPUID.01H:EDX[9]", () => {
  // mov ecx, 1BH; mov eax, base; xor edx, edx; wrmsr; mov eax, 1; cpuid; shr edx, 9; and dl, 1; mov al, dl; out F4H, al
  const code = (base: number): number[] => [
    0x66,
    0xb9,
    0x1b,
    0,
    0,
    0,
    0x66,
    0xb8,
    base & 0xff,
    (base >> 8) & 0xff,
    0xe0,
    0xfe,
    0x66,
    0x31,
    0xd2,
    0x0f,
    0x30,
    0x66,
    0xb8,
    1,
    0,
    0,
    0,
    0x0f,
    0xa2,
    0x66,
    0xc1,
    0xea,
    9,
    0x80,
    0xe2,
    1,
    0x88,
    0xd0,
    0xe6,
    0xf4,
  ];

  it.each([
    [0x0900, 1],
    [0x0100, 0],
    [0x0d00, 1],
  ])("mirrors EN of APIC_BASE %x", async (base, bit) => {
    const { exitCode } = (await machineWith(code(base))).run({ maxInstructions: 1000 });
    expect(exitCode).toBe((bit << 1) | 1);
  });
});
