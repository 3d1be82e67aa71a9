import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { Machine } from "../../../src/index.js";
import { cpioArchive } from "../../../src/loaders/cpio.js";
import { unpackLinux } from "../../../src/loaders/linux-image.js";
import { planLoad } from "../../../src/loaders/load.js";
import { unpackLz4 } from "../../../src/loaders/lz4.js";
import { KERNEL_ADDRESS, MiB, bzImage, lz4, vmlinux } from "./linux-images.js";

describe("planLoad of Linux", () => {
  it.each([
    ["an ELF vmlinux", vmlinux()],
    ["a bzImage packed with LZ4", bzImage(lz4(vmlinux()))],
    ["a bzImage packed with gzip", bzImage(gzipSync(vmlinux()))],
    ["a bzImage with a plain ELF file", bzImage(vmlinux())],
  ])("recognises %s, which is unpacked beforehand", async (_, image) => {
    const plan = planLoad(await unpackLinux(image), 128 * MiB);
    expect(plan.format).toBe("linux");
    expect(plan.start).toMatchObject({ mode: "long", rip: KERNEL_ADDRESS });
  });

  it("lets a bzImage unpack itself, with its setup header in boot_params", () => {
    const image = bzImage(gzipSync(vmlinux()));
    const plan = planLoad(image, 128 * MiB);
    const at = (what: string) => plan.pieces.find((each) => each.what === what)!;
    expect(plan.start).toMatchObject({ mode: "long", rip: KERNEL_ADDRESS + 0x200 });
    expect(at("the packed kernel")).toMatchObject({ address: KERNEL_ADDRESS });
    expect(at("the packed kernel").bytes).toEqual(image.subarray(1024));
    const params = at("the boot parameters").bytes;
    const view = new DataView(params.buffer);
    expect(view.getUint16(0x236, true)).toBe(1);
    expect(view.getUint32(0x260, true)).toBe(MiB);
    expect([params[0x210], view.getUint32(0x26c, true)]).toEqual([0xff, 0]);
  });

  it("enters a bzImage of 32 bits at its start, in protected mode, in xAPIC mode", async () => {
    const elf32 = vmlinux();
    elf32[4] = 1;
    const image = bzImage(gzipSync(elf32));
    image[0x236] = 0;
    image.fill(0xf4, 1024); // hlt
    const machine = await Machine.create({ memoryBytes: 64 * MiB });
    machine.load(image);
    const cpu = machine.vcpus[0]!;
    expect(cpu.control.cr0 & 0x80000001n).toBe(1n);
    expect(cpu.readMsr(0x1b)).toBe(0xfee00900n);
    expect(cpu.segment("cs")).toMatchObject({ selector: 0x10, base: 0n, limit: 0xffffffff });
    expect(cpu.segment("ss")).toMatchObject({ selector: 0x18, accessRights: 0xc093 });
    expect(cpu.gpr.rsi).toBe(0x7000n);
    expect([cpu.gpr.rbp, cpu.gpr.rdi, cpu.gpr.rbx]).toEqual([0n, 0n, 0n]);
    const { base } = cpu.gdtr;
    const descriptors = new DataView(machine.readMemory(base, 32).buffer);
    expect(descriptors.getBigUint64(0x10, true)).toBe(0x00cf9b000000ffffn);
    expect(machine.run({ maxInstructions: 10 }).reason).toBe("idle");
    expect(cpu.rip).toBe(BigInt(KERNEL_ADDRESS + 1));
  });

  it("leaves it to a kernel of 32 bits to unpack itself", async () => {
    const elf32 = vmlinux();
    elf32[4] = 1;
    for (const image of [bzImage(gzipSync(elf32)), bzImage(elf32)]) {
      expect(await unpackLinux(image)).toBe(image);
    }
  });

  it("takes a program in the form of a bzImage without a payload as it is", async () => {
    const image = bzImage(new Uint8Array(4096).fill(0xf4));
    new DataView(image.buffer).setUint32(0x24c, 0, true);
    expect(await unpackLinux(image)).toBe(image);
    const plan = planLoad(image, 128 * MiB);
    expect(plan.start).toMatchObject({ mode: "long", rip: KERNEL_ADDRESS + 0x200 });
  });

  it("shows the RSDP below 1 MiB too", () => {
    const { pieces } = planLoad(vmlinux(), 128 * MiB);
    const tables = pieces.find(({ what }) => what === "the ACPI tables")!;
    const rsdp = pieces.find(({ what }) => what === "the RSDP")!;
    expect(rsdp.address).toBe(0xe0000);
    expect(rsdp.bytes).toEqual(tables.bytes.subarray(0, 36));
  });

  const gzip = gzipSync(vmlinux());
  it.each([
    [
      "cut off in its payload",
      bzImage(lz4(vmlinux())).subarray(0, 4000),
      "is cut off: it has 4000",
    ],
    ["cut off in its header", bzImage(vmlinux()).subarray(0, 0x230), "cut off in its setup header"],
    [
      "damaged gzip",
      bzImage(gzip.map((each, i) => (i > 40 ? each ^ 0x55 : each))),
      "gzip payload is damaged",
    ],
    ["damaged LZ4", bzImage(lz4(vmlinux()).fill(0, 4, 9)), "LZ4 payload is damaged"],
    ["damaged xz", bzImage(Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 0)), "xz payload is"],
    ["damaged zstd", bzImage(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0)), "zstd payload is"],
    ["no ELF file", bzImage(gzipSync(new Uint8Array(64))), "is not an ELF file"],
  ])("refuses a kernel that is %s", async (_, image, words) => {
    await expect(unpackLinux(image, "vmlinuz")).rejects.toThrow(words);
    await expect(unpackLinux(image, "vmlinuz")).rejects.toMatchObject({ code: "IMAGE_MALFORMED" });
  });

  const initrd = (bytes: number) => ({ modules: [{ name: "rd", bytes: new Uint8Array(bytes) }] });
  it.each([
    ["too little memory", 32, {}, "50 MiB of guest memory are needed, the machine has 32"],
    [
      "an initrd that is too large",
      64,
      initrd(60 * MiB),
      "the initrd rd of 62914560 bytes is too large",
    ],
    ["two initrds", 64, { modules: [...initrd(1).modules, ...initrd(1).modules] }, "one initrd"],
    ["a long command line", 64, { commandLine: "x".repeat(2048) }, "at most 2047 bytes"],
  ])("refuses %s", (_, memory, options, words) => {
    expect(() => planLoad(vmlinux(), memory * MiB, { name: "vmlinux", ...options })).toThrow(words);
  });

  it("puts the initrd and the ACPI tables where boot_params says, at the end of memory", () => {
    const plan = planLoad(vmlinux(), 64 * MiB, { commandLine: "quiet", ...initrd(5000) });
    const at = (what: string) => plan.pieces.find((each) => each.what === what)!;
    const params = new DataView(at("the boot parameters").bytes.buffer);
    expect(params.getUint32(0x218, true)).toBe(at("the initrd").address);
    expect(params.getUint32(0x21c, true)).toBe(5000);
    expect(Number(params.getBigUint64(0x70, true))).toBe(at("the ACPI tables").address);
    expect(new TextDecoder().decode(at("the command line").bytes)).toBe("quiet\0");
    const entries = Array.from({ length: params.getUint8(0x1e8) }, (_, i) => ({
      first: Number(params.getBigUint64(0x2d0 + i * 20, true)),
      bytes: Number(params.getBigUint64(0x2d8 + i * 20, true)),
    }));
    expect(entries[0]!.first).toBe(0);
    entries.forEach((each, i) =>
      expect(each.first + each.bytes).toBe(entries[i + 1]?.first ?? 64 * MiB),
    );
  });

  it("has code at the reset vector that resets the machine, for kernels that jump there", async () => {
    const machine = await Machine.create({ memoryBytes: 64 * MiB });
    machine.load(vmlinux());
    const cpu = machine.vcpus[0]!;
    cpu.control.cr0 = 0x10n;
    cpu.control.efer = 0n;
    cpu.setSegment("cs", { selector: 0xf000, base: 0xf0000n, limit: 0xffff, accessRights: 0x9b });
    cpu.rip = 0xfff0n;
    expect(machine.run({ maxInstructions: 10 }).reason).toBe("reset");
  });

  it("starts in 64-bit mode, in x2APIC mode, with the parameters in RSI", async () => {
    const machine = await Machine.create({ memoryBytes: 64 * MiB });
    machine.load(vmlinux());
    const cpu = machine.vcpus[0]!;
    expect(cpu.readMsr(0x1b)).toBe(0xfee00d00n);
    expect(cpu.gpr.rsi).toBe(0x7000n);
    expect(machine.run({ maxInstructions: 10 }).reason).toBe("idle");
    expect(cpu.rip).toBe(BigInt(KERNEL_ADDRESS + 1));
  });
});

