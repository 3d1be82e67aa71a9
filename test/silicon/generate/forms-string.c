/* String instructions: both directions, repeats, and runs into pages that are not there. */
#include "forms.h"
#include <stdio.h>
#include <string.h>

enum { MOVS, CMPS, STOS, LODS, SCAS };
static const char *NAMES[5] = {"movs", "cmps", "stos", "lods", "scas"};

static int operation(const struct form *f) {
  for (int i = 0; i < 5; i++)
    if (strstr(f->name, NAMES[i])) return i;
  return -1;
}

static int addressBits(const struct form *f) {
  bool swapped = strncmp(f->name, "a ", 2) == 0;
  if (f->mode == 64) return swapped ? 32 : 64;
  return (f->mode == 32) != swapped ? 32 : 16;
}

static void setAddressRegister(struct vector *v, int reg, uint64_t value) {
  int bits = addressBits(v->form);
  uint64_t mask = bits == 64 ? ~0ull : (1ull << bits) - 1;
  v->before.gpr[reg] = (v->before.gpr[reg] & ~mask) | (value & mask);
}

/* Linear start of a run of `count` elements that stays inside, or leaves the window after a few of them. */
static uint32_t startOfRun(uint32_t count, uint32_t element, bool down, bool leaves, bool writes) {
  uint32_t span = count * element, room = (writes ? WRITABLE_BYTES : DATA_BYTES);
  if (!leaves) {
    uint32_t low = DATA + below(room - span + 1);
    return down ? low + span - element : low;
  }
  uint32_t inside = below(count) * element + below(element);
  if (down) return DATA + inside;
  return DATA + room - inside;
}

static void strings(struct vector *v) {
  const struct form *f = v->form;
  int op = operation(f);
  uint32_t element = (uint32_t)f->size / 8;
  bool repeated = f->options & OPT_REP, down = chance(2);
  bool source = op == MOVS || op == CMPS || op == LODS, destination = op != LODS;
  uint32_t count = !repeated ? 1 : chance(10) ? 0 : chance(12) ? 64 + below(200) : 1 + below(12);
  v->before.flags = (v->before.flags & ~(uint32_t)DF) | (down ? DF : 0);
  uint32_t span = count ? count : 1;
  bool leaves = chance(4), sourceLeaves = leaves && source && (!destination || chance(2));
  uint32_t from = startOfRun(span, element, down, sourceLeaves, false);
  uint32_t to = startOfRun(span, element, down, leaves && !sourceLeaves, op == MOVS || op == STOS);
  if (op == MOVS && !leaves && chance(4)) { /* overlapping */
    uint32_t apart = 1 + below(12);
    from = chance(2) ? to + apart : to - apart;
    if (from < DATA + span * element + 16 || from + span * element + 16 > DATA + WRITABLE_BYTES) from = to;
  }
  int segment = DS; /* of the source */
  if (strncmp(f->name, "gs ", 3) == 0) segment = GS;
  if (source) setAddressRegister(v, RSI, from - linearOf(f->mode, segment));
  if (destination) setAddressRegister(v, RDI, to - linearOf(f->mode, ES));
  if (repeated) setAddressRegister(v, RCX, count);
  /* whether 32-bit registers that were never counted are zero-extended differs from maker to maker */
  if (repeated && f->mode == 64 && addressBits(f) == 32 && (leaves || count == 0)) {
    static const int COUNTED[] = {RCX, RSI, RDI};
    for (int i = 0; i < 3; i++) v->before.gpr[COUNTED[i]] &= 0xffffffffu;
  }

  /* Comparisons: equal for some elements, or unequal for some, so that the repeat has something to do. */
  if ((op == CMPS || op == SCAS) && !leaves && chance(3) == false) {
    uint32_t low = down ? to - (span - 1) * element : to, bytes = span * element;
    if (bytes > 500 || low + bytes > DATA + WRITABLE_BYTES || low < DATA) return;
    uint8_t image[512];
    uint32_t lowFrom = down ? from - (span - 1) * element : from;
    if (op == CMPS && !(lowFrom + bytes < low || low + bytes < lowFrom)) return;
    for (uint32_t i = 0; i < bytes; i++) {
      if (op == CMPS) image[i] = (uint8_t)readBefore(v, lowFrom + i, 1);
      else image[i] = (uint8_t)(v->before.gpr[RAX] >> 8 * (i % element));
    }
    if (chance(2)) image[below(bytes)] ^= (uint8_t)(1 + below(255));
    setMemory(v, low, image, bytes);
  }
}

/* A fault inside a repeated comparison: the flags are those before it, or of the last pass; resuming works with both. */
static void forgetFlags(struct vector *v) {
  int op = operation(v->form);
  if (v->trap.taken && (op == CMPS || op == SCAS)) v->undefined = ARITHMETIC;
}

void stringForms(int mode) {
  static const int OPCODES[5] = {0xa4, 0xa6, 0xaa, 0xac, 0xae};
  static const struct { const char *name, *prefix; bool repeats; } REPEATS[] = {
      {"", "", false}, {"rep ", "f3 ", true}, {"repne ", "f2 ", true}};
  for (int op = 0; op < 5; op++)
    for (int size = 8; size <= (mode == 64 ? 64 : 32); size *= 2)
      for (int repeat = 0; repeat < 3; repeat++)
        for (int variant = 0; variant < (mode == 64 && (op == MOVS || op == CMPS || op == LODS) ? 3 : 2); variant++) {
          static const char *VARIANTS[3] = {"", "a ", "gs "}, *PREFIXES[3] = {"", "67 ", "65 "};
          char text[64], bytes[32];
          if (variant == 1 && mode == 32 && op == CMPS) continue; /* both operands fault: either may come first */
          snprintf(text, sizeof text, "%s%s%s%c", VARIANTS[variant], REPEATS[repeat].name, NAMES[op], SUFFIX[size]);
          snprintf(bytes, sizeof bytes, "%s%02x", REPEATS[repeat].prefix, (unsigned)OPCODES[op] + (size != 8));
          struct form *f = addForm(mode, text, bytes, size, NO_RM);
          snprintf(f->encoding, sizeof f->encoding, "%s%s", PREFIXES[variant], bytes);
          f->prepare = strings;
          f->finish = forgetFlags;
          f->count = REPEATS[repeat].repeats ? 40 : 30;
          if (variant) f->count = 16;
          if (REPEATS[repeat].repeats) f->options |= OPT_REP;
        }
}
