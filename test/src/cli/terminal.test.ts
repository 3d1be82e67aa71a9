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

function open({ takesKeys = false } = {}) {
  const keyboard = new Keyboard();
  let received = "";
  const terminal = new Terminal(keyboard as unknown as ReadStream, {
    send: (bytes) => (received += new TextDecoder().decode(bytes)),
    takesKeys: () => takesKeys,
  });
  terminal.open();
  return { keyboard, terminal, received: () => received };
}

describe("Terminal", () => {
  // keys, what the guest gets, whether the run ends
  it.each([
    ["abc\r", "abc\r", false],
    ["a\x03", "a", true],
    ["a\x1d", "a", true],
    ["\x01x", "", true],
    ["\x01X", "", true],
    ["\x01c", "\x03", false],
    ["\x01\x01", "\x01", false],
    ["\x01\x1d!", "\x1d!", false],
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

  it("sends Ctrl-C to a guest that takes keys; Ctrl-] ends its run", () => {
    const { keyboard, terminal, received } = open({ takesKeys: true });
    keyboard.type("\x03");
    expect([received(), terminal.isInterrupted]).toEqual(["\x03", false]);
    keyboard.type("\x1d");
    terminal.close();
    expect([received(), terminal.isInterrupted]).toEqual(["\x03", true]);
  });

  it("leaves raw mode when the process ends without closing it", () => {
    const { keyboard, terminal } = open();
    process.listeners("exit").at(-1)!(0);
    expect(keyboard.isRaw).toBe(false);
    terminal.close();
  });

  it("waits no longer than it is told", async () => {
    const { terminal } = open();
    await terminal.activity(1);
    terminal.close();
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

  it("takes the loss of its window as the wish to end", () => {
    const { terminal } = open();
    process.emit("SIGHUP");
    terminal.close();
    expect(terminal.isInterrupted).toBe(true);
  });
});