describe("unpackLz4", () => {
  const frame = (...block: number[]) =>
    Uint8Array.of(0x02, 0x21, 0x4c, 0x18, block.length, 0, 0, 0, ...block);

  it.each([
    ["literals", frame(0x30, 97, 98, 99), "abc"],
    ["a match", frame(0x40, 97, 98, 99, 100, 4, 0, 0x10, 33), "abcdabcd!"],
    ["a match that overlaps itself", frame(0x11, 97, 1, 0, 0x10, 33), "aaaaaa!"],
    ["two blocks", Uint8Array.of(...frame(0x10, 97), 2, 0, 0, 0, 0x10, 98), "ab"],
  ])("unpacks %s", (_, packed, text) => {
    expect(new TextDecoder().decode(unpackLz4(packed, text.length))).toBe(text);
  });

  it.each([
    ["a distance before the block", frame(0x10, 97, 2, 0, 0x10, 33), 6],
    ["literals behind the end", frame(0x50, 97), 5],
    ["another length", frame(0x30, 97, 98, 99), 4],
    ["more than its length", frame(0x30, 97, 98, 99), 2],
  ])("gives up on %s", (_, packed, length) => {
    expect(unpackLz4(packed, length)).toBeUndefined();
  });
});

describe("cpioArchive", () => {
  it("writes headers of 110 characters, names and contents on four-byte borders", () => {
    const archive = cpioArchive([
      { path: "dev", kind: "folder" },
      { path: "dev/console", kind: "character-device", major: 5, minor: 1 },
      { path: "init", kind: "file", bytes: Uint8Array.of(1, 2, 3, 4, 5) },
    ]);
    const text = new TextDecoder("latin1").decode(archive);
    expect(archive.length % 512).toBe(0);
    expect(text.slice(0, 6)).toBe("070701");
    expect(text.slice(14, 22)).toBe("000041ED");
    expect(text.slice(110, 114)).toBe("dev\0");
    const console = text.indexOf("dev/console") - 110;
    expect(console % 4).toBe(0);
    expect(text.slice(console + 14, console + 22)).toBe("00002180");
    expect(text.slice(console + 78, console + 94)).toBe("0000000500000001");
    const init = text.indexOf("init\0") - 110;
    expect(text.slice(init + 54, init + 62)).toBe("00000005");
    expect(text.slice(init + 116, init + 121)).toBe("\x01\x02\x03\x04\x05");
    expect(text).toContain("TRAILER!!!\0");
  });
});
