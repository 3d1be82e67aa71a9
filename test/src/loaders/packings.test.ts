/** Packed files made by XZ Utils 5.4.1 (xz --x86 --lzma2=dict=... --check=crc32) and zstd 1.5.4. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { decodeBcjX86 } from "../../../src/loaders/bcj-x86.js";
import { unpackLinux } from "../../../src/loaders/linux-image.js";
import { unpackXz } from "../../../src/loaders/xz.js";
import { bzImage, vmlinux } from "./linux-images.js";

const bytes = (base64: string) => Uint8Array.from(Buffer.from(base64, "base64"));

const VMLINUX_XZ = bytes(
  "/Td6WFoAAAFpIt42AgEEACEBEACLIW9J4B//AGNdAD+RRYRoPYmm2orMk+ZQTvSS6L+tVXimICuoz4PkyHj/5UdmI+uR5ChHICI2NLU9x9bZCB7TDH251EtCzhSkm1i0W34ebo3QgCaqg+REF94ybXbR3g7uBtMu6CTsWjcCCnAflQAAUE1GQQABe4BAAAAAcMFCiD4wDYsCAAAAAAFZWg==",
);
const VMLINUX_ZSTD = bytes(
  "KLUv/WQAH6UCAFLHDRfApzVD////G2WlML+MTI36zfDcJJMyBUyCHEb634Hoj+z//vx6s/w///W3weHrX2j/q6xIhBIIAPwHvjQSfJBrbqlr61WRrRRFlIcGgBMNnl3OYLE=",
);
/** Without the filter. */
const WORDS_XZ = bytes(
  "/Td6WFoAAAFpIt42AgAhAQAAAAA3J5fWAQAMY2FsbCBhbmQganVtcAAAAAAInsUPAAEhDXXcqNKQQpkNAQAAAAABWVo=",
);
/** Calls and jumps to few targets, with bytes between them that look like opcodes: 2401 bytes. */
const CALLS_XZ = bytes(
  "/Td6WFoAAAFpIt42AgEEACEBCADSuXTL4AlgAghdAHR//fAMjJKrV76Cs9rmp60hHIqYaD7E6I6CMYR07qz9NXsL" +
    "PLCJwHbtR4t4uFix8OXanM7bOtB7KSZZEc2gdfs8GgQrUbxBsp0El/Pqh0mHmYcDT2zRTUxUilwJjeRLEmA220R6" +
    "+PlRb8rCRvMqRuCH+l97FoaqcclU/ClNVG2LHqyZShi0gttz3WDFYlCLjkoYJKNyRvmmVKCtGIFKG+LF0LRTMyWt" +
    "CxkUMd0oqJiZ/QooRkCAF0OOoQjC8n1edNgAq2u3qHdpTPNBOdRckjJFZO5BpRBNSbu+xcUfn48SixU9K94CVajR" +
    "jV305G++klVnCOJn/CUS43nQxpKnxmWNQCUiVxrdymIZOKNNah40l691tDLaRz0Qmerk6ah6l+0VDXbFUuHyRmmF" +
    "SP8Yah9aKJXRxyvh97cIVKku+/BaSf3tclIB+prHI0cGD9N5KBz1pYEtP/FzhM3WGV8BSM6adyuzGS0/+f8DEEKq" +
    "A3n73FZTN3dqJr0aq+rLTvEoHTqHNdcoXWlKZIyt1rAFi0ztWx5Rf9LjlbgkyjF3A5gVrizpdp6WH1qL7ulMykVo" +
    "Pw4fHzh/kFz8lpiCR1Mb7ykJ1L+ez8NvWrwSFfW9cqKX9aZr3ZPXnynKNgrxuXBm5EgeXQ3devHQNgNvfWIHbCiX" +
    "rgghN5MssMKrzKDL9Di/yAEqoZg+7gAA9guNzAABoAThEgAAsDKoXj4wDYsCAAAAAAFZWg==",
);
const CALLS_SHA256 = "468f04a4fd8544a8e2f7383757e9e1df0ba2bf4c6b07f3251e6938b6ced39795";

