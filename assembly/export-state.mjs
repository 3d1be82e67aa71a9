/**
 * A step of the build: makes the core's state visible to the host, which saves and restores machines.
 *
 * Every module variable of the core (`let` at the top of a file) becomes an export of the WebAssembly module, called
 * "vm/clock/time" for `time` of vm/clock.ts. Whoever adds a variable thereby adds an export, and the test of
 * src/snapshot/core-variables.ts asks what a snapshot does with it.
 *
 * The export "build" is a digest of the core's sources, the same for every target: machines of different cores are
 * not told apart by it where their sources are the same.
 */
const PREFIX = "assembly/";

export default class ExportState {
  /** The compiler is done: `module` is Binaryen's, not optimised yet. */
  afterCompile(module) {
    const { binaryen } = this;
    for (let i = 0; i < module.getNumGlobals(); i++) {
      const { name, mutable } = binaryen.getGlobalInfo(module.getGlobalByIndex(i));
      if (mutable && name.startsWith(PREFIX))
        module.addGlobalExport(name, name.slice(PREFIX.length));
    }
    const value = module.i64.const(digest(this.program.sources));
    module.addGlobal("build", binaryen.i64, false, value);
    module.addGlobalExport("build", "build");
  }
}

/** A hash of the paths and texts of our own sources, in the order of their paths. */
function digest(sources) {
  const own = sources.filter(({ internalPath }) => internalPath.startsWith(PREFIX));
  own.sort((a, b) => (a.internalPath < b.internalPath ? -1 : 1));
  let low = 0x811c9dc5;
  let high = 0x01000193;
  for (const { internalPath, text } of own) {
    const all = `${internalPath}\n${text}\n`;
    for (let i = 0; i < all.length; i++) {
      low = Math.imul(low ^ all.charCodeAt(i), 0x01000193);
      high = Math.imul(high ^ low ^ (high >>> 15), 0x85ebca6b);
    }
  }
  return BigInt.asIntN(64, (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0));
}
