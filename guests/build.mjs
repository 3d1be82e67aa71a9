/**
 * Assembles the guests with NASM and brings the hashes in manifest.json up to date.
 *
 *     node guests/build.mjs [name ...]        all guests, or those named
 *
 * What a run shall print stays as it is in the manifest: that is written by hand.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));
const manifestFile = `${folder}manifest.json`;

function sha256(file) {
  return createHash("sha256")
    .update(readFileSync(folder + file))
    .digest("hex");
}

/** Files that a source consists of, itself first: NASM finds includes from the folder of the guests. */
function sourcesOf(file, found = new Set()) {
  if (found.has(file)) return found;
  found.add(file);
  const text = readFileSync(folder + file, "utf8");
  for (const [, included] of text.matchAll(/^\s*%include\s+"([^"]+)"/gm))
    sourcesOf(included, found);
  return found;
}

function nasm(...args) {
  try {
    return execFileSync("nasm", args, { cwd: folder, encoding: "utf8" });
  } catch (error) {
    if (error.code === "ENOENT") console.error("nasm is not installed: https://www.nasm.us");
    process.exit(1);
  }
}

const manifest = JSON.parse(readFileSync(manifestFile, "utf8"));
const names = process.argv.slice(2);
const known = manifest.guests.map((guest) => guest.name);
for (const name of names.filter((each) => !known.includes(each))) {
  console.error(`manifest.json has no guest "${name}", only ${known.join(", ")}`);
  process.exit(1);
}

manifest.nasm = nasm("-v").match(/version (\S+)/)[1];
for (const guest of manifest.guests) {
  if (names.length > 0 && !names.includes(guest.name)) continue;
  const binary = `${guest.name}.bin`;
  nasm("-f", "bin", "-w+error", "-o", binary, `${guest.name}.asm`);
  guest.sources = [...sourcesOf(`${guest.name}.asm`)];
  guest.binary = {
    file: binary,
    bytes: readFileSync(folder + binary).length,
    sha256: sha256(binary),
  };
  console.log(`${binary}: ${guest.binary.bytes} bytes`);
}
const sources = new Set(manifest.guests.flatMap((guest) => guest.sources));
manifest.sources = Object.fromEntries([...sources].sort().map((file) => [file, sha256(file)]));
writeFileSync(manifestFile, `${JSON.stringify(manifest, null, 2)}\n`);
