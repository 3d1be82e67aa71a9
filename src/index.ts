/**
 * x2vm: a deterministic multiprocessor x86 machine in WebAssembly.
 *
 *     const machine = await Machine.create({ apicIds: [0, 0x23], memoryBytes: 64 << 20 });
 *     machine.onSerial((byte) => process.stdout.write(String.fromCharCode(byte)));
 *     machine.load(image);
 *     machine.at(2e6, () => machine.hotplug({ apicId: 0x123 }));
 *     const { reason, exitCode } = machine.run();
 */
export { X2vmError, ERROR_CODES, type X2vmErrorCode } from "./errors.js";
export { Machine } from "./machine.js";
export type { RunOptions, RunResult, StepResult, StopReason } from "./run-result.js";
export type { MachineOptions } from "./options.js";
export type { RestoreOptions } from "./snapshot/saved-machine.js";
export type { CoreBuild, CoreSource } from "./core-source.js";
export type { HotplugEvent, HotplugRequest, OstReport } from "./hotplug.js";
export { HotplugStory, type StoryEvent, type StoryKind } from "./hotplug-story.js";
export { textScreen } from "./text-screen.js";
export { ConsoleLines } from "./console-lines.js";
export type { CpuEvent } from "./trace/cpu.js";
export { cpioArchive, type CpioEntry } from "./loaders/cpio.js";
export { linuxMachineOptions } from "./linux-machine.js";
export { isLinux, unpackLinux } from "./loaders/linux-image.js";
export type {
  BootModule,
  CpuStart,
  ImageFormat,
  LoadOptions,
  LoadPiece,
  LoadPlan,
} from "./loaders/image.js";
export {
  GPR_NAMES,
  SEGMENT_NAMES,
  type GprName,
  type Registers,
  type RunState,
  type SegmentName,
  type SegmentValue,
  type TableValue,
  type Vcpu,
} from "./vcpu.js";
export { LAPIC_STATE_BYTES, type LocalApic } from "./local-apic.js";
export {
  isRefusal,
  type ApicEvent,
  type ApicMessageEvent,
  type ApicTargetEvent,
} from "./trace/apic.js";
export {
  describeApicEvent,
  describeMessage,
  describeOutcome,
  describeReason,
} from "./trace/apic-text.js";
export { DEFAULT_POLICY, PRESETS, type Preset } from "./policies.js";
export { CPU_MODELS, DEFAULT_CPU, type CpuModel } from "./cpu-models.js";
export { CPU_FEATURES, type CpuFeature } from "./cpu-features.js";
export { KNOBS, type Knob } from "./knobs.js";
export { KVM_CAP, KVM_X2APIC_API, KVM_X86_QUIRK } from "./capabilities.js";
export type { Interrupts } from "./interrupts.js";
export { parseFault, type DeliveryModeName, type Fault } from "./faults.js";
export type { ExtendedValue, Fpu } from "./fpu.js";
export type { CpuSlot } from "./devices/cpu-hotplug.js";
export type { AccessSize, Device, DeviceState, InterruptLine } from "./devices/device.js";
export type { MmioBus, PortBus } from "./bus.js";
