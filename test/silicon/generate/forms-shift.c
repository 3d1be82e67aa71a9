/* Shifts and rotates, whose flags are defined by count: the mask is set per vector. */
#include "forms.h"
#include <stdio.h>
#include <string.h>

enum { ROL, ROR, RCL, RCR, SHL, SHR, SAL, SAR };
static const char *NAMES[8] = {"rol", "ror", "rcl", "rcr", "shl", "shr", "sal", "sar"};

static int operation(const struct vector *v) {
  for (int i = 0; i < 8; i++)
    if (strncmp(v->form->name, NAMES[i], 3) == 0) return i;
  return -1;
}

/*
 * SDM 2 "RCL/RCR/ROL/ROR" and "SAL/SAR/SHL/SHR": nothing changes for a masked count of 0; OF is defined for 1 only;
 * shifts leave AF undefined, SHL and SHR also CF when the count reaches the operand size.
 */
static void maskShift(struct vector *v, unsigned count) {
  int size = v->form->size, op = operation(v);
  count &= size == 64 ? 63 : 31;
  v->undefined = 0;
  if (count == 0) return;
  if (count != 1) v->undefined |= OF;
  if (op < SHL) return;
  v->undefined |= AF;
  if (op != SAR && count >= (unsigned)size) v->undefined |= CF;
}

static unsigned pickCount(int size) {
  uint32_t kind = below(8);
  if (kind == 0) return 1;
  if (kind == 1) return below(3) * 32 + below(2); /* masked to 0 or 1 */
  if (kind == 2) return (unsigned)size - 1 + below(3);
  if (kind == 3) return below(256);
  if (kind == 4) return 8 * below(9) + below(2);
  return below(64);
}

static void byOne(struct vector *v) { maskShift(v, 1); }

static void byImmediate(struct vector *v) {
  unsigned count = pickCount(v->form->size);
  setImmediate(v, count);
  maskShift(v, count);
}

static void byCl(struct vector *v) {
  unsigned count = pickCount(v->form->size);
  v->before.gpr[RCX] = (v->before.gpr[RCX] & ~0xffull) | count;
  maskShift(v, count);
}

/* SHLD and SHRD: counts above a 16-bit operand's size leave everything undefined; those are not generated. */
static unsigned doubleCount(struct vector *v) {
  int size = v->form->size;
  unsigned count;
  do count = pickCount(size);
  while ((count & 31) > (unsigned)size);
  unsigned masked = count & (size == 64 ? 63 : 31);
  v->undefined = 0;
  if (masked != 0) v->undefined = masked == 1 ? AF : AF | OF;
  return count;
}

static void doubleImmediate(struct vector *v) { setImmediate(v, doubleCount(v)); }

static void doubleCl(struct vector *v) {
  v->before.gpr[RCX] = (v->before.gpr[RCX] & ~0xffull) | doubleCount(v);
}

static void shiftSize(int mode, int size) {
  char text[48], bytes[24];
  char s = SUFFIX[size];
  int wide = size != 8;
  for (int op = 0; op < 8; op++) {
    static const struct { const char *operand; int opcode; const char *rest; prepare_fn *prepare; } COUNTS[] = {
        {"1", 0xd0, "", byOne}, {"Ib", 0xc0, " ib", byImmediate}, {"cl", 0xd2, "", byCl}};
    for (int i = 0; i < 3; i++) {
      snprintf(text, sizeof text, "%s E%c,%s", NAMES[op], s, COUNTS[i].operand);
      snprintf(bytes, sizeof bytes, "%02x /%d%s", (unsigned)(COUNTS[i].opcode + wide), op, COUNTS[i].rest);
      struct rm_forms f = addRm(mode, text, bytes, size, OPT_WRITES, 0, false);
      f.reg->prepare = f.mem->prepare = COUNTS[i].prepare;
      f.reg->count = i == 0 ? 40 : 80;
      f.mem->count = 40;
      if (i == 2) f.mem->implicit = BIT(RCX);
      if (i == 2) f.mem->options &= ~(uint32_t)OPT_ANY_TARGET;
    }
  }
  if (!wide) return;
  for (int right = 0; right < 2; right++) {
    const char *name = right ? "shrd" : "shld";
    snprintf(text, sizeof text, "%s E%c,G%c,Ib", name, s, s);
    struct rm_forms f = addRm(mode, text, right ? "0f ac /r ib" : "0f a4 /r ib", size, OPT_WRITES, 0, false);
    f.reg->prepare = f.mem->prepare = doubleImmediate;
    f.reg->count = 100;
    snprintf(text, sizeof text, "%s E%c,G%c,cl", name, s, s);
    f = addRm(mode, text, right ? "0f ad /r" : "0f a5 /r", size, OPT_WRITES, 0, false);
    f.reg->prepare = f.mem->prepare = doubleCl;
    f.reg->count = 100;
    f.mem->implicit = BIT(RCX);
    f.mem->options &= ~(uint32_t)OPT_ANY_TARGET;
  }
}

void shiftForms(int mode) { forSizes(mode, 8, shiftSize); }
