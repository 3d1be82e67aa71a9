/**
 * What the core and the host agree on: plain constants, imported by both.
 *
 * Untyped `export const`s only, so that `asc` and `tsc` read the same file. Record offsets are asserted against the
 * structs at compile time (vcpu.ts, apic/lapic.ts).
 */

// Why `run` returned.
export const EXIT_BUDGET = 0; // the instruction budget is used up
export const EXIT_IDLE = 1; // every vCPU waits and no timer is armed
export const EXIT_TIME = 2; // the virtual time given to `setStopTime` is reached
export const EXIT_STOP = 3; // the host called `requestStop` from a device
export const EXIT_SHUTDOWN = 4; // a vCPU took a triple fault

// Run states of a vCPU (KVM_MP_STATE_*, plus SHUTDOWN and ABSENT).
export const RUNNABLE = 0;
export const UNINITIALIZED = 1; // power-up state of an application processor: waits for INIT
export const WAIT_FOR_SIPI = 2; // KVM: INIT_RECEIVED
export const HALTED = 3;
export const SHUTDOWN = 4; // after a triple fault: only INIT or RESET help
export const ABSENT = 5; // the slot holds no CPU (never added, or removed)

// Bits of a vCPU's request word: looked at on every instruction boundary of a running vCPU.
export const REQ_INTERRUPT = 1; // the LAPIC may have a vector to deliver
export const REQ_NMI = 2;
export const REQ_INIT = 4;
export const REQ_SIPI = 8;
export const REQ_TIMER = 16; // LVT timer deadline changed: the queue must be told
export const REQ_KICK = 32; // delivery mode 3 (PV kick): leave HLT
export const REQ_EXTINT = 64; // the PIC asserts INTR through LINT0
export const REQ_SMI = 128; // accepted and dropped: SMM is not modelled

/** Largest ROM: 16 MiB below 4 GiB, above the APICs. */
export const ROM_MAX_BYTES = 0x1000000;
/** As much of the end of a ROM shows below 1 MiB. */
export const ROM_LOW_BYTES = 0x20000;

// Flags of `addVcpu`.
export const ADD_BSP = 1; // bootstrap processor: starts RUNNABLE
export const ADD_X2APIC = 2; // the VMM sets APIC_BASE.EXTD before the CPU first runs (policy x2apic-reset)

// Errors of `addVcpu`, `removeVcpu`.
export const ERROR_CAPACITY = -1;
export const ERROR_APIC_ID_TAKEN = -2;
export const ERROR_APIC_ID_RANGE = -3;
export const ERROR_NO_VCPU = -4;

// The vCPU record: byte offsets of the fields that the host reads and writes (vcpu.ts draws it whole).
export const VCPU_BYTES = 1856; // 29 cache lines: an odd number, so that hot lines spread over all cache sets
export const VCPU_GPR = 0; // rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 .. r15
export const VCPU_RIP = 128;
export const VCPU_ZERO = 136; // always 0: a missing base or index register
export const VCPU_FLAG_RESULT = 144; // lazy flags (cpu/flags.ts)
export const VCPU_FLAG_AUX = 152; // u32
export const VCPU_EFLAGS = 156; // u32: RFLAGS without the arithmetic flags
export const VCPU_REQUEST = 160;
export const VCPU_RUN_STATE = 164;
export const VCPU_CPL = 172; // u32, 0..3
export const VCPU_APIC_ID = 188; // x2APIC ID, 32 bits, fixed for the life of the vCPU
export const VCPU_INDEX = 192;
export const VCPU_NMI = 196; // u32: bit 0 blocked until IRET, bits 9:8 how many are queued
export const VCPU_RETIRED = 200; // u64: instructions retired by this vCPU
export const VCPU_SHUTDOWN_CAUSE = 228; // u32: first vector in bits 7:0, the one that hit its delivery in bits 15:8
export const VCPU_SIPI_VECTOR = 224; // of the last STARTUP
export const VCPU_TLB_TAG = 232; // u32 (mem/tlb.ts)
export const VCPU_TLB_SALT = 268; // u32
export const VCPU_SEGMENT = 768; // es, cs, ss, ds, fs, gs, ldtr, tr: SEGMENT_BYTES each
export const SEGMENT_BYTES = 24;
export const SEGMENT_BASE = 0; // u64
export const SEGMENT_LIMIT = 8; // u32, bytes, granularity applied
export const SEGMENT_AR = 12; // u32, access rights as in the VMX guest state: type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15, unusable 16
export const SEGMENT_SELECTOR = 16; // u16
export const VCPU_GDTR = 256; // base u64, limit u32
export const VCPU_IDTR = 272;
export const VCPU_CR0 = 288;
export const VCPU_CR2 = 296;
export const VCPU_CR3 = 304;
export const VCPU_CR4 = 312;
export const VCPU_EFER = 320;
export const VCPU_XCR0 = 328;
export const VCPU_DR = 336; // dr0 .. dr3, dr6, dr7: u64 each
export const VCPU_LAPIC = 1024;
export const LAPIC_BYTES = 320;
export const VCPU_FPU = 1344;
export const FPU_BYTES = 512;
export const FPU_ST = 0; // eight registers, 16 bytes each: significand u64, sign and exponent u16 (physical numbering)
export const FPU_XMM = 128; // sixteen registers, 16 bytes each
export const FPU_FCW = 384; // u16
export const FPU_FSW = 386; // u16, with TOP
export const FPU_FTW = 388; // u8: FXSAVE form, one bit a physical register, 1 = valid
export const FPU_FOP = 390; // u16
export const FPU_FIP = 392; // u64
export const FPU_FDP = 400; // u64
export const FPU_FCS = 408; // u16
export const FPU_FDS = 410; // u16
export const FPU_MXCSR = 412; // u32

