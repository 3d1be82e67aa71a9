import { EventEmitter } from "node:events";
import type { ReadStream } from "node:tty";
import { describe, expect, it } from "vitest";
import { Terminal } from "../../../src/cli/terminal.js";

class Keyboard extends EventEmitter {
  isRaw = false;

  setRawMode(isRaw: boolean): void {
    this.isRaw = isRaw;
  }

  resume(): void {}
  pause(): void {}

  type(text: string): void {
    this.emit("data", new TextEncoder().encode(text));
  }
}

function open() {
  const keyboard = new Keyboard();
  let received = "";
  const terminal = new Terminal(keyboard as unknown as ReadStream, (bytes) => {
    received += new TextDecoder().decode(bytes);
  });
  terminal.open();
  return { keyboard, terminal, received: () => received };
}

describe("Terminal", () => {
  // keys, what the guest gets, whether the run ends
  it.each([
    ["abc\r", "abc\r", false],
    ["a\x03", "a", true],
    ["\x01x", "", true],
    ["\x01X", "", true],
    ["\x01c", "\x03", false],
    ["\x01\x01", "\x01", false],
    ["\x01z!", "!", false],
  ])("takes %j", (keys, expected, isInterrupted) => {
    for (const isOneByOne of [false, true]) {
      const { keyboard, terminal, received } = open();
      if (isOneByOne) for (const key of keys) keyboard.type(key);
      else keyboard.type(keys);
      terminal.close();
      expect([received(), terminal.isInterrupted]).toEqual([expected, isInterrupted]);
      expect(terminal.hasTyped).toBe(expected !== "");
    }
  });

  it("is in raw mode while it is open, and listens no more afterwards", () => {
    const { keyboard, terminal, received } = open();
    expect(keyboard.isRaw).toBe(true);
    terminal.close();
    expect(keyboard.isRaw).toBe(false);
    keyboard.type("x");
    expect(received()).toBe("");
    expect(process.listeners("SIGINT")).toHaveLength(0);
  });

  it("wakes who waits for activity, also when it came before", async () => {
    const { keyboard, terminal } = open();
    const waiting = terminal.activity();
    keyboard.type("x");
    await waiting;
    keyboard.type("y");
    await terminal.activity();
    terminal.close();
  });

  it("takes SIGINT as the wish to end", () => {
    const { terminal } = open();
    process.emit("SIGINT");
    terminal.close();
    expect(terminal.isInterrupted).toBe(true);
  });
});
