/**
 * `npm run bench:dispatch`: the dispatch loop of the core beside the tests' plain model, so that the gain is a number.
 *
 * The model is written to be read: it draws up its destination map anew for every message, and counts in BigInt. The
 * ratio is what compiled code on flat memory and a map that is kept gain together.
 */
import { stdout } from "node:process";
import { coreTarget, DISPATCH_ROWS, measureDispatch } from "../../src/bench/dispatch.js";
import type { DispatchTarget } from "../../src/bench/dispatch.js";
import { dispatchTable } from "../../src/bench/dispatch-report.js";
import { KVM_OPTIONS } from "../apic/differential.js";
import { MachineModel, RUNNABLE } from "../apic/machine-model.js";
import { MODEL_POLICIES } from "../apic/presets.js";

const CPU_COUNTS = [2, 16, 255];
const TURNS = { ms: 50, turns: 3 };
const MSR_ICR = 0x830;
const MSR_EOI = 0x80b;

const model: DispatchTarget = {
  name: "model",
  create(cpus) {
    const machine = new MachineModel(MODEL_POLICIES.kvm, KVM_OPTIONS);
    const state = { mode: "x2", svr: 0x1ff, ldr: 0, dfr: 0xffffffff, runState: RUNNABLE } as const;
    for (let id = 0; id < cpus; id++) {
      machine.setState(machine.addVcpu(id, id === 0, true), { ...state, xid: id });
    }
    return {
      send(vcpuIndex, dest, low) {
        machine.writeMsr(vcpuIndex, MSR_ICR, (BigInt(dest) << 32n) | BigInt(low));
      },
      acknowledge: (vcpuIndex) => machine.acknowledge(vcpuIndex),
      endOfInterrupt: (vcpuIndex) => machine.writeMsr(vcpuIndex, MSR_EOI, 0n),
    };
  },
};

const targets = [await coreTarget(Math.max(...CPU_COUNTS)), model];
const results = CPU_COUNTS.flatMap((cpus) =>
  DISPATCH_ROWS.map((row) => measureDispatch(row, cpus, targets, TURNS)),
);
stdout.write(`${dispatchTable(results)}\n`);