// Segment register numbers: position in the record and in the instruction encoding.
export const ES = 0;
export const CS = 1;
export const SS = 2;
export const DS = 3;
export const FS = 4;
export const GS = 5;
export const LDTR = 6;
export const TR = 7;

// Knobs of the APIC policy (assembly/apic/policy.ts): number, then the values that have a name.
export const KNOB_SLOT = 0; // physical lookups: no map, or which IDs a LAPIC is entered under
export const SLOT_SCAN = 0;
export const SLOT_MAP_BOTH = 1; // x2APIC ID in x2APIC mode or above 0xff, and the 8-bit ID in xAPIC mode
export const SLOT_MAP_MODE = 2; // the ID of the present mode only
export const KNOB_LOW = 1; // several LAPICs claim one ID
export const LOW_ALL = 0; // a map with such an ID is given up for the scan
export const LOW_OWNER = 1; // the x2APIC-mode LAPIC, else the first created
export const LOW_LAST = 2; // the last created
export const KNOB_HIGH = 2; // xAPIC-mode target of a scan, destination above 0xff
export const HIGH_HACK = 0; // compare with the x2APIC ID
export const HIGH_DROP = 1;
export const HIGH_TRUNCATE = 2; // compare the low byte with the 8-bit ID
export const KNOB_BROADCAST32 = 3; // scan: 0xffffffff reaches xAPIC-mode targets
export const KNOB_BROADCAST8 = 4; // scan: physical 0xff of an x2APIC-mode sender reaches xAPIC-mode targets
export const KNOB_QUIRK = 5; // sender-less 0xff is a broadcast for x2APIC-mode targets too
export const KNOB_IDS32 = 6; // KVM_X2APIC_API_USE_32BIT_IDS
export const KNOB_FOLLOW_IDS32 = 7; // slot and low follow KNOB_IDS32, as in KVM since 6.3
export const KNOB_SENDER_FORMAT = 8; // scan: a target compares in the sender's format (KVM 4.9)
export const KNOB_MAP_FORM = 9; // rules of the map's bound, of its logical part and of its "nobody" answer
export const MAP_KVM_6 = 0;
export const MAP_KVM_4_9 = 1;
export const KNOB_TRUNCATED_BROADCAST = 10; // with HIGH_TRUNCATE: low byte 0xff of a long destination is a broadcast
export const KNOB_XID_WRITABLE = 11;
export const KNOB_HOTPLUG_X2APIC = 12; // a hot-added CPU is put in x2APIC mode by the VMM
export const KNOB_LOWEST = 13; // lowest-priority arbitration
export const LOWEST_VECTOR_HASH = 0;
export const LOWEST_COUNTER = 1; // KVM vector_hashing=0
export const LOWEST_TPR = 2;
export const KNOB_RESERVED_BITS = 14;
export const RESERVED_KVM = 0; // most reserved bits are masked
export const RESERVED_SDM = 1; // every reserved bit of an x2APIC MSR faults
export const KNOB_ERRORS = 15; // ESR works and vectors below 16 are refused; off: ESR is 0 and they are stored
export const KNOB_SPURIOUS = 16; // an interrupt that TPR overtook gives the spurious vector
export const KNOB_UNPLUGGED_IGNORES = 17; // the LAPIC of a removed CPU takes no messages
export const KNOB_FIRST_SIPI = 18; // of two SIPIs before the target runs the first counts, not the last
export const KNOB_TIMER_MODE_DISARMS = 19; // any change of the timer mode disarms; off: as KVM, deadline <-> other only
export const KNOB_PERIOD_MIN = 20; // ns: shortest period of a periodic timer
export const KNOB_DIRECTED_EOI = 21; // suppression of EOI broadcasts
export const DIRECTED_EOI_ABSENT = 0;
export const DIRECTED_EOI_ADVERTISED = 1; // the version bit is set, EOIs are broadcast all the same
export const DIRECTED_EOI_WORKS = 2;
export const KNOB_LVT_CMCI = 22; // the CMCI entry exists
export const KNOB_TSC_DEADLINE = 23; // CPUID.1:ECX[24]
export const KNOB_X2APIC = 24; // CPUID.1:ECX[21]
export const KNOB_MAXPHYADDR = 25; // bits
export const KNOB_LINT0_REENABLED = 26; // KVM_X86_QUIRK_LINT0_REENABLED
export const KNOB_MMIO_HOLE = 27; // KVM_X86_QUIRK_LAPIC_MMIO_HOLE
export const KNOB_MSI_EXT_DEST = 28; // the VMM converts 15-bit MSI and IOAPIC destinations
export const KNOB_BUS_CYCLE = 29; // ns: cycle of the timer's clock (KVM_CAP_X86_APIC_BUS_CYCLES_NS)
export const KNOB_COUNT = 30;

