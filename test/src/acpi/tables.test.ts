import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dsdtBody } from "../../../src/acpi/dsdt.js";
import { AcpiTables } from "../../../src/acpi/tables.js";

const BASE = 0x7ff0000;
const HEADER_BYTES = 36;
const ONE_AND_ONE = [
  { apicId: 0, isEnabled: true },
  { apicId: 0x123, isEnabled: false },
];
const TWO_SHORT = [
  { apicId: 0, isEnabled: true },
  { apicId: 1, isEnabled: true },
];
const MANY = Array.from({ length: 300 }, (_, i) => ({ apicId: i * 7, isEnabled: i < 4 }));
/** More than fit an 8-bit UID, IDs that go up and down over all 32 bits but all ones. */
const SPARSE_4096 = Array.from({ length: 4096 }, (_, i) => ({
  apicId: (i * 0x9e3779b1) % 0xffffffff,
  isEnabled: i % 3 === 0,
}));

/** Tables by signature, found as an operating system finds them: from the RSDP. */
function walk(block: Uint8Array): Map<string, Uint8Array> {
  const view = new DataView(block.buffer);
  const tableAt = (address: number) => {
    const offset = address - BASE;
    return block.subarray(offset, offset + view.getUint32(offset + 4, true));
  };
  const signature = (table: Uint8Array) => String.fromCharCode(...table.subarray(0, 4));
  const xsdt = tableAt(Number(view.getBigUint64(24, true)));
  const found = new Map([[signature(xsdt), xsdt]]);
  for (let at = HEADER_BYTES; at < xsdt.length; at += 8) {
    const entry = new DataView(xsdt.buffer, xsdt.byteOffset);
    const table = tableAt(Number(entry.getBigUint64(at, true)));
    found.set(signature(table), table);
  }
  const fadt = found.get("FACP")!;
  const dsdt = tableAt(Number(new DataView(fadt.buffer, fadt.byteOffset).getBigUint64(140, true)));
  return found.set(signature(dsdt), dsdt);
}

const sum = (bytes: Uint8Array) => bytes.reduce((total, each) => (total + each) & 0xff, 0);

describe("AcpiTables", () => {
  it("gives the AML that ACPICA's compiler made of the same source", () => {
    const reference = readFileSync(new URL("../../acpi/dsdt_x2vm.aml", import.meta.url));
    expect(Uint8Array.from(dsdtBody([0, 0x123]))).toEqual(
      Uint8Array.from(reference.subarray(HEADER_BYTES)),
    );
  });

  it.each([
    ["one CPU and a possible one", ONE_AND_ONE],
    ["300 sparse CPUs", MANY],
  ])("adds up to zero in every table: %s", (_, cpus) => {
    const block = new AcpiTables(cpus).blockAt(BASE);
    expect(sum(block.subarray(0, 20))).toBe(0);
    expect(sum(block.subarray(0, 36))).toBe(0);
    const tables = walk(block);
    expect([...tables.keys()]).toEqual(["XSDT", "FACP", "APIC", "DSDT"]);
    for (const table of tables.values()) expect(sum(table)).toBe(0);
  });

  it("has a table of 32-bit pointers that says the same", () => {
    const block = new AcpiTables(ONE_AND_ONE).blockAt(BASE);
    const view = new DataView(block.buffer);
    const rsdt = view.getUint32(16, true) - BASE;
    const xsdt = Number(view.getBigUint64(24, true)) - BASE;
    expect(new TextDecoder().decode(block.subarray(rsdt, rsdt + 4))).toBe("RSDT");
    const length = view.getUint32(rsdt + 4, true);
    expect(length).toBe(HEADER_BYTES + 8);
    expect(sum(block.subarray(rsdt, rsdt + length))).toBe(0);
    for (const i of [0, 1]) {
      const long = view.getBigUint64(xsdt + HEADER_BYTES + i * 8, true);
      expect(BigInt(view.getUint32(rsdt + HEADER_BYTES + i * 4, true))).toBe(long);
    }
  });

  it("lists short IDs as type 0, long ones as type 9, in the MADT", () => {
    const madt = walk(new AcpiTables(ONE_AND_ONE).blockAt(BASE)).get("APIC")!;
    expect(madt.length).toBe(92);
    expect([...madt.subarray(44, 52)]).toEqual([0, 8, 0, 0, 1, 0, 0, 0]);
    expect([...madt.subarray(52, 68)]).toEqual([
      9, 16, 0, 0, 0x23, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,
    ]);
    expect([...madt.subarray(80)]).toEqual([1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]);
  });
});

