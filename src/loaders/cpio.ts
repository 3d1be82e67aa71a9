/**
 * Archives for a Linux initrd: cpio in its "new ASCII" form, as the kernel unpacks it.
 *
 * Source: Linux Documentation/driver-api/early-userspace/buffer-format.rst. Owner is root, time is 0.
 */

/** One entry; folders come before what is in them. */
export type CpioEntry =
  | {
      readonly path: string;
      readonly kind: "file";
      readonly bytes: Uint8Array;
      readonly mode?: number;
    }
  | { readonly path: string; readonly kind: "folder"; readonly mode?: number }
  | {
      readonly path: string;
      readonly kind: "character-device";
      readonly major: number;
      readonly minor: number;
      readonly mode?: number;
    };

const TYPE_BITS = { file: 0o100000, folder: 0o040000, "character-device": 0o020000 } as const;
const DEFAULT_MODES = { file: 0o755, folder: 0o755, "character-device": 0o600 } as const;

/** @returns the archive, its length a multiple of 512 */
export function cpioArchive(entries: readonly CpioEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  let length = 0;
  const put = (bytes: Uint8Array) => {
    parts.push(bytes, new Uint8Array(-bytes.length & 3));
    length += (bytes.length + 3) & ~3;
  };
  entries.forEach((entry, i) => {
    const bytes = entry.kind === "file" ? entry.bytes : new Uint8Array(0);
    const [major, minor] = entry.kind === "character-device" ? [entry.major, entry.minor] : [0, 0];
    const mode = TYPE_BITS[entry.kind] | (entry.mode ?? DEFAULT_MODES[entry.kind]);
    put(header(entry.path, i + 1, mode, bytes.length, major, minor));
    put(bytes);
  });
  put(header("TRAILER!!!", 0, 0, 0, 0, 0));
  const archive = new Uint8Array(Math.ceil(length / 512) * 512);
  let at = 0;
  for (const part of parts) {
    archive.set(part, at);
    at += part.length;
  }
  return archive;
}

/** Magic number, thirteen fields of eight hexadecimal digits, the name with its zero. */
function header(
  path: string,
  inode: number,
  mode: number,
  bytes: number,
  major: number,
  minor: number,
): Uint8Array {
  const name = new TextEncoder().encode(`${path}\0`);
  const fields = [inode, mode, 0, 0, 1, 0, bytes, 0, 0, major, minor, name.length, 0];
  const digits = fields.map((field) => field.toString(16).toUpperCase().padStart(8, "0"));
  const text = new TextEncoder().encode(`070701${digits.join("")}`);
  const whole = new Uint8Array(text.length + name.length);
  whole.set(text);
  whole.set(name, text.length);
  return whole;
}
