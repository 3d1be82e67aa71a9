/**
 * Where the core's bytes come from: what the caller gives, else the file that the package carries.
 *
 * The file is named by `new URL(..., import.meta.url)`, which bundlers understand and replace. Node has no `fetch` for
 * files, so there the file is read through `process.getBuiltinModule`, which no bundler follows.
 */
import { compileCore, isCoreModule, type CoreModule } from "./core.js";
import { X2vmError } from "./errors.js";

/** The optimised core, or the one with assertions on. */
export type CoreBuild = "release" | "debug";

/** A core that the caller brings: its bytes, a compiled module, or where to fetch it. */
export type CoreSource = BufferSource | CoreModule | URL | string;

/** Compiled modules by address: a program that makes a thousand machines compiles once. */
const compiled = new Map<string, Promise<CoreModule>>();

/**
 * Finds and compiles the core.
 *
 * @param source - overrides `build`; a string is a URL
 * @throws X2vmError CORE_UNAVAILABLE
 */
export function loadCore(source: CoreSource | undefined, build: CoreBuild): Promise<CoreModule> {
  if (source === undefined) return compileFrom(packagedCore(build));
  if (typeof source === "string") return compileFrom(parseUrl(source));
  if (source instanceof URL) return compileFrom(source);
  if (isCoreModule(source)) return Promise.resolve(source);
  return compileCore(source);
}

function packagedCore(build: CoreBuild): URL {
  return build === "debug"
    ? new URL("../build/debug.wasm", import.meta.url)
    : new URL("../build/release.wasm", import.meta.url);
}

function parseUrl(text: string): URL {
  try {
    return new URL(text, import.meta.url);
  } catch (error) {
    throw new X2vmError("CORE_UNAVAILABLE", `"${text}" is not a URL of a core.`, { cause: error });
  }
}

function compileFrom(url: URL): Promise<CoreModule> {
  let module = compiled.get(url.href);
  if (module === undefined) {
    module = readBytes(url).then(compileCore);
    compiled.set(url.href, module);
    module.catch(() => compiled.delete(url.href)); // the next machine tries again
  }
  return module;
}

async function readBytes(url: URL): Promise<BufferSource> {
  try {
    const files =
      url.protocol === "file:"
        ? globalThis.process?.getBuiltinModule?.("node:fs/promises")
        : undefined;
    if (files !== undefined) return await files.readFile(url);
    const response = await fetch(url);
    if (!response.ok) throw new Error(`HTTP status ${response.status}`);
    return await response.arrayBuffer();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new X2vmError("CORE_UNAVAILABLE", `The core ${url.href} cannot be read: ${reason}.`, {
      cause: error,
    });
  }
}
