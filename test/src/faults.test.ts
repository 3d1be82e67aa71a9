/** Faults as people write them, and what they do to a running machine. */
import { describe, expect, it } from "vitest";
import { parseFault, X2vmError, type Fault, type Machine } from "../../src/index.js";
import { faultArguments } from "../../src/faults.js";
import { CODE, enterLongMode, longMode, setGate64, hex } from "../support/machine.js";

describe("a fault", () => {
  it.each([
    ["drop", { action: "drop" }],
    ["drop,mode=INIT+sipi,nth=2", { action: "drop", modes: ["INIT", "SIPI"], nth: 2 }],
    ["delay=500us,dest=0x123", { action: "delay", delayNs: 500_000, dest: 0x123 }],
    ["delay=1.5ms", { action: "delay", delayNs: 1_500_000 }],
    ["duplicate", { action: "duplicate", copies: 1 }],
    ["duplicate=3,vector=0x40", { action: "duplicate", copies: 3, vector: 0x40 }],
    [
      "misroute=0x23, sender=0x123, every=10",
      { action: "misroute", to: 0x23, sender: 0x123, every: 10 },
    ],
    ["drop,sender=device,chance=0.25", { action: "drop", sender: "device", chance: 0.25 }],
    ["drop:3", { action: "drop", nth: 3 }],
    ["delay:INIT@10us", { action: "delay", delayNs: 10_000, modes: ["INIT"] }],
    ["duplicate:nmi", { action: "duplicate", copies: 1, modes: ["NMI"] }],
    ["duplicate:2@3", { action: "duplicate", copies: 3, nth: 2 }],
    [
      "misroute:init+SIPI@0x23,nth=4",
      { action: "misroute", to: 0x23, modes: ["INIT", "SIPI"], nth: 4 },
    ],
  ])("written %j is read", (text, fault) => {
    expect(parseFault(text)).toEqual(fault);
  });

  it.each([
    ["", /no action ""/],
    ["lose", /no action "lose".*drop, delay, duplicate, misroute/],
    ["drop=1", /drop takes no value/],
    ["delay", /500us/],
    ["delay=5", /not "5"/],
    ["delay=-5us", /not "-5us"/],
    ["duplicate=0", /from 1 to 1000/],
    ["misroute", /not ""/],
    ["misroute=0x100000000", /to 4294967295/],
    ["drop,mode", /name=value/],
    ["drop,mode=SIP", /no delivery mode "SIP".*SIPI/],
    ["drop,colour=red", /no filter "colour"/],
    ["drop,nth=0", /from 1/],
    ["drop,every=0", /from 1/],
    ["drop,vector=256", /from 0 to 255/],
    ["drop,chance=0", /between 0 and 1/],
    ["drop,chance=1", /between 0 and 1/],
    ["drop,chance=", /between 0 and 1/],
    ["toString", /no action "toString"/],
    ["drop:", /no action "drop:"/],
    ["drop:0", /nth is a whole number from 1/],
    ["drop:3@2", /drop takes no value/],
    ["drop:SIP", /no delivery mode "SIP"/],
    ["delay:INIT", /500us/],
    ["delay:INIT@soon", /not "soon"/],
    ["misroute:INIT", /not ""/],
  ])("written %j is refused", (text, sentence) => {
    expect(() => parseFault(text)).toThrow(X2vmError);
    expect(() => parseFault(text)).toThrow(sentence);
  });

  it.each([
    ["drop", [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ["delay=5s,nth=2", [2, 0, 0, 0, 0, 0, 2, 0, 0, 705032704, 1]],
    ["duplicate,every=3", [3, 0, 0, 0, 0, 0, 3, 3, 0, 1, 0]],
    ["misroute=0x123,nth=4,every=2", [4, 0, 0, 0, 0, 0, 4, 2, 0, 0x123, 0]],
    [
      "drop,sender=0x23,mode=INIT+SIPI,vector=1,dest=2,chance=0.5",
      [1, 15, 7, 0x60, 1, 2, 0, 0, 0x80000000, 0, 0],
    ],
    ["drop,sender=device", [1, 1, -1, 0, 0, 0, 0, 0, 0, 0, 0]],
  ])("written %j goes to the core as %j", (text, numbers) => {
    expect(faultArguments(parseFault(text), () => 7)).toEqual(numbers);
  });
});

describe("a fault of a program", () => {
  it.each<[unknown, RegExp]>([
    [{ action: "lose" }, /no action "lose"/],
    [{}, /no action "undefined"/],
    [{ action: "delay" }, /delayNs is a whole number from 0 .*, not NaN/],
    [{ action: "delay", delayNs: 0.5 }, /delayNs .* not 0.5/],
    [{ action: "duplicate", copies: 0 }, /copies .* not 0/],
    [{ action: "misroute" }, /to is a whole number/],
    [{ action: "misroute", to: 2 ** 32 }, /to .* not 4294967296/],
    [{ action: "drop", sender: 0xffffffff }, /sender .* not 4294967295/],
    [{ action: "drop", modes: ["INITIAL"] }, /no delivery mode "INITIAL"/],
    [{ action: "drop", vector: 256 }, /vector .* not 256/],
    [{ action: "drop", dest: -1 }, /dest .* not -1/],
    [{ action: "drop", nth: 0 }, /nth .* not 0/],
    [{ action: "drop", every: 1.5 }, /every .* not 1.5/],
    [{ action: "drop", chance: 1 }, /between 0 and 1, not 1/],
  ])("made as %j is refused", (fault, sentence) => {
    const make = () => faultArguments(fault as Fault, () => 7);
    expect(make).toThrow(expect.objectContaining({ code: "BAD_OPTION" }));
    expect(make).toThrow(sentence);
  });
});

describe("a machine with faults", () => {
  const VECTOR = 0x41;
  const HANDLER = CODE + 0x100;
  const ICR_TO_1 = (1n << 32n) | 0x4041n;

  /** Two CPUs that halt with interrupts on; CPU 1 counts in RBX and does not write EOI. */
  async function pair(...faults: string[]): Promise<Machine> {
    const target = await longMode("release", "fb f4 eb fd", { cpus: 2 }); // sti; hlt; jmp hlt
    enterLongMode(target, target.vcpus[1]!);
    setGate64(target, VECTOR, HANDLER);
    target.writeMemory(HANDLER, hex("48 ff c3 48 cf")); // inc rbx; iretq
    for (const vcpu of target.vcpus) {
      vcpu.writeMsr(0x1b, vcpu.readMsr(0x1b)! | 0xc00n);
      vcpu.writeMsr(0x80f, 0x1ffn);
    }
    for (const fault of faults) target.interrupts.injectFault(parseFault(fault));
    return target;
  }

  // CPU 1 powers up waiting for SIPI: self-IPIs of CPU 0 show the same, without waking it first.
  const send = (target: Machine): void =>
    void target.vcpus[0]!.writeMsr(0x830, ICR_TO_1 & 0xffffffffn);
  const count = (target: Machine): bigint => target.vcpus[0]!.gpr.rbx;

  it("loses the message", async () => {
    const target = await pair("drop");
    send(target);
    target.run();
    expect(count(target)).toBe(0n);
    target.interrupts.clearFaults();
    send(target);
    target.run();
    expect(count(target)).toBe(1n);
  });

  it("lets a delayed message arrive at its time, waking an idle machine", async () => {
    const target = await pair("delay=2ms");
    send(target);
    const before = target.virtualNs;
    target.run();
    expect(count(target)).toBe(1n);
    expect(target.virtualNs - before).toBeGreaterThanOrEqual(2e6);
    expect(target.virtualNs - before).toBeLessThan(2.1e6);
  });

  it("runs the same twice by chance", async () => {
    const outcomes = async (): Promise<string> => {
      const target = await pair("drop,chance=0.5");
      const seen: bigint[] = [];
      for (let n = 0; n < 32; n++) {
        send(target);
        target.run();
        target.vcpus[0]!.writeMsr(0x80b, 0n);
        seen.push(count(target));
      }
      return seen.join(" ");
    };
    const first = await outcomes();
    expect(first).not.toContain("32");
    expect(first.split(" ").at(-1)).not.toBe("0");
    expect(await outcomes()).toBe(first);
  });

  it("refuses an unknown sender and a seventeenth fault", async () => {
    const target = await pair();
    expect(() => target.interrupts.injectFault({ action: "drop", sender: 0x99 })).toThrow(
      /No CPU has APIC ID 0x99/,
    );
    for (let n = 0; n < 16; n++) target.interrupts.injectFault({ action: "drop", nth: 1000 });
    expect(() => target.interrupts.injectFault({ action: "drop" })).toThrow(/sixteen/);
  });
});
