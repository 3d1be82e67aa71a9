/** `x2vm run`: boots one image and stays with it to its end. */
import { stdin, stderr, stdout } from "node:process";
import {
  HotplugStory,
  describeApicEvent,
  textScreen,
  type ApicEvent,
  type Machine,
  type StoryEvent,
} from "../index.js";
import { hex } from "../errors.js";
import { crashReport, type PastInstruction } from "./crash-report.js";
import { LineFile } from "./files.js";
import { GuestConsole } from "./guest-console.js";
import { lastInstructions, MAX_REPEATED_INSTRUCTIONS } from "./history.js";
import {
  planAfterReset,
  prepare,
  prepareSession,
  runToEnd,
  type Session,
  type SessionPlan,
} from "./session.js";
import { exitStatus, mips, summaryLine, type RunReport } from "./summary.js";
import { Terminal } from "./terminal.js";

export interface OutputOptions {
  /** One JSON document on stdout instead of the serial output. */
  readonly json: boolean;
  /** Tells the story of hotplugs between the guest's lines. */
  readonly showsEvents: boolean;
  /** Says nothing but what the guest says. */
  readonly isQuiet: boolean;
  /** Trace events go here, a JSON document a line. */
  readonly tracePath: string | undefined;
  /** What the guest writes to the debug console goes here; "-" is standard output. */
  readonly debugPath: string | undefined;
  /** The text screen is printed at the end whatever the serial port got. */
  readonly showsScreen: boolean;
  /** A reset boots the machine anew. */
  readonly reboots: boolean;
}

const STANDARD_OUTPUT = "-";
/** Instructions of the history in a crash report. */
const HISTORY = 8;

/** The machines of a run, one after the other, and what is common to them. */
class Run {
  plan: SessionPlan;
  session!: Session;
  readonly serial: number[] = [];
  readonly events: StoryEvent[] = [];
  /** Of the machines before the present one. */
  pastInstructions = 0;
  pastNs = 0;
  pastMs = 0;
  readonly #output: OutputOptions;
  readonly #console = new GuestConsole(stdout, stderr);
  readonly #trace: LineFile | undefined;
  readonly #debug: Pick<LineFile, "put" | "close"> | undefined;
  /** The last POST code (port 0x80). */
  postCode: number | undefined;
  #hasSerial = false;

  constructor(plan: SessionPlan, output: OutputOptions) {
    this.plan = plan;
    this.#output = output;
    const { debugPath, tracePath } = output;
    this.#trace = tracePath === undefined ? undefined : new LineFile(tracePath);
    if (debugPath === STANDARD_OUTPUT)
      this.#debug = { put: (byte) => this.#console.put(byte), close: () => {} };
    else if (debugPath !== undefined) this.#debug = new LineFile(debugPath);
  }

  get machine(): Machine {
    return this.session.machine;
  }

  /** Makes the machine of the present plan. */
  async start(): Promise<void> {
    this.session = await prepareSession(this.plan);
    const { machine } = this;
    const { json, showsEvents } = this.#output;
    const debug = this.#debug;
    if (debug !== undefined) machine.onDebug((byte) => debug.put(byte));
    machine.onPost((code) => (this.postCode = code));
    machine.onSerial((byte) => {
      this.#hasSerial = true;
      if (json) this.serial.push(byte);
      else this.#console.put(byte);
    });
    if (showsEvents) {
      const startNs = this.pastNs;
      new HotplugStory(machine, (event) => {
        if (json) this.events.push({ ...event, virtualNs: startNs + event.virtualNs });
        else this.#console.tell(event, startNs);
      });
    }
    const trace = this.#trace;
    if (trace !== undefined)
      machine.trace((event) => trace.write(traceLine(machine, event)), { others: true });
  }

