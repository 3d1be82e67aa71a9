/** `x2vm run`: boots one image and stays with it to its end. */
import { stdin, stderr, stdout } from "node:process";
import { describeApicEvent, type ApicEvent, type Machine } from "../index.js";
import { crashReport, type PastInstruction } from "./crash-report.js";
import { LineFile } from "./files.js";
import { lastInstructions, MAX_REPEATED_INSTRUCTIONS } from "./history.js";
import { prepare, runToEnd, type SessionPlan } from "./session.js";
import { exitStatus, mips, summaryLine, type RunReport } from "./summary.js";
import { Terminal } from "./terminal.js";

export interface OutputOptions {
  /** One JSON document on stdout instead of the serial output. */
  readonly json: boolean;
  /** Trace events go here, a JSON document a line. */
  readonly tracePath: string | undefined;
}

/** Instructions of the history in a crash report. */
const HISTORY = 8;

/** @returns exit status of the process */
export async function runImage(plan: SessionPlan, output: OutputOptions): Promise<number> {
  const machine = await prepare(plan);
  const serial: number[] = [];
  machine.onSerial((byte) => {
    if (output.json) serial.push(byte);
    else stdout.write(Uint8Array.of(byte));
  });
  const trace = output.tracePath === undefined ? undefined : new LineFile(output.tracePath);
  if (trace !== undefined)
    machine.trace((event) => trace.write(traceLine(machine, event)), { others: true });
  const keyboard = stdin.isTTY && !output.json ? stdin : undefined;
  const terminal = new Terminal(keyboard, (bytes) => machine.sendSerial(bytes));
  terminal.open();
  let report: RunReport;
  try {
    report = await runToEnd(machine, plan, terminal);
  } finally {
    terminal.close();
    trace?.close();
  }
  if (output.json)
    stdout.write(`${JSON.stringify(toJson(machine, plan, report, serial), undefined, 2)}\n`);
  if (report.reason === "shutdown") {
    const history = terminal.hasTyped ? [] : await repeat(plan, report);
    const culprit = machine.vcpus[report.vcpuIndex!]!;
    stderr.write(`${crashReport(machine, culprit, history).join("\n")}\n`);
  }
  stderr.write(`${summaryLine(report)}\n`);
  return exitStatus(report);
}

async function repeat(plan: SessionPlan, report: RunReport): Promise<PastInstruction[]> {
  if (report.instructions > MAX_REPEATED_INSTRUCTIONS) return [];
  return lastInstructions(await prepare(plan), report.instructions, HISTORY);
}

function toJson(machine: Machine, plan: SessionPlan, report: RunReport, serial: readonly number[]) {
  return {
    image: plan.imagePath,
    reason: report.isInterrupted ? "interrupted" : report.reason,
    exitCode: report.exitCode ?? null,
    instructions: report.instructions,
    virtualNs: report.virtualNs,
    wallMs: Math.round(report.wallMs * 1000) / 1000,
    mips: Math.round(mips(report) * 10) / 10,
    stateHash: machine.stateHash(),
    cpus: machine.vcpus.map((cpu) => ({
      vcpuIndex: cpu.vcpuIndex,
      apicId: cpu.apicId,
      runState: cpu.runState,
      instructions: Number(cpu.retired),
    })),
    serial: new TextDecoder().decode(Uint8Array.from(serial)),
  };
}

/** An event as a line of JSON: its data, and the sentence that people read. */
function traceLine(machine: Machine, event: ApicEvent): string {
  const text = describeApicEvent(event, (vcpuIndex) => machine.vcpus[vcpuIndex]!.apicId);
  const plain = "now" in event ? { ...event, now: Number(event.now) } : event;
  return JSON.stringify({ text, ...plain });
}
