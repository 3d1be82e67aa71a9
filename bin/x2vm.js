#!/usr/bin/env node
/** The command `x2vm`: there before the first build, so that npm can link it. */
import { existsSync } from "node:fs";

const program = new URL("../dist/src/cli/main.js", import.meta.url);

if (existsSync(program)) {
  await import(program.href);
} else {
  process.stderr.write("x2vm: not built yet. Run: npm run build\n");
  process.exitCode = 1;
}
