/**
 * Saving and restoring a machine: which bytes of linear memory its state is, and what follows from them.
 *
 * A snapshot is taken between two instructions. It is the module variables that src/snapshot/core-variables.ts names,
 * the areas listed here, and guest RAM; src/snapshot/ has the rest. To restore, the host makes an instance with the same
 * layout, writes them, and calls `finishRestore`. Decoded code is not part of it: as in any slicing of a run, no guest
 * notices where decoding begins anew.
 */
import { ABSENT, REQ_SMI, ROM_LOW_BYTES, VCPU_BYTES } from "../abi";
import { bindApicId, findApicId } from "../apic/ids";
import { listInjection, restoreInjection } from "../apic/inject";
import { Lapic } from "../apic/lapic";
import { listMap, restoreMap } from "../apic/map";
import { listMessage } from "../apic/message";
import { listPolicy, restorePolicy } from "../apic/policy";
import { pvEoiAddress } from "../apic/pv-eoi";
import { listCpuid, restoreCpuid } from "../cpu/cpuid";
import { listFeatures, restoreFeatures } from "../cpu/features";
import { updateMode } from "../cpu/mode";
import { MONITOR_NONE, monitoredLine } from "../cpu/monitor";
import { isXcr0Valid } from "../fpu/xsave";
import {
  LOW_ROM_END,
  lowRomStart,
  ramBase,
  ramBytes,
  romBytes,
  vcpuCount,
  vcpuBase,
} from "../layout";
import { watchLine } from "../mem/code-map";
import { isWritable } from "../mem/physical";
import { listSpaces, restoreSpace, restoreSpaces } from "../mem/space";
import { listTlb, restoreTlb } from "../mem/tlb";
import { addArea, areaCount, beginAreas } from "../state-areas";
import { NMI_QUEUED_SHIFT, Vcpu } from "../vcpu";
import { BROADCAST_ID, vcpu } from "./vcpus";
import { listRunnable, restoreRunnable } from "./runnable";
import { listTimers, restoreTimers } from "./timers";

/** All bits of a request word. */
const REQUESTS: u32 = REQ_SMI * 2 - 1;
/** The longest period of a timer: TMICT of 32 bits times a divisor of at most 128. */
const PERIOD_MAX: u64 = 1 << 39;

/** Lists the areas, for the number of vCPUs that there are. @param list - receives them @returns how many */
export function listAreas(list: usize): u32 {
  beginAreas(list);
  addArea(vcpuBase, <usize>vcpuCount * VCPU_BYTES);
  listPolicy();
  listMessage();
  listInjection();
  listMap();
  listFeatures();
  listCpuid();
  addArea(ramBase - romBytes, romBytes);
  listTlb();
  listSpaces();
  listTimers();
  listRunnable();
  return areaCount();
}

/**
 * Checks state that was put back into a new instance without vCPUs, and makes what follows from it.
 *
 * @param savedRamBase - where guest RAM was in the instance that was saved
 * @returns 0, or the number of the part that cannot be, in the order below, from 1; the instance is of no use then
 */
export function checkRestored(savedRamBase: usize): u32 {
  if ((romBytes | lowRomStart) & 0xfff || lowRomStart + ROM_LOW_BYTES < LOW_ROM_END) return 9;
  if (!restorePolicy()) return 1;
  if (!restoreFeatures() || !restoreCpuid()) return 2;
  if (!restoreTlb(savedRamBase) || !restoreSpaces()) return 3;
  for (let i: u32 = 0; i < vcpuCount; i++) if (!restoreVcpu(vcpu(i), i)) return 4;
  if (!restoreMap()) return 5;
  if (!restoreInjection()) return 6;
  if (!restoreTimers()) return 7;
  return restoreRunnable() ? 0 : 8;
}

function restoreVcpu(cpu: Vcpu, index: u32): bool {
  if (cpu.index !== index || cpu.apicId === BROADCAST_ID || findApicId(cpu.apicId) >= 0)
    return false;
  if (cpu.zero !== 0 || cpu.runState > <u32>ABSENT || cpu.request > REQUESTS || cpu.cpl > 3)
    return false;
  if (cpu.shadow > 0xff || cpu.nmi >> NMI_QUEUED_SHIFT > 2) return false;
  if (!isXcr0Valid(cpu.xcr0)) return false;
  if (cpu.sipiVector > 0xff || !restoreSpace(cpu)) return false;
  const lapic = Lapic.of(cpu);
  if (lapic.period > PERIOD_MAX) return false;
  if (lapic.pvEoiPending !== 0 && !isWritable(pvEoiAddress(lapic), 4)) return false;
  bindApicId(cpu.apicId, index);
  updateMode(cpu);
  if (cpu.monitorAddress === MONITOR_NONE) return true;
  const line = monitoredLine(cpu);
  if (line >= <u64>ramBytes) return false;
  watchLine(<u32>line);
  return true;
}
