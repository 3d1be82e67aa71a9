/** RETF and IRET look at the limit of the stack before they read it: SDM 2 "RET", "IRET/IRETD/IRETQ". */
import { describe, expect, it } from "vitest";
import { BUILDS, hex } from "../../support/machine.js";
import { HANDLER_BYTES, HANDLERS, worldOf } from "../../support/worlds.js";

const SS_FAULT = 12;

// The page of the frame is the supervisor's: reading it first would be #PF. Recorded on an Intel Xeon.
const ROWS: [what: string, code: string, sp: bigint][] = [
  ["retf", "cb", 0xfffdn],
  ["retf, 32 bits", "66 cb", 0xfffan],
  ["iret", "cf", 0xfffbn],
  ["iretd", "66 cf", 0xfff7n],
];

describe.each(BUILDS)("a frame over the end of the stack (%s)", (build) => {
  it.each(ROWS)("is #SS for %s", async (_, code, sp) => {
    const target = await worldOf(build, "16-bit ring 3", hex(code));
    const [vcpu] = target.vcpus;
    vcpu!.gpr.rsp = sp;
    target.step(0);
    expect(vcpu!.rip).toBe(BigInt(HANDLERS + SS_FAULT * HANDLER_BYTES));
  });
});