/** As the kernel's build packs: the unpacked length follows. */
function withLength(packed: Uint8Array): Uint8Array {
  const length = new Uint8Array(Uint32Array.of(vmlinux().length).buffer);
  return Uint8Array.from([...packed, ...length]);
}

describe("unpackLinux", () => {
  it.each([
    ["xz", VMLINUX_XZ],
    ["zstd", VMLINUX_ZSTD],
  ])("unpacks %s", async (_, packed) => {
    expect(await unpackLinux(bzImage(withLength(packed)))).toEqual(vmlinux());
  });

  // first bytes of a payload
  it.each([
    ["bzip2", [0x42, 0x5a, 0x68, 0x39]],
    ["LZMA", [0x5d, 0x00, 0x00, 0x80]],
    ["LZO", [0x89, 0x4c, 0x5a, 0x4f]],
    ["something else", [1, 2, 3, 4]],
  ])("leaves %s to the guest", async (_, magic) => {
    const image = bzImage(Uint8Array.from([...magic, 0, 0, 0, 0, 0, 0, 0, 0]));
    expect(await unpackLinux(image)).toBe(image);
  });

  it("refuses damaged xz, wherever it is damaged", async () => {
    for (let at = 12; at < VMLINUX_XZ.length; at += 7) {
      const damaged = VMLINUX_XZ.map((byte, i) => (i === at ? byte ^ 0x10 : byte));
      const result = await unpackLinux(bzImage(withLength(damaged))).catch((error: Error) => error);
      // What no check covers may come out right.
      if (result instanceof Error) expect(result.message).toMatch("xz payload is damaged");
      else expect(result).toEqual(vmlinux());
    }
  });

  it.each([
    ["xz", VMLINUX_XZ.subarray(0, -5)],
    ["zstd", VMLINUX_ZSTD.subarray(0, -20)],
  ])("refuses %s that is cut off", async (name, packed) => {
    await expect(unpackLinux(bzImage(withLength(packed)))).rejects.toThrow(
      `${name} payload is damaged`,
    );
  });
});

describe("unpackXz", () => {
  it("unpacks files without a filter", async () => {
    expect(new TextDecoder().decode(await unpackXz(WORDS_XZ))).toBe("call and jump");
  });

  it("unpacks x86 code as XZ Utils does", async () => {
    const code = (await unpackXz(CALLS_XZ))!;
    expect(code).toHaveLength(2401);
    expect(createHash("sha256").update(code).digest("hex")).toBe(CALLS_SHA256);
  });

  it("gives up on a file that is cut off, or whose CRC32 is wrong", async () => {
    expect(await unpackXz(WORDS_XZ.subarray(0, -4))).toBeUndefined();
    const check = WORDS_XZ.length - 28; // footer and index, 12 bytes each, and the check
    expect(
      await unpackXz(WORDS_XZ.map((byte, i) => (i === check ? byte ^ 1 : byte))),
    ).toBeUndefined();
  });
});

describe("decodeBcjX86", () => {
  // bytes, the address of the first, what comes of them
  it.each([
    ["a call", [0xe8, 0x05, 0x10, 0, 0], 0, [0xe8, 0x00, 0x10, 0, 0]],
    ["a jump", [0xe9, 0x05, 0x10, 0, 0], 0, [0xe9, 0x00, 0x10, 0, 0]],
    ["a call backwards", [0xe8, 0, 0, 0, 0], 0, [0xe8, 0xfb, 0xff, 0xff, 0xff]],
    ["a call at another address", [0xe8, 0x05, 0x10, 0, 0], 0x1000, [0xe8, 0, 0, 0, 0]],
    ["an operand that was not converted", [0xe8, 1, 2, 3, 4], 0, [0xe8, 1, 2, 3, 4]],
    ["an opcode at the end", [0x90, 0xe8, 1, 0, 0], 0, [0x90, 0xe8, 1, 0, 0]],
  ])("converts %s", (_, packed, start, expected) => {
    const code = Uint8Array.from(packed);
    decodeBcjX86(code, start);
    expect([...code]).toEqual(expected);
  });
});
