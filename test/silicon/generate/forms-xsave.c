/*
 * XSAVE, XSAVEOPT, XSAVEC and XRSTOR on x87 and SSE state: EDX:EAX never asks for more, so that the other components of
 * the CPU do not show.
 */
#include "forms.h"
#include <stdio.h>
#include <string.h>

enum { AREA_BYTES = 576, XSTATE_BV = 512, XCOMP_BV = 520 };
static const uint64_t COMPACTED = 1ull << 63;

/* A state that may be the initial one, or nearly so. */
static void startState(struct vector *v) {
  uint8_t *fx = v->before.fx;
  memset(fx + 6, 0, 18); /* opcode and pointers */
  if (chance(2)) {
    memset(fx, 0, 24);
    fx[0] = 0x7f, fx[1] = 3;
    memset(fx + 32, 0, 128);
    if (chance(3)) fx[32 + 16 * below(8) + below(10)] = 1;
    else if (chance(4)) fx[1] = 2;
    else if (chance(4)) fx[3] = 8 * (1 + below(7)); /* TOP */
    else if (chance(4)) fx[4] = 1u << below(8);
  }
  if (chance(2)) {
    memset(fx + 160, 0, 256);
    if (chance(2)) fx[160 + below(256)] = 1;
  }
  if (chance(2)) fx[24] = 0x80, fx[25] = 0x1f; /* MXCSR */
}

static void request(struct vector *v) {
  startState(v);
  putReg(v, RAX, 32, below(4));
  putReg(v, RDX, 32, chance(4) ? 0x80000000u : 0);
  if (v->ea & 63 && !chance(50)) v->skip = true;
}

/* Headers that are right, and wrong in one way or another. */
static void header(uint8_t *area) {
  uint64_t words[8] = {below(4)};
  uint64_t other = 1ull << (chance(2) ? 62 : 20); /* of no component */
  if (chance(10)) words[0] |= other;
  if (chance(2)) {
    words[1] = COMPACTED | below(4);
    if (!chance(3)) words[1] |= words[0];
    if (chance(10)) words[1] |= other;
  } else if (chance(8)) words[1] = 1ull << below(63);
  if (chance(5)) words[2 + below(6)] = 1ull << below(63);
  memcpy(area + XSTATE_BV, words, sizeof words);
}

static void area(struct vector *v) {
  static struct state other;
  uint8_t image[AREA_BYTES];
  seedState(&other, v->form, v->index + 1000);
  memcpy(image, other.fx, 512);
  for (int i = 0; i < 8; i++) memset(image + 32 + 16 * i + 10, 0, 6);
  memset(image + 6, 0, 18);
  memset(image + 416, 0, 96);
  uint32_t mxcsr = draw() & (chance(6) ? 0xffffffffu : 0xffff);
  memcpy(image + 24, &mxcsr, 4);
  header(image);
  /* With the compacted format this CPU has loaded state before it refuses MXCSR. */
  if (image[XCOMP_BV + 7]) image[26] = image[27] = 0;
  bool fits = insideData(v->ea, AREA_BYTES) && v->ea + AREA_BYTES <= DATA + WRITABLE_BYTES;
  if (!fits || v->ea & 63) return;
  setMemory(v, (uint32_t)v->ea, image, 512);
  setMemory(v, (uint32_t)v->ea + 512, image + 512, AREA_BYTES - 512);
}

static void restore(struct vector *v) {
  request(v);
  if (!v->skip) area(v);
}

/* XSTATE_BV is read by the saving instructions too. */
static void save(struct vector *v) {
  request(v);
  if (!v->skip && chance(2)) area(v);
}

/* CPUs name different bytes of an area that is not there. */
static void sure(struct vector *v) {
  if (v->trap.taken && v->trap.vector == 14) v->skip = true;
}

/* Pointers and opcode, which depend on what ran before. */
static void ignorePointers(struct vector *v) {
  sure(v);
  if (!v->trap.taken) ignoreMemory(v, (uint32_t)v->ea + 6, 18);
}

void xsaveForms(void) {
  static const struct { const char *name, *encoding; bool saves; } ROWS[] = {
      {"xsave", "0f ae /4", true}, {"xsaveopt", "0f ae /6", true}, {"xsavec", "0f c7 /4", true}, {"xrstor", "0f ae /5", false}};
  static const int MODES[] = {64, 32, 16};
  for (unsigned m = 0; m < 3; m++) {
    for (unsigned i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
      for (int size = 0; size <= (MODES[m] == 64 ? 64 : 0); size += 64) {
        char text[32];
        snprintf(text, sizeof text, "%s%s mem", ROWS[i].name, size == 64 ? "64" : "");
        struct form *f = addForm(MODES[m], text, ROWS[i].encoding, size, RM_MEM);
        f->options = OPT_ALIGNED | OPT_NO_66 | (ROWS[i].saves ? OPT_WRITES : 0);
        f->access = AREA_BYTES;
        f->implicit = BIT(RAX) | BIT(RDX);
        f->profile = PACKED;
        f->area = AREA_PACKED;
        f->prepare = ROWS[i].saves ? save : restore;
        f->finish = ROWS[i].saves ? ignorePointers : sure;
        f->count = 60;
      }
    }
  }
}
