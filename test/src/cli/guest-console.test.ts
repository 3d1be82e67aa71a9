import { describe, expect, it } from "vitest";
import { GuestConsole } from "../../../src/cli/guest-console.js";

/** A console whose two outputs are one, as on a terminal, or apart. */
function make({ isTTY = false } = {}) {
  const written: string[] = [];
  const out = (name: string) => ({
    isTTY,
    write: (data: Uint8Array | string) =>
      written.push(`${name}:${typeof data === "string" ? data : new TextDecoder().decode(data)}`),
  });
  const guest = new GuestConsole(out("out"), { ...out("err"), isTTY: false });
  const print = (text: string) => {
    for (const byte of new TextEncoder().encode(text)) guest.put(byte);
  };
  const tell = (text: string) =>
    guest.tell({ kind: "added", apicId: 0x123, virtualNs: 1.5e9, text }, 0.5e9);
  return { guest, print, tell, written };
}

const EVENT = "err:▸  2.000000000  0x123  added\n";

describe("GuestConsole", () => {
  it("writes the guest's lines as they are complete", () => {
    const { print, written } = make();
    print("one\ntw");
    print("o\n");
    expect(written).toEqual(["out:one\n", "out:two\n"]);
  });

  it("puts an event between two lines, with the time since the first boot", () => {
    const { print, tell, written } = make();
    print("one\n");
    tell("added");
    print("two\n");
    expect(written).toEqual(["out:one\n", EVENT, "out:two\n"]);
  });

  it("holds an event back until the guest's line ends", () => {
    const { print, tell, written } = make();
    print("on");
    tell("added");
    print("e\n");
    expect(written).toEqual(["out:one\n", EVENT]);
  });

  it("shows a prompt when the guest pauses", () => {
    const { guest, print, written } = make();
    print("guest# ");
    guest.settle();
    print("date\n");
    expect(written).toEqual(["out:guest# ", "out:date\n"]);
  });

  it("shows an event after a prompt on a line of its own, and on a terminal the prompt again", () => {
    for (const isTTY of [false, true]) {
      const { guest, print, tell, written } = make({ isTTY });
      print("guest# ");
      tell("added");
      guest.settle();
      guest.settle();
      expect(written).toEqual(["out:guest# ", "err:\n", EVENT, ...(isTTY ? ["out:guest# "] : [])]);
    }
  });
});