// How a message found its targets.
export const PATH_NONE = 0;
export const PATH_SELF = 1; // shorthand self
export const PATH_MAP = 2;
export const PATH_SCAN = 3;
export const PATH_WITHHELD = 4; // dropped or delayed by fault injection

// Why a scan, or the map, selected a LAPIC ...
export const MATCH_SELF = 1; // shorthand self
export const MATCH_ALL = 2; // shorthand all, or all but self
export const MATCH_BROADCAST = 3; // 0xff in xAPIC mode, 0xffffffff in x2APIC mode
export const MATCH_QUIRK = 4; // sender-less 0xff, x2APIC mode
export const MATCH_BROADCAST32 = 5; // 0xffffffff in xAPIC mode
export const MATCH_TRUNCATED_BROADCAST = 6; // low byte 0xff in xAPIC mode
export const MATCH_X2ID = 7;
export const MATCH_XID = 8;
export const MATCH_HACK = 9; // xAPIC mode, destination above 0xff equals the x2APIC ID
export const MATCH_TRUNCATED = 10; // xAPIC mode, low byte equals the 8-bit ID
export const MATCH_X2APIC_CLUSTER = 11;
export const MATCH_FLAT = 12;
export const MATCH_CLUSTER = 13;
export const MATCH_MAP_OWNER = 14; // the map holds this LAPIC under the destination
export const MATCH_MAP_LOGICAL = 15; // the map holds it under one of the logical IDs
// ... or did not.
export const MISS_HARDWARE_DISABLED = 32; // APIC_BASE.EN = 0, or the CPU is gone
export const MISS_NOT_SELF = 33;
export const MISS_SENDER = 34; // all but self
export const MISS_X2ID = 35;
export const MISS_XID = 36;
export const MISS_LONG = 37; // xAPIC mode ignores destinations above 0xff
export const MISS_LONG_X2ID = 38; // xAPIC mode, destination above 0xff differs from the x2APIC ID
export const MISS_CLUSTER = 39;
export const MISS_LOGICAL_BITS = 40;
export const MISS_DFR = 41; // neither flat nor cluster
export const MISS_FORMAT = 42; // 4.9: compared in the sender's format
export const MISS_MAP_OTHER = 43; // a scan would select it, but the map gives the ID to another LAPIC
export const MISS_MAP_ABSENT = 44; // a scan would select it, but the map has no such entry
export const MISS_MAP_NOT_YET = 45; // a scan would select it, but it was created after the last rebuild of the map
export const MISS_ARBITRATION = 46; // another LAPIC won the arbitration
export const MISS_NO_CANDIDATE = 47; // software-disabled: takes no part in the arbitration
export const MISS_OTHER_OWNER = 48; // knob low on a scan: another LAPIC owns the ID

