/**
 * The DSDT: generic event device, CPUs, serial port, the soft-off state.
 *
 * Every CPU but the first can come and go, through the registers of devices/cpu-hotplug.ts. The slot there is the
 * CPU's position here, and its ACPI UID.
 */
import {
  ACCESS_BYTE,
  ACCESS_DWORD,
  ARG0,
  ARG1,
  BREAK,
  LOCAL0,
  UPDATE_PRESERVE,
  UPDATE_ZEROS,
  acquire,
  amlBytes,
  buffer,
  call,
  define,
  device,
  edgeInterrupt,
  eisaId,
  fields,
  giveBack,
  integer,
  ioRegion,
  isLess,
  join,
  method,
  mutex,
  name,
  notify,
  otherwise,
  packageOf,
  ports,
  release,
  repeatWhile,
  resources,
  scope,
  store,
  text,
  when,
  type Aml,
} from "./aml.js";
import { RTC_GSI, type Platform } from "../platform.js";
import { processorEntry } from "./madt.js";

const CPU_HOTPLUG_PORT = 0xcd8;
const CPU_HOTPLUG_BYTES = 12;
const COM1_PORT = 0x3f8;
const COM1_GSI = 4;
const RTC_PORT = 0x70;
/** The event device's interrupt. */
export const GED_GSI = 9;
/** What SLP_TYP means "soft off": `SLEEP_TYPE_OFF` of devices/sleep-control.ts. */
const SOFT_OFF = 5;

const DEVICE_CHECK = 1;
const EJECT_REQUEST = 3;
/** Commands of the register block. */
const NEXT_EVENT = 0;
const OST_EVENT = 1;
const OST_STATUS = 2;
/** Present, enabled, shown, works. */
const STA_ALL = 0x0f;

const LOCK = "CPLK";

/** Body of the DSDT, without its header. @param apicIds - of all CPUs that are there or may come, in slot order */
export function dsdtBody(apicIds: readonly number[], platform: Platform = "minimal"): Uint8Array {
  const hotplug = apicIds.map((_, slot) => slot).slice(1);
  const board = scope(
    "_SB",
    ioRegion("PRST", CPU_HOTPLUG_PORT, CPU_HOTPLUG_BYTES),
    fields(
      "PRST",
      ACCESS_BYTE | UPDATE_ZEROS,
      ["", 32],
      ["CPEN", 1], // enabled
      ["CINS", 1], // insert event
      ["CRMV", 1], // remove event
      ["CEJ0", 1], // eject
      ["CEJF", 1], // eject by firmware
      ["", 3],
      ["CCMD", 8],
    ),
    fields("PRST", ACCESS_DWORD | UPDATE_PRESERVE, ["CSEL", 32], ["", 32], ["CDAT", 32]),
    mutex(LOCK),
    device(
      "GED",
      define("_HID", text("ACPI0013")),
      define("_UID", integer(0)),
      define("_CRS", resources(edgeInterrupt(GED_GSI))),
      method("_EVT", 1, acquire(LOCK), tellEvents(hotplug), release(LOCK)),
    ),
    ...(hotplug.length > 1 ? [method("NTFY", 2, notifyOne(hotplug))] : []),
    // CPU by CPU to bytes: the terms of thousands of CPUs would be much more to keep.
    join(apicIds.map((apicId, slot) => amlBytes(cpuDevice(apicId, slot)))),
    device(
      "COM1",
      define("_HID", eisaId("PNP0501")),
      define("_UID", integer(1)),
      define("_CRS", resources(ports(COM1_PORT, 8), edgeInterrupt(COM1_GSI))),
    ),
    ...(platform === "pc" ? [realTimeClock()] : []),
  );
  const off = define("_S5", packageOf(integer(SOFT_OFF), integer(0), integer(0), integer(0)));
  return amlBytes(join([board, off]));
}

function realTimeClock(): Aml {
  return device(
    "RTC",
    define("_HID", eisaId("PNP0B00")),
    define("_CRS", resources(ports(RTC_PORT, 2), edgeInterrupt(RTC_GSI))),
  );
}

/** Names of up to 36^3 CPUs: C000, C001 ... */
function cpuName(slot: number): string {
  return `C${slot.toString(36).toUpperCase().padStart(3, "0")}`;
}

function select(slot: number): Aml {
  return store(integer(slot), name("CSEL"));
}

const acknowledge = (event: string) => store(integer(1), name(event));

/**
 * Tells of every event. One CPU is asked; of many, the block finds the first that has an event, so that thousands of CPUs
 * cost no more than a few.
 */
function tellEvents(slots: readonly number[]): Aml {
  if (slots.length <= 1) return join(slots.map(tellEventsOf));
  const tell = (event: string, code: number) =>
    when(name(event), call("NTFY", name("CDAT"), integer(code)), acknowledge(event));
  return join([
    select(0),
    repeatWhile(
      integer(1),
      store(integer(NEXT_EVENT), name("CCMD")),
      tell("CINS", DEVICE_CHECK),
      otherwise(tell("CRMV", EJECT_REQUEST), otherwise(BREAK)),
    ),
  ]);
}

function tellEventsOf(slot: number): Aml {
  return join([
    select(slot),
    when(name("CINS"), notify(cpuName(slot), integer(DEVICE_CHECK)), acknowledge("CINS")),
    when(name("CRMV"), notify(cpuName(slot), integer(EJECT_REQUEST)), acknowledge("CRMV")),
  ]);
}

/** Body of NTFY (slot, code): finds the device of a slot by halves, since AML cannot compute names. */
function notifyOne(slots: readonly number[]): Aml {
  if (slots.length === 1) return notify(cpuName(slots[0]!), ARG1);
  const middle = slots.length >> 1;
  return join([
    when(isLess(ARG0, integer(slots[middle]!)), notifyOne(slots.slice(0, middle))),
    otherwise(notifyOne(slots.slice(middle))),
  ]);
}

const PROCESSOR = amlBytes(define("_HID", text("ACPI0007")));
const LOCKED = amlBytes(acquire(LOCK));
const UNLOCKED = amlBytes(release(LOCK));
/** What the methods of a CPU do when they have selected it. */
const STATUS = amlBytes(
  join([
    store(integer(0), LOCAL0),
    when(name("CPEN"), store(integer(STA_ALL), LOCAL0)),
    UNLOCKED,
    giveBack(LOCAL0),
  ]),
);
const EJECT = amlBytes(join([store(integer(1), name("CEJ0")), UNLOCKED]));
const REPORT = amlBytes(
  join([
    store(integer(OST_EVENT), name("CCMD")),
    store(ARG0, name("CDAT")),
    store(integer(OST_STATUS), name("CCMD")),
    store(ARG1, name("CDAT")),
    UNLOCKED,
  ]),
);

function cpuDevice(apicId: number, slot: number): Aml {
  const uid = define("_UID", integer(slot));
  if (slot === 0) return device(cpuName(slot), PROCESSOR, uid);
  const selected = join([LOCKED, select(slot)]);
  return device(
    cpuName(slot),
    PROCESSOR,
    uid,
    define("_MAT", buffer(processorEntry(apicId, slot, true))),
    method("_STA", 0, selected, STATUS),
    method("_EJ0", 1, selected, EJECT),
    method("_OST", 3, selected, REPORT),
  );
}
