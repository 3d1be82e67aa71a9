/** What the tables that a loader writes tell of the machine. */
import type { AcpiCpu, Platform } from "../acpi/tables.js";

export interface LoadTarget {
  /** CPUs that the machine has or may get. */
  readonly cpuCount: number;
  /** They, in slot order; asked only where tables are written. */
  cpus(): readonly AcpiCpu[];
  readonly platform: Platform;
}

export const ONE_CPU: LoadTarget = {
  cpuCount: 1,
  cpus: () => [{ apicId: 0, isEnabled: true }],
  platform: "minimal",
};