describe("AcpiTables of a PC", () => {
  const block = new AcpiTables(TWO_SHORT, "pc").blockAt(BASE);
  const tables = walk(block);
  const fadt = tables.get("FACP")!;
  const view = new DataView(fadt.buffer, fadt.byteOffset);

  it("are not hardware-reduced and have a FACS", () => {
    expect(view.getUint32(112, true) & (1 << 20)).toBe(0);
    const facs = block.subarray(view.getUint32(36, true) - BASE);
    expect(new TextDecoder().decode(facs.subarray(0, 4))).toBe("FACS");
    for (const table of tables.values()) expect(sum(table)).toBe(0);
  });

  it.each([
    ["SCI", 46, 16, 10],
    ["PM1 event block", 56, 32, 0x600],
    ["PM1 control block", 64, 32, 0x604],
    ["PM timer", 76, 32, 0x608],
  ])("have the %s", (_, offset, bits, value) => {
    expect(bits === 16 ? view.getUint16(offset, true) : view.getUint32(offset, true)).toBe(value);
  });

  it("tell that IRQ 0 comes on pin 2 and the SCI is level-triggered, active high", () => {
    const madt = tables.get("APIC")!;
    expect(madt[40]).toBe(1); // PCAT_COMPAT
    const [timer, sci] = [
      [2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
      [2, 10, 0, 10, 10, 0, 0, 0, 0x0d, 0],
    ];
    expect([...madt.subarray(-20)]).toEqual([...timer!, ...sci!]);
  });
});

/** PkgLength at an offset. @returns where the package ends, where its contents start */
function packageAt(aml: Uint8Array, at: number): { end: number; inside: number } {
  const more = aml[at]! >> 6;
  let length = more === 0 ? aml[at]! & 0x3f : aml[at]! & 0x0f;
  for (let i = 1; i <= more; i++) length += aml[at + i]! * 2 ** (8 * i - 4);
  return { end: at + length, inside: at + 1 + more };
}

const ascii = (bytes: Uint8Array) => String.fromCharCode(...bytes);

/** Where a name stands first. */
function find(aml: Uint8Array, name: string, from = 0): number {
  return Buffer.from(aml.buffer, aml.byteOffset, aml.length).indexOf(name, from, "latin1");
}

describe("the tables of 4096 sparse CPUs", () => {
  const tables = walk(new AcpiTables(SPARSE_4096).blockAt(BASE));
  const dsdt = tables.get("DSDT")!;
  const madt = tables.get("APIC")!;
  const lapics: Uint8Array[] = [];
  for (let at = HEADER_BYTES + 8; madt[at] === 0 || madt[at] === 9; at += madt[at + 1]!) {
    lapics.push(madt.subarray(at, at + madt[at + 1]!));
  }
  /** Devices that follow each other, from the boot CPU's on. */
  const devices: Uint8Array[] = [];
  const scope = packageAt(dsdt, HEADER_BYTES + 1);
  for (let at = find(dsdt, "\x08_HID\x0dACPI0007") - 7; at < scope.end;) {
    const { inside, end } = packageAt(dsdt, at + 2);
    devices.push(dsdt.subarray(inside, end));
    at = end;
  }

  it("have an entry of each CPU in the MADT, with its ID, its UID and whether it is there", () => {
    const told = lapics.map((entry, uid) => {
      const view = new DataView(entry.buffer, entry.byteOffset);
      const isShort = entry[0] === 0;
      expect(isShort ? entry[2] : view.getUint32(12, true)).toBe(uid);
      return {
        apicId: isShort ? entry[3] : view.getUint32(4, true),
        isEnabled: view.getUint32(isShort ? 4 : 8, true) === 1,
      };
    });
    expect(told).toEqual(SPARSE_4096);
  });

  it("have one scope and one device of each CPU, then the serial port, and nothing between", () => {
    expect(ascii(dsdt.subarray(scope.inside, scope.inside + 4))).toBe("_SB_");
    const names = SPARSE_4096.map((_, i) => `C${i.toString(36).toUpperCase().padStart(3, "0")}`);
    expect(devices.map((each) => ascii(each.subarray(0, 4)))).toEqual([...names, "COM1"]);
    expect(ascii(dsdt.subarray(scope.end, scope.end + 5))).toBe("\x08_S5_");
  });

  it("have what the MADT says of a CPU that is there as its _MAT", () => {
    for (const [slot, entry] of lapics.entries()) {
      if (slot === 0) continue;
      const device = devices[slot]!;
      const { inside, end } = packageAt(device, find(device, "_MAT\x11") + 5);
      const enabled = Uint8Array.from(entry);
      enabled[entry[0] === 0 ? 4 : 8] = 1;
      expect(device.subarray(inside + 2, end)).toEqual(enabled);
    }
  });

  it("stay what they are to the byte", () => {
    const block = new AcpiTables(SPARSE_4096).blockAt(BASE);
    expect(createHash("sha256").update(block).digest("hex")).toBe(
      "1d30a917edeb6fcdecc38a554a06e586ece03bb5b5ddab8959773ae14c24e6a0",
    );
  });
});

function has(tool: string): boolean {
  try {
    execFileSync(tool, ["-v"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!has("acpiexec"))("the method that tells of an event, in ACPICA", () => {
  // slot, and the device of that position
  it.each([
    [1, "C001"],
    [149, "C045"],
    [150, "C046"],
    [299, "C08B"],
  ])("finds the device of slot %i", (slot, device) => {
    const folder = mkdtempSync(join(tmpdir(), "x2vm-acpi-"));
    try {
      writeFileSync(
        join(folder, "DSDT.aml"),
        walk(new AcpiTables(MANY).blockAt(BASE)).get("DSDT")!,
      );
      const acpiexec = execFileSync(
        "acpiexec",
        ["-b", `evaluate \\_SB.NTFY ${slot} 1; evaluate \\_SB.GED._EVT 9`, "DSDT.aml"],
        { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] },
      );
      // No slot has an event here: _EVT itself tells of none.
      expect(acpiexec.match(/Notify on \[\w+\]/g)).toEqual([`Notify on [${device}]`]);
      expect(acpiexec).not.toMatch(/AE_[A-Z_]+/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe.skipIf(!has("iasl") || !has("acpiexec"))("AcpiTables in ACPICA", () => {
  it.each([
    ["two CPUs", TWO_SHORT, "Local APIC NMI", "minimal"],
    ["two CPUs of a PC", TWO_SHORT, "Local APIC NMI", "pc"],
    ["one CPU and a possible one", ONE_AND_ONE, "Local x2APIC NMI", "minimal"],
    ["300 sparse CPUs", MANY, "Local x2APIC NMI", "minimal"],
  ] as const)("can be disassembled and executed: %s", (_, cpus, nmi, platform) => {
    const folder = mkdtempSync(join(tmpdir(), "x2vm-acpi-"));
    try {
      for (const [signature, table] of walk(new AcpiTables(cpus, platform).blockAt(BASE)))
        writeFileSync(join(folder, `${signature}.aml`), table);
      const iasl = execFileSync("iasl", ["-d", "DSDT.aml", "FACP.aml", "APIC.aml"], {
        cwd: folder,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "pipe"],
      });
      expect(iasl).not.toMatch(/error/i);
      expect(readFileSync(join(folder, "APIC.dsl"), "utf8")).toContain(`[${nmi}]`);
      for (const object of ["\\_SB.C001._MAT", "\\_SB.C001._STA", "\\_SB.COM1._CRS", "\\_S5"]) {
        const acpiexec = execFileSync("acpiexec", ["-b", `evaluate ${object}`, "DSDT.aml"], {
          cwd: folder,
          encoding: "utf8",
          stdio: ["ignore", "pipe", "pipe"],
        });
        expect(acpiexec).toMatch(/returned object/);
        expect(acpiexec).not.toMatch(/AE_[A-Z_]+/);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
