/** The core's APIC fabric as a target of conformance, under the policy of KVM. */
import * as abi from "../../assembly/abi.js";
import type { ApicCore } from "../apic-exports.js";
import type { ApicTarget } from "./conform.js";
import type { Outcome, Scenario } from "./scenario.js";
import { describeApicEvent } from "../trace/apic-text.js";
import { decodeApicEvent, TRACE_MESSAGES, TRACE_OTHERS, TRACE_TARGETS } from "../trace/apic.js";

const MODES = { off: 0, x: 1, x2: 2 } as const;
const STARTUP = 6;
const LOWEST_PRIORITY = 1;
const FIXED = 0;

/** The knobs that make KVM, its two flags apart. Every other knob keeps the core's own default. */
const KVM_KNOBS: readonly (readonly [number, number])[] = [
  [abi.KNOB_SLOT, abi.SLOT_MAP_BOTH],
  [abi.KNOB_LOW, abi.LOW_OWNER],
  [abi.KNOB_HIGH, abi.HIGH_HACK],
  [abi.KNOB_BROADCAST32, 0],
  [abi.KNOB_BROADCAST8, 1],
  [abi.KNOB_FOLLOW_IDS32, 1],
  [abi.KNOB_SENDER_FORMAT, 0],
  [abi.KNOB_MAP_FORM, abi.MAP_KVM_6],
  [abi.KNOB_LOWEST, abi.LOWEST_VECTOR_HASH],
  [abi.KNOB_ERRORS, 0],
  [abi.KNOB_FIRST_SIPI, 0],
];

/** @param core - an instance on which `create` was called with room for every scenario's CPUs */
export function coreTarget(core: ApicCore): ApicTarget {
  return {
    name: "core",
    run: (scenario) => runScenario(core, scenario),
    explain: (scenario) => explainScenario(core, scenario),
  };
}

function runScenario(core: ApicCore, scenario: Scenario): Outcome {
  const { exports } = core;
  build(core, scenario);
  const ret = send(core, scenario);
  const accepted = scenario.cpus.map((_, n) => exports.apicAccepted(n) === 1);
  // A message that KVM turned into Fixed was not accepted as sent.
  const mode = exports.apicDeliveredMode();
  const isAsSent = mode === scenario.dlv || (mode === FIXED && scenario.dlv === LOWEST_PRIORITY);
  const started: [number, number][] = [];
  const mpAfter = scenario.cpus.map((cpu, n) => {
    const happened = exports.apicProcessEvents(n);
    if ((happened & 2) !== 0) started.push([cpu.id, sipiVector(core, n) << 8]);
    return runState(core, n);
  });
  return {
    acc: scenario.cpus.filter((_, n) => isAsSent && accepted[n]).map((cpu) => cpu.id),
    ret: scenario.from === null ? ret : null,
    mpAfter,
    cs: scenario.dlv === STARTUP ? started : null,
  };
}

function build({ exports }: ApicCore, scenario: Scenario): void {
  exports.apicClear();
  for (const [knob, value] of KVM_KNOBS) exports.apicSetKnob(knob, value);
  exports.apicSetKnob(abi.KNOB_IDS32, scenario.ids32 ? 1 : 0);
  exports.apicSetKnob(abi.KNOB_QUIRK, scenario.noquirk ? 0 : 1);
  for (const cpu of scenario.cpus) exports.apicAddVcpu(cpu.id, cpu.id === 0 ? 1 : 0, 1);
  scenario.cpus.forEach((cpu, n) => {
    const svr = 0xff | (cpu.sw ? 0x100 : 0);
    exports.apicSetState(n, MODES[cpu.mode], cpu.xid, svr, cpu.ldr, cpu.dfr, cpu.mp);
  });
}

function send({ exports }: ApicCore, scenario: Scenario): number {
  const { from, dest, dm, sh, dlv, vec, trig, level, rh } = scenario;
  if (from !== null) return exports.apicSend(from, dest, dm, sh, dlv, vec, trig, level);
  const addressLow = 0xfee00000 | ((dest & 0xff) << 12) | (rh << 3) | (dm << 2);
  const data = vec | (dlv << 8) | (level << 14) | (trig << 15);
  return exports.apicSignalMsi(addressLow, dest & 0xffffff00, data);
}

/** As KVM_GET_MP_STATE tells it: a halted vCPU that was kicked reads RUNNABLE. */
function runState(core: ApicCore, vcpuIndex: number): number {
  const record = recordOf(core, vcpuIndex);
  const state = core.view.getUint32(record + abi.VCPU_RUN_STATE, true);
  const isKicked = (core.view.getUint32(record + abi.VCPU_REQUEST, true) & abi.REQ_KICK) !== 0;
  return state === abi.HALTED && isKicked ? abi.RUNNABLE : state;
}

function sipiVector(core: ApicCore, vcpuIndex: number): number {
  return core.view.getUint32(recordOf(core, vcpuIndex) + abi.VCPU_SIPI_VECTOR, true);
}

function recordOf(core: ApicCore, vcpuIndex: number): number {
  return core.exports.vcpuAddress(vcpuIndex) >>> 0;
}

/** The core's own reasons, from its trace. */
function explainScenario(core: ApicCore, scenario: Scenario): string[] {
  const sentences: string[] = [];
  const apicIdOf = (vcpuIndex: number): number => scenario.cpus[vcpuIndex]!.id;
  build(core, scenario);
  core.onTrace = (kind, record) => {
    const event = decodeApicEvent(kind, core.view, record);
    sentences.push(describeApicEvent(event, apicIdOf));
  };
  core.exports.setTraceMask(TRACE_MESSAGES | TRACE_TARGETS | TRACE_OTHERS);
  try {
    send(core, scenario);
  } finally {
    core.exports.setTraceMask(0);
    core.onTrace = undefined;
  }
  return sentences;
}
