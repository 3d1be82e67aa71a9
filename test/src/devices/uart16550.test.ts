import { describe, expect, it } from "vitest";
import { Uart16550 } from "../../../src/devices/uart16550.js";

const RBR = 0, THR = 0, DLL = 0, IER = 1, DLM = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7; // prettier-ignore

function port() {
  const sent: number[] = [];
  const wire = { level: false, changes: 0 };
  const line = {
    set(level: boolean) {
      if (level !== wire.level) wire.changes++;
      wire.level = level;
    },
  };
  const uart = new Uart16550(line, (byte) => sent.push(byte));
  const read = (offset: number) => uart.read(offset, 1);
  const write = (offset: number, value: number) => uart.write(offset, 1, value);
  return { uart, read, write, sent, wire };
}

describe("Uart16550", () => {
  it.each([
    [IER, 0x00],
    [IIR, 0x01],
    [LCR, 0x00],
    [MCR, 0x00],
    [LSR, 0x60],
    [MSR, 0xb0],
    [SCR, 0x00],
  ])("reads register %i as %#x after reset", (offset, expected) => {
    expect(port().read(offset)).toBe(expected);
  });

  it("sends a byte at once and is ready for the next", () => {
    const { read, write, sent } = port();
    write(THR, 0x41);
    write(THR, 0x42);
    expect(sent).toEqual([0x41, 0x42]);
    expect(read(LSR)).toBe(0x60);
  });

  it("keeps divisor and data apart by DLAB", () => {
    const { read, write, sent } = port();
    write(LCR, 0x83);
    write(DLL, 0x34);
    write(DLM, 0x12);
    expect([read(DLL), read(DLM)]).toEqual([0x34, 0x12]);
    write(LCR, 0x03);
    expect([read(RBR), read(IER)]).toEqual([0, 0]);
    expect(sent).toEqual([]);
  });

  it("keeps four bits of IER, five of MCR and all of SCR", () => {
    const { read, write } = port();
    for (const offset of [IER, MCR, SCR]) write(offset, 0xff);
    expect([read(IER), read(MCR), read(SCR)]).toEqual([0x0f, 0x1f, 0xff]);
  });

  it("receives one byte without FIFOs and holds the rest back on the wire", () => {
    const { uart, read } = port();
    uart.receive([1, 2, 3]);
    read(LSR);
    expect([read(LSR) & 1, read(RBR), read(RBR), read(RBR), read(LSR) & 1]).toEqual([
      1, 1, 2, 3, 0,
    ]);
  });

  it("gets nothing from the other side while the guest does not listen", () => {
    const { uart, read, write, sent } = port();
    uart.receive([1]);
    // As a driver writes: one look at LSR before each byte.
    for (const byte of [0x41, 0x42]) {
      expect(read(LSR)).toBe(0x60);
      write(THR, byte);
    }
    // As a driver starts: it empties the receiver unread.
    write(FCR, 0x07);
    for (const offset of [LSR, RBR, IIR, MSR]) read(offset);
    // As a driver waits for the transmitter, and tries whether IER is there.
    read(LSR);
    read(LSR);
    write(IER, 0x0f);
    expect(read(IER)).toBe(0x0f);
    write(IER, 0x00);
    read(RBR);
    expect(sent).toEqual([0x41, 0x42]);
    write(IER, 0x01);
    expect([read(LSR) & 1, read(RBR)]).toEqual([1, 1]);
  });

  it("gets no more from the other side when a guest that polls clears the FIFO", () => {
    const { uart, read, write } = port();
    uart.receive([1, 2, 3]);
    expect([read(LSR), read(LSR), read(RBR)]).toEqual([0x60, 0x61, 1]);
    write(FCR, 0x03);
    expect([read(LSR), read(RBR), read(LSR), read(LSR)]).toEqual([0x60, 0, 0x60, 0x61]);
    expect([read(RBR), read(RBR)]).toEqual([2, 3]);
  });

  it("loses nothing of a long input", () => {
    const { uart, read, write } = port();
    write(FCR, 0x01);
    const input = Array.from({ length: 100 }, (_, i) => i);
    uart.receive(input);
    const got: number[] = [];
    read(LSR);
    while ((read(LSR) & 1) !== 0) got.push(read(RBR));
    expect(got).toEqual(input);
    expect(read(LSR) & 2).toBe(0);
  });

  it("empties the receive FIFO by FCR bit 1 and when FIFOs are switched", () => {
    for (const fcr of [0x03, 0x00]) {
      const { read, write } = port();
      write(FCR, 0x01);
      write(MCR, 0x10);
      write(THR, 1); // looped back
      expect(read(LSR) & 1).toBe(1);
      write(FCR, fcr);
      expect(read(LSR) & 1).toBe(0);
    }
  });

  it("gets again what it cleared unread, in order", () => {
    const { uart, read, write } = port();
    write(IER, 0x01);
    uart.receive([1, 2, 3]);
    write(FCR, 0x07); // a driver that switches the FIFO on when its interrupt is enabled
    expect([read(RBR), read(RBR), read(RBR), read(LSR) & 1]).toEqual([1, 2, 3, 0]);
  });

  // FCR, received bytes, IIR: the FIFO reached its trigger level, or its content timed out
  it.each([
    [0x00, 1, 0x04],
    [0x01, 1, 0xc4],
    [0x41, 3, 0xcc],
    [0x41, 4, 0xc4],
    [0x81, 7, 0xcc],
    [0x81, 8, 0xc4],
    [0xc1, 13, 0xcc],
    [0xc1, 14, 0xc4],
  ])("with FCR %#x and %i bytes received reads IIR as %#x", (fcr, count, iir) => {
    const { uart, read, write } = port();
    write(FCR, fcr);
    write(IER, 0x01);
    uart.receive(Array.from({ length: count }, () => 0));
    expect(read(IIR)).toBe(iir);
  });

  it("raises THRE when it is enabled, and again after each byte, until IIR is read", () => {
    const { read, write } = port();
    write(IER, 0x02);
    expect([read(IIR), read(IIR)]).toEqual([0x02, 0x01]);
    write(THR, 0x41);
    expect([read(IIR), read(IIR)]).toEqual([0x02, 0x01]);
  });

  it("reports the interrupt of highest priority first", () => {
    const { uart, read, write } = port();
    write(FCR, 0x01);
    write(MCR, 0x10);
    for (let i = 0; i < 17; i++) write(THR, i); // one more than the FIFO holds
    write(MCR, 0x00);
    write(IER, 0x0f);
    uart.receive([]);
    expect(read(IIR)).toBe(0xc6);
    expect(read(LSR) & 2).toBe(2);
    expect(read(LSR) & 2).toBe(0);
    expect(read(IIR)).toBe(0xc4);
    for (let i = 0; i < 16; i++) expect(read(RBR)).toBe(i);
    expect(read(IIR)).toBe(0xc2);
    expect(read(IIR)).toBe(0xc0);
    expect(read(MSR) & 0x0f).toBe(0x0b); // CTS, DSR and DCD came back when the loop was opened
    expect(read(IIR)).toBe(0xc1);
  });

  it("connects its interrupt by OUT2 and not in loopback", () => {
    const { write, wire } = port();
    write(IER, 0x02);
    expect(wire.level).toBe(false);
    write(MCR, 0x08);
    expect(wire.level).toBe(true);
    write(MCR, 0x18);
    expect(wire.level).toBe(false);
  });

  it("drops the interrupt line when its cause is gone", () => {
    const { uart, read, write, wire } = port();
    write(MCR, 0x08);
    write(IER, 0x01);
    uart.receive([1]);
    expect(wire.level).toBe(true);
    read(RBR);
    expect(wire.level).toBe(false);
  });

  // MCR in loopback, MSR bits 7:4
  it.each([
    [0x10, 0x00],
    [0x11, 0x20],
    [0x12, 0x10],
    [0x14, 0x40],
    [0x18, 0x80],
    [0x1f, 0xf0],
  ])("loops MCR %#x back to MSR %#x", (mcr, msr) => {
    const { read, write } = port();
    write(MCR, mcr);
    expect(read(MSR) & 0xf0).toBe(msr);
  });

  it("loops sent bytes back and sends none", () => {
    const { read, write, sent } = port();
    write(MCR, 0x10);
    write(THR, 0x5a);
    expect(read(RBR)).toBe(0x5a);
    expect(sent).toEqual([]);
  });

  it("clears the modem deltas when MSR is read, and has TERI for the end of RI only", () => {
    const { read, write } = port();
    write(MCR, 0x10);
    read(MSR);
    write(MCR, 0x14);
    expect(read(MSR)).toBe(0x40);
    write(MCR, 0x10);
    expect(read(MSR)).toBe(0x04);
    expect(read(MSR)).toBe(0x00);
  });

  it("goes on from its state", () => {
    const first = port();
    first.write(FCR, 0x01);
    first.write(IER, 0x03);
    first.write(MCR, 0x08);
    first.uart.receive([7, 8]);
    const second = port();
    second.uart.fromState(JSON.parse(JSON.stringify(first.uart.state())));
    expect(second.uart.state()).toEqual(first.uart.state());
    expect(second.wire.level).toBe(true);
    expect([second.read(RBR), second.read(RBR)]).toEqual([7, 8]);
  });
});
