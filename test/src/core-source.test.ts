import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Machine, type CoreSource } from "../../src/index.js";

const RELEASE = new URL("../../build/release.wasm", import.meta.url);
const bytes = readFileSync(RELEASE);

let server: Server;
let base: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    response.statusCode = request.url === "/core.wasm" ? 200 : 404;
    response.end(request.url === "/core.wasm" ? bytes : undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => server.close());

describe("the core", () => {
  it.each<[string, () => CoreSource | Promise<CoreSource>]>([
    ["bytes", () => bytes],
    ["a compiled module", () => WebAssembly.compile(bytes)],
    ["the URL of a file", () => RELEASE],
    ["the URL of a file, as text", () => RELEASE.href],
    ["a URL to fetch, as in a browser", () => `${base}/core.wasm`],
  ])("can be given as %s", async (_, source) => {
    const machine = await Machine.create({ wasm: await source(), memoryBytes: 4096 });
    expect(machine.vcpus).toHaveLength(1);
  });

  it.each<[string, () => CoreSource | Promise<CoreSource>, string]>([
    ["a page that does not exist", () => `${base}/none.wasm`, "HTTP status 404"],
    ["a file that does not exist", () => new URL("none.wasm", RELEASE), "cannot be read"],
    ["text that is no URL", () => "http://", "is not a URL"],
    ["other bytes", () => new TextEncoder().encode("hello"), "not a WebAssembly module"],
    // magic number, version: a module without exports
    [
      "another module",
      () => WebAssembly.compile(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)),
      "does not fit this host",
    ],
  ])("is refused as %s", async (_, source, words) => {
    const given = await source();
    await expect(Machine.create({ wasm: given })).rejects.toMatchObject({
      code: "CORE_UNAVAILABLE",
      message: expect.stringContaining(words),
    });
  });
});