// What a selected LAPIC does with the message.
export const OUTCOME_NONE = 0; // not selected
export const OUTCOME_ACCEPTED = 1;
export const OUTCOME_MERGED = 2; // the IRR bit is set already; counts as accepted
export const OUTCOME_BELOW_PPR = 3; // accepted; waits in IRR until PPR falls
export const OUTCOME_SOFTWARE_DISABLED = 4; // refused: SVR[8] = 0
export const OUTCOME_DEASSERT = 5; // refused: level-triggered with level 0
export const OUTCOME_ILLEGAL_VECTOR = 6; // refused: below 16
export const OUTCOME_NMI_QUEUED = 7; // another NMI waits already; of more than two, one is kept
export const OUTCOME_ERASES_SIPI = 8; // INIT, and a pending STARTUP is gone
export const OUTCOME_SIPI_LATE = 9; // the CPU does not wait for it: will be discarded
export const OUTCOME_SIPI_REPLACES = 10; // the vector of an earlier, pending STARTUP is overwritten
export const OUTCOME_SIPI_SECOND = 11; // an earlier, pending STARTUP counts
export const OUTCOME_KICK = 12; // leaves HLT without an interrupt
export const OUTCOME_EXTINT = 13; // refused: not from a message
export const OUTCOME_SMI = 14; // refused: SMM is not modelled

// Fault injection (assembly/apic/inject.ts): what a rule does, and which of its filters count.
export const INJECT_DROP = 1;
export const INJECT_DELAY = 2; // argument: ns
export const INJECT_DUPLICATE = 3; // argument: extra copies
export const INJECT_MISROUTE = 4; // argument: the wrong destination
export const FILTER_SENDER = 1; // vcpuIndex, -1 for messages without a sender
export const FILTER_MODES = 2; // bit n: delivery mode n
export const FILTER_VECTOR = 4;
export const FILTER_DEST = 8;

// Trace events of the APIC: kinds (bit n of the mask asks for kind n), then offsets in their records.
export const TRACE_APIC_MESSAGE = 16; // sent; a message record
export const TRACE_APIC_TARGET = 17; // a vCPU that is selected; a target record
export const TRACE_APIC_OTHER = 18; // a vCPU that is not
export const TRACE_APIC_RESULT = 19; // delivered; the message record again, with the result
// ... and of a vCPU's life (assembly/vm/trace.ts): a CPU record
export const TRACE_CPU_START = 20; // leaves wait-for-SIPI; value: where it starts
export const TRACE_CPU_MODE = 21; // its LAPIC changes its mode; value: 0 off, 1 xAPIC, 2 x2APIC
export const TRACE_CPU_PARK = 22; // waits with interrupts off: only INIT, NMI or a reset can wake it
export const TRACE_CPU_IDLE = 23; // waits for an interrupt
export const TRACE_MESSAGE_NUMBER = 0; // u32
export const TRACE_MESSAGE_SENDER = 4; // i32, vcpuIndex or -1
export const TRACE_MESSAGE_NOW = 8; // u64, ns
export const TRACE_MESSAGE_DEST = 16; // u32
export const TRACE_MESSAGE_LOW = 20; // u32, as ICR[31:0]
export const TRACE_MESSAGE_KIND = 24; // u32: 0 ordinary, 1 redirection hint, 2 PV_SEND_IPI
export const TRACE_MESSAGE_PATH = 28; // u32, PATH_*
export const TRACE_MESSAGE_INJECTED = 32; // u32, INJECT_* and the rule's number << 8, or 0
export const TRACE_MESSAGE_RESULT = 36; // i32
export const TRACE_TARGET_NUMBER = 0; // u32, of the message
export const TRACE_TARGET_INDEX = 4; // u32, vcpuIndex
export const TRACE_TARGET_APIC_ID = 8; // u32, x2APIC ID
export const TRACE_TARGET_LDR = 12; // u32
export const TRACE_TARGET_DFR = 16; // u32
export const TRACE_TARGET_REASON = 20; // u32, MATCH_* or MISS_*
export const TRACE_TARGET_OUTCOME = 24; // u32, OUTCOME_*
export const TRACE_TARGET_RUN_STATE = 28; // u32, before the message
export const TRACE_TARGET_XID = 32; // u8
export const TRACE_TARGET_MODE = 33; // u8: 0 off, 1 xAPIC, 2 x2APIC
export const TRACE_TARGET_SOFTWARE_ENABLED = 34; // u8
export const TRACE_TARGET_TPR = 35; // u8
export const TRACE_TARGET_PPR = 36; // u8
export const TRACE_CPU_INDEX = 0; // u32, vcpuIndex
export const TRACE_CPU_APIC_ID = 4; // u32, x2APIC ID
export const TRACE_CPU_NOW = 8; // u64, ns
export const TRACE_CPU_VALUE = 16; // u32
