/** Port accesses do not end a hot loop, but what the host does during one is seen at the very next instruction. */
import { describe, expect, it } from "vitest";
import type { Machine, MachineOptions } from "../../../src/index.js";
import { CODE, hex, longMode, PT, setGate64, writeU64 } from "../../support/machine.js";
import { commonEnd } from "./every-way.js";

/** mov rax, rbx; hlt */
const REPORT = "48 89 d8 f4";
const HANDLER = 0xf000;
const COM1_VECTOR = 0x44;
/** L: inc rbx; out 80h, al; jmp L */
const LOOP = "48 ff c3 e6 80 eb f9";
const AT = 30;

/** A machine that does something at the 30th write of a loop. @param code - what comes before the loop */
async function looping(
  how: MachineOptions,
  code: string,
  act: (target: Machine, writes: number) => void,
): Promise<Machine> {
  const target = await longMode("release", `${code} ${LOOP}`, how);
  target.writeMemory(HANDLER, hex(REPORT));
  setGate64(target, COM1_VECTOR, HANDLER);
  let writes = 0;
  target.onPost(() => act(target, ++writes));
  return target;
}

/** PIC: vectors from 40h, IRQ 4 alone; COM1: OUT2; DX = COM1's interrupt enable register. */
const INTERRUPTS = `
  b0 11 e6 20 b0 40 e6 21 b0 04 e6 21 b0 01 e6 21 b0 ef e6 21
  66 ba fc 03 b0 08 ee 66 ba f9 03`;
const STI = "fb";
/** cmp ebx, n; setae al; shl al, 1: the interrupt for an empty transmitter, from a moment on. */
const enableFrom = (n: number) => `83 fb ${n.toString(16)} 0f 93 c0 d0 e0`;

describe("a port access in a hot loop", () => {
  it("has the interrupt that it raises taken behind it", async () => {
    const end = await commonEnd(async (how) => {
      // L: inc rbx; ...; out dx, al; jmp L
      const code = `${INTERRUPTS} ${STI} 48 ff c3 ${enableFrom(AT)} ee eb f2`;
      const target = await longMode("release", code, how);
      target.writeMemory(HANDLER, hex(REPORT));
      setGate64(target, COM1_VECTOR, HANDLER);
      return target;
    });
    expect(end).toMatchObject({ reason: "idle", rax: BigInt(AT) });
  });

  it("lets the host open a window for interrupts", async () => {
    const end = await commonEnd((how) =>
      // mov ebx, n; ...; out dx, al; xor ebx, ebx; then the loop
      looping(how, `${INTERRUPTS} bb 05 00 00 00 ${enableFrom(5)} ee 31 db`, (target, writes) => {
        if (writes === AT) target.vcpus[0]!.rflags |= 0x200n;
      }),
    );
    expect(end).toMatchObject({ reason: "idle", rax: BigInt(AT) });
  });

  it("lets the host stop the machine", async () => {
    const end = await commonEnd((how) =>
      looping(how, "", (target, writes) => {
        if (writes === AT) target.stop();
      }),
    );
    expect(end).toMatchObject({ reason: "stopped", rip: BigInt(CODE + 5) });
    expect(end.instructions).toBe(AT * 3 - 1);
  });

  it("lets the host change the code behind it", async () => {
    const end = await commonEnd((how) =>
      looping(how, "", (target, writes) => {
        if (writes === AT) target.writeMemory(CODE + 5, hex(REPORT));
      }),
    );
    expect(end).toMatchObject({ reason: "idle", rax: BigInt(AT) });
  });

  it("lets the host set a breakpoint behind it", async () => {
    const end = await commonEnd(async (how) => {
      const target = await looping(how, "", (machine, writes) => {
        if (writes !== AT) return;
        machine.vcpus[0]!.debug.dr0 = BigInt(CODE);
        machine.vcpus[0]!.debug.dr7 = 0x402n;
      });
      setGate64(target, 1, HANDLER);
      return target;
    });
    expect(end).toMatchObject({ reason: "idle", rax: BigInt(AT) });
  });

  it("takes its CPU away", async () => {
    const end = await commonEnd(async (how) => {
      const target = await longMode("release", "f4", { cpus: 2, ...how });
      // CPU 1, real mode: L: inc bx; mov dx, 0cd8h; mov eax, 1; out dx, eax; mov dx, 0cdch; xor al, al; cmp bx, 30;
      // jne S; mov al, 8 (eject); S: out dx, al; jmp L
      const code =
        "43 ba d8 0c 66 b8 01 00 00 00 66 ef ba dc 0c 30 c0 83 fb 1e 75 02 b0 08 ee eb e5";
      target.writeMemory(0x2f000, hex(code));
      const [first, second] = target.vcpus;
      first!.writeMsr(0x1b, 0xfee00d00n);
      first!.writeMsr(0x830, (1n << 32n) | 0x4500n); // INIT
      target.run({ maxInstructions: 10 });
      first!.writeMsr(0x830, (1n << 32n) | 0x462fn); // STARTUP
      target.onHotplug(() => (first!.gpr.rax = second!.gpr.rbx));
      return target;
    });
    expect(end).toMatchObject({ reason: "idle", rax: BigInt(AT) });
  });

  it("knows the time of its instruction", async () => {
    const times: number[] = [];
    const end = await commonEnd((how) => {
      times.length = 0;
      return looping(how, "", (target, writes) => {
        times.push(target.virtualNs);
        if (writes === AT) target.stop();
      });
    });
    expect(end.reason).toBe("stopped");
    expect(times.slice(1).map((ns, i) => ns - times[i]!)).toEqual(Array(AT - 1).fill(3));
  });

  it("has a message that a device sends meanwhile carry the time of that moment", async () => {
    const sent: { now: bigint; at: bigint }[] = [];
    await commonEnd(async (how) => {
      // mov dword [IOREGSEL],18h; mov dword [IOWIN],44h: pin 4 open, vector 44h; COM1: OUT2; DX = its IER;
      // L: inc rbx; ...; out dx,al; out 80h,al; jmp L
      const open = "c7 04 25 00 10 03 00 18 00 00 00 c7 04 25 10 10 03 00 44 00 00 00";
      const uart = "66 ba fc 03 b0 08 ee 66 ba f9 03";
      const code = `${open} ${uart} 48 ff c3 ${enableFrom(AT)} ee e6 80 eb f0`;
      const target = await longMode("release", code, how);
      let writes = 0;
      target.onPost(() => {
        if (++writes === AT + 5) target.stop();
      });
      writeU64(target, PT + 0x31 * 8, 0xfec00000n | 3n);
      target.trace((event) => {
        if (event.kind === "message")
          sent.push({ now: event.now, at: BigInt(Math.floor(target.virtualNs)) });
      });
      return target;
    });
    expect(sent.length).toBeGreaterThan(0);
    for (const { now, at } of sent) expect(now).toBe(at);
  });

  it("reads the port anew each time", async () => {
    // L: in al, 40h; add ebx, eax; cmp al, 29; jb L; mov rax, rbx; hlt
    const end = await commonEnd(async (how) => {
      const target = await longMode("release", `e4 40 01 c3 3c 1d 72 f8 ${REPORT}`, how);
      let reads = 0;
      target.ports.register("counter", 0x40, 1, {
        read: () => reads++,
        write: () => {},
        state: () => ({}),
        fromState: () => {},
      });
      return target;
    });
    expect(end).toMatchObject({ reason: "idle", rax: 435n });
  });
});
