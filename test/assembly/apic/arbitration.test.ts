/** Lowest priority: who of several takes the message. */
import { describe, expect, it } from "vitest";
import { Apics, LOWEST } from "../../support/apics.js";

const apics = await Apics.create();
const CLUSTER = [0x120, 0x121, 0x123];

function cluster(
  policy: string,
  present: readonly number[] = CLUSTER,
  more: readonly number[] = [],
): void {
  apics.clear(policy).add(0);
  for (const id of [...present, ...more]) apics.add(id);
}

const lowest = (vector: number, dest = 0x0012000b): number[] =>
  apics.send(0, dest, { mode: LOWEST, vector, logical: true });

describe("vector hashing", () => {
  it.each([
    [0x30, 0x120],
    [0x31, 0x121],
    [0x32, 0x123],
    [0x33, 0x120],
  ])("gives vector %i to 0x%s", (vector, id) => {
    cluster("kvm");
    expect(lowest(vector)).toEqual([id]);
  });

  it("loses the message where the winning bit has no CPU, below the largest ID", () => {
    cluster("kvm", [0x120, 0x121], [0x130]);
    expect([0x30, 0x31, 0x32].map((vector) => lowest(vector))).toEqual([[0x120], [0x121], []]);
  });

  it("does not count bits beyond the largest ID", () => {
    cluster("kvm", [0x120, 0x121]);
    expect([0x30, 0x31, 0x32].map((vector) => lowest(vector))).toEqual([[0x120], [0x121], [0x120]]);
  });

  it("learns that the largest ID went away", () => {
    cluster("kvm", [0x120, 0x121], [0x130]);
    apics.setMsr(3, 0x1b, 0xfee00000n);
    expect(lowest(0x32)).toEqual([0x120]);
  });

  it("lets a software-disabled member win and refuse", () => {
    cluster("kvm");
    apics.setMsr(3, 0x80f, 0xffn);
    apics.setMsr(2, 0x80f, 0xffn);
    expect([0x30, 0x31, 0x32].map((vector) => lowest(vector))).toEqual([[0x120], [], []]);
  });

  it("counts the software-enabled matches alone on a scan", () => {
    cluster("kvm-scan");
    apics.setMsr(2, 0x80f, 0xffn);
    expect([0x30, 0x31, 0x32].map((vector) => lowest(vector))).toEqual([[0x120], [0x123], [0x120]]);
  });
});

describe("counters", () => {
  it("take turns from the first, ties to the first", () => {
    cluster("kvm,lowest=counter");
    const order = Array.from({ length: 6 }, () => lowest(0x40)[0]);
    expect(order).toEqual([0x120, 0x121, 0x123, 0x120, 0x121, 0x123]);
  });

  it("start at 0 again after INIT of a LAPIC", () => {
    cluster("kvm,lowest=counter");
    lowest(0x40);
    lowest(0x40);
    apics.x.apicInit(1);
    apics.setMsr(1, 0x80f, 0x1ffn);
    expect(lowest(0x40)).toEqual([0x120]);
    expect(lowest(0x40)).toEqual([0x123]);
  });
});

describe("task priority", () => {
  it.each(["kvm,lowest=tpr", "knl"])(
    "chooses the lowest TPR under %s, ties to the first",
    (policy) => {
      cluster(policy);
      apics.setMsr(1, 0x808, 0x40n);
      apics.setMsr(2, 0x808, 0x20n);
      apics.setMsr(3, 0x808, 0x30n);
      expect(lowest(0x50)).toEqual([0x121]);
      apics.setMsr(2, 0x808, 0x30n);
      expect(lowest(0x50)).toEqual([0x121]);
      apics.setMsr(2, 0x80f, 0xffn); // software-disabled: no candidate
      expect(lowest(0x50)).toEqual([0x123]);
    },
  );
});

describe("lowest priority to physical 0xff on a scan", () => {
  it("becomes Fixed to all", () => {
    apics.clear().add(0, { mode: "x" });
    for (const id of [1, 2, 3]) apics.add(id, { mode: "x" });
    expect(apics.send(0, 0xff, { mode: LOWEST, vector: 0x40 })).toEqual([0, 1, 2, 3]);
    expect(apics.x.apicDeliveredMode()).toBe(0);
  });

  it("with a redirection hint still goes to one", () => {
    apics.clear("kvm,quirk=on").add(0);
    for (const id of [1, 2, 3]) apics.add(id);
    expect(apics.x.apicSignalMsi(0xfeeff008, 0, 0x4042)).toBe(1);
    expect(apics.accepted()).toEqual([2]); // 0x42 mod 4
  });
});
