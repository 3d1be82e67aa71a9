/** The destination map: when it is rebuilt, what it costs, and IDs anywhere in 32 bits. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { KNOB_IDS32, PATH_MAP, PATH_SCAN } from "../../../assembly/abi.js";
import { Apics, NMI } from "../../support/apics.js";

const apics = await Apics.create(4096);
const nmi = (dest: number): number[] => apics.send(0, dest, { mode: NMI });

describe("a rebuild of the map", () => {
  it("does not happen when a vCPU is created, and does when any LAPIC is reset", () => {
    apics.clear().add(0);
    const fresh = apics.addFresh(0x123, false);
    expect(nmi(0x123)).toEqual([]);
    expect(apics.x.apicPath()).toBe(PATH_MAP);
    expect(apics.send(0, 0, { mode: NMI, shorthand: 3 })).toEqual([0x123]); // a scan sees it
    apics.x.apicReset(fresh, 0);
    expect(nmi(0x123)).toEqual([0x123]);
  });

  it("takes in the vCPUs created before, at the creation of the next", () => {
    apics.clear().add(0);
    apics.addFresh(0x123, false);
    apics.addFresh(0x124, false);
    expect(nmi(0x123)).toEqual([0x123]);
    expect(nmi(0x124)).toEqual([]);
  });

  it.each([
    ["LDR", 0xd0, 0x01000000],
    ["DFR", 0xe0, 0xffffffff],
    ["ID", 0x20, 0x05000000],
    ["SVR", 0xf0, 0xff],
  ])("follows a write of another CPU's %s", (_name, offset, value) => {
    apics.clear().add(0);
    const other = apics.add(5, { mode: "x" });
    apics.addFresh(0x123, false);
    expect(nmi(0x123)).toEqual([]);
    apics.write(other, offset, value);
    expect(nmi(0x123)).toEqual([0x123]);
  });

  it("does not follow a write of SVR that leaves bit 8 alone", () => {
    apics.clear().add(0);
    const other = apics.add(5, { mode: "x" });
    apics.addFresh(0x123, false);
    apics.write(other, 0xf0, 0x1ee);
    expect(nmi(0x123)).toEqual([]);
  });

  it("is when USE_32BIT_IDS begins to count", () => {
    apics.clear("kvm-f0").add(0);
    const owner = apics.add(0x23, { mode: "x" });
    apics.add(0x123, { mode: "x" });
    expect(nmi(0x23)).toEqual([0x23, 0x123]);
    apics.x.apicSetKnob(KNOB_IDS32, 1);
    expect(nmi(0x23)).toEqual([0x23, 0x123]);
    expect(apics.x.apicPath()).toBe(PATH_SCAN);
    apics.write(owner, 0xf0, 0xff); // toggles SVR[8]
    expect(nmi(0x23)).toEqual([0x23]);
    expect(apics.x.apicPath()).toBe(PATH_MAP);
  });
});

describe("aliased 8-bit IDs", () => {
  it("fall to the next created CPU when their owner leaves, and back when it returns", () => {
    apics.clear().add(0);
    const cpus = [0x123, 0x223, 0x323, 0x423].map((id) => apics.add(id, { mode: "x" }));
    const owner = (): number => nmi(0x23)[0]!;
    expect(owner()).toBe(0x123);
    apics.setMsr(cpus[0]!, 0x1b, 0xfee00c00n);
    expect(owner()).toBe(0x223);
    apics.setMsr(cpus[1]!, 0x1b, 0xfee00000n);
    expect(owner()).toBe(0x323);
    apics.setMsr(cpus[1]!, 0x1b, 0xfee00800n);
    expect(owner()).toBe(0x223);
    apics.write(cpus[1]!, 0x20, 0x99000000);
    apics.write(cpus[2]!, 0x20, 0x99000000);
    apics.write(cpus[3]!, 0x20, 0x99000000);
    expect(nmi(0x23)).toEqual([]);
    expect(nmi(0x99)).toEqual([0x223]);
  });

  it("give the map of the flagless KVM up, and it returns with the last alias gone", () => {
    apics.clear("kvm-f0").add(0);
    apics.add(0x23, { mode: "x" });
    const alias = apics.add(0x123, { mode: "x" });
    nmi(0x23);
    expect(apics.x.apicPath()).toBe(PATH_SCAN);
    apics.setMsr(alias, 0x1b, 0xfee00c00n);
    nmi(0x23);
    expect(apics.x.apicPath()).toBe(PATH_MAP);
  });
});

describe("the incremental map", () => {
  // The same CPUs, brought into their final state on winding ways, answer like a machine set up directly.
  const modes = fc.constantFrom("off", "x", "x2");
  const change = fc.record({
    cpu: fc.nat({ max: 5 }),
    mode: modes,
    xid: fc.constantFrom(0x20, 0x21, 0x23),
    sw: fc.boolean(),
    logicalId: fc.constantFrom(0, 1, 2, 3, 0x11),
    dfr: fc.constantFrom(0xffffffff, 0x0fffffff),
  });
  const IDS = [0x20, 0x21, 0x23, 0x120, 0x123, 0xfffffffe];
  const DESTS = [0x20, 0x21, 0x23, 0x120, 0x123, 0xff, 0xfffffffe];

  const answers = (): string[] =>
    DESTS.flatMap((dest) =>
      [false, true].map((logical) => {
        const taken = apics.send(6, dest, { mode: NMI, logical });
        return `${dest.toString(16)} ${logical}: ${taken.join(" ")} by ${apics.x.apicPath()}`;
      }),
    );

  it.each(["kvm", "kvm-f0", "kvm-legacy"])("has no memory of the way under %s", (policy) => {
    const machine = (): void => {
      apics.clear(policy);
      for (const id of IDS) apics.addFresh(id);
      apics.add(0x777);
    };
    const apply = (c: {
      cpu: number;
      mode: string;
      xid: number;
      sw: boolean;
      logicalId: number;
      dfr: number;
    }): void => {
      const mode = { off: 0, x: 1, x2: 2 }[c.mode]!;
      const ldr = (c.logicalId << 24) >>> 0;
      apics.x.apicSetState(c.cpu, mode, c.xid, c.sw ? 0x1ff : 0xff, ldr, c.dfr, 0);
    };
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 40 }), (changes) => {
        machine();
        changes.forEach(apply);
        const wound = answers();
        machine();
        const last = new Map(changes.map((c) => [c.cpu, c]));
        [...last.values()].sort((a, b) => b.cpu - a.cpu).forEach(apply);
        expect(wound).toEqual(answers());
      }),
      { numRuns: 300, seed: 1 },
    );
  });
});

describe("APIC IDs", () => {
  const SPARSE = [0, 0x123, 0x12345678, 0x80000000, 0xfffffffe];

  it("may lie anywhere in 32 bits", () => {
    apics.clear();
    for (const id of SPARSE) apics.add(id);
    for (const id of SPARSE) expect(nmi(id)).toEqual([id]);
    expect(nmi(0x12345679)).toEqual([]);
  });

  it("that collide in a hash table are told apart, 4,096 of them", () => {
    apics.clear();
    // Equal low bits, then equal high bits.
    const ids = Array.from({ length: 4096 }, (_, n) =>
      n % 2 === 0 ? n * 0x100000 + 0x4000 : 0xf0000000 + n,
    );
    for (const id of ids) apics.add(id >>> 0);
    const lost = ids.filter((id) => apics.x.apicSend(0, id, 0, 0, NMI, 0, 0, 1) !== 1);
    expect(lost).toEqual([]);
  });

  it.each([
    ["taken", 5, -2],
    ["the broadcast ID", 0xffffffff, -3],
  ])("are refused: %s", (_name, id, error) => {
    apics.clear().add(5);
    expect(apics.x.apicAddVcpu(id, 0, 1)).toBe(error);
  });

  it("are refused beyond the capacity", async () => {
    const two = await Apics.create(2);
    expect([1, 2, 3].map((id) => two.x.apicAddVcpu(id, 0, 1))).toEqual([0, 1, -1]);
  });
});

describe("a removed CPU", () => {
  it.each([
    ["kvm", [0x123]],
    ["kvm,unpluggedIgnores=on", []],
    ["kvm-scan", [0x123]],
    ["kvm-scan,unpluggedIgnores=on", []],
  ])("under %s takes what comes for it: %j", (policy, ids) => {
    apics.clear(policy).add(0);
    const cpu = apics.add(0x123);
    apics.x.apicRemove(cpu);
    expect(nmi(0x123)).toEqual(ids);
    apics.x.apicReset(cpu, 0);
    expect(nmi(0x123)).toEqual([0x123]);
  });

  it("leaves its 8-bit ID to the next where its LAPIC is gone", () => {
    apics.clear("kvm,unpluggedIgnores=on").add(0);
    apics.add(0x123, { mode: "x" });
    const owner = apics.add(0x23);
    expect(nmi(0x23)).toEqual([0x23]);
    apics.x.apicRemove(owner);
    expect(nmi(0x23)).toEqual([0x123]);
  });
});