  /** The guest has reset the machine: the next one takes its place. */
  async restart(report: RunReport): Promise<void> {
    this.pastInstructions += report.instructions;
    this.pastNs += report.virtualNs;
    this.pastMs += report.wallMs;
    if (!this.#output.json && this.#output.showsEvents)
      this.#console.note(this.pastNs, "the guest resets the machine, which boots again");
    this.plan = planAfterReset(this.plan, this.session);
    this.machine.dispose();
    await this.start();
  }

  settle(): void {
    this.#console.settle();
  }

  close(): void {
    this.#console.settle();
    this.#trace?.close();
    this.#debug?.close();
  }

  /** For the summary of a guest that says nothing else: firmware reports its progress so. */
  get postNote(): string {
    return this.#hasSerial || this.postCode === undefined
      ? ""
      : ` · POST code ${hex(this.postCode, 2)}`;
  }

  /** Rows of the text screen for the reader: all of them on request, else those of a guest with no other output. */
  screen(): string[] {
    return this.#output.showsScreen || !this.#hasSerial ? textScreen(this.machine) : [];
  }

  /** The report of the last machine with the sums of all. */
  total(report: RunReport): RunReport {
    return {
      ...report,
      instructions: this.pastInstructions + report.instructions,
      virtualNs: this.pastNs + report.virtualNs,
      wallMs: this.pastMs + report.wallMs,
    };
  }
}

/** @returns exit status of the process */
export async function runImage(plan: SessionPlan, output: OutputOptions): Promise<number> {
  const run = new Run(plan, output);
  await run.start();
  // Input that was given beforehand is all there is: such a run can be repeated, and waits for nobody.
  const isScripted = plan.input !== undefined || plan.inputs.length > 0;
  const isInteractive = stdin.isTTY && !output.json && !isScripted;
  const terminal = new Terminal(isInteractive ? stdin : undefined, {
    send: (bytes) => run.machine.sendSerial(bytes),
    takesKeys: () => run.machine.listensToSerial,
  });
  if (isInteractive && !output.isQuiet) stderr.write("x2vm: Ctrl-] ends the run\n");
  terminal.open();
  let report: RunReport;
  try {
    for (;;) {
      report = await runToEnd(run.machine, run.plan, terminal, () => run.settle());
      if (report.reason !== "reset" || !output.reboots || terminal.isInterrupted) break;
      await run.restart(report);
    }
  } finally {
    terminal.close();
    run.close();
  }
  const total = run.total(report);
  const screen = run.screen();
  if (output.json) stdout.write(`${JSON.stringify(toJson(run, total), undefined, 2)}\n`);
  else if (screen.length > 0) stdout.write(`${screen.join("\n")}\n`);
  if (report.reason === "shutdown") {
    const history = terminal.hasTyped ? [] : await repeat(run.plan, report);
    const culprit = run.machine.vcpus[report.vcpuIndex!]!;
    stderr.write(`${crashReport(run.machine, culprit, history).join("\n")}\n`);
  }
  if (!output.isQuiet) stderr.write(`${summaryLine(total)}${run.postNote}\n`);
  return exitStatus(report);
}

async function repeat(plan: SessionPlan, report: RunReport): Promise<PastInstruction[]> {
  if (report.instructions > MAX_REPEATED_INSTRUCTIONS) return [];
  return lastInstructions(await prepare({ ...plan, saves: [] }), report.instructions, HISTORY);
}

function toJson({ machine, plan, serial, events, postCode }: Run, report: RunReport) {
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
    events,
    screen: textScreen(machine),
    postCode: postCode ?? null,
    serial: new TextDecoder().decode(Uint8Array.from(serial)),
  };
}

/** An event as a line of JSON: its data, and the sentence that people read. */
function traceLine(machine: Machine, event: ApicEvent): string {
  const text = describeApicEvent(event, (vcpuIndex) => machine.vcpus[vcpuIndex]!.apicId);
  const plain = "now" in event ? { ...event, now: Number(event.now) } : event;
  return JSON.stringify({ text, ...plain });
}
