/* Instructions that user code may not run, that do not exist, or that are cut off, and prefixes in odd places. */
#include "forms.h"
#include <stdio.h>
#include <string.h>

static struct form *raw(int mode, const char *name, const char *encoding, int count) {
  struct form *f = addForm(mode, name, encoding, 0, NO_RM);
  f->count = count;
  return f;
}

static void privileged(int mode) {
  static const struct { const char *name, *code; } FORMS[] = {
      {"hlt", "f4"}, {"cli", "fa"}, {"sti", "fb"}, {"clts", "0f 06"}, {"invd", "0f 08"}, {"wbinvd", "0f 09"},
      {"rdmsr", "0f 32"}, {"wrmsr", "0f 30"}, {"in al,Ib", "e4 ib"}, {"in ax,Ib", "e5 ib"}, {"out Ib,al", "e6 ib"},
      {"out Ib,ax", "e7 ib"}, {"in al,dx", "ec"}, {"in ax,dx", "ed"}, {"out dx,al", "ee"}, {"out dx,ax", "ef"},
      {"insb", "6c"}, {"insd", "6d"}, {"outsb", "6e"}, {"outsd", "6f"}, {"mov r,cr0", "0f 20 c1"},
      {"mov r,cr2", "0f 20 d1"}, {"mov r,cr3", "0f 20 d9"}, {"mov r,cr4", "0f 20 e3"}, {"mov cr0,r", "0f 22 c1"},
      {"mov cr3,r", "0f 22 d9"}, {"mov cr4,r", "0f 22 e3"}, {"mov r,dr0", "0f 21 c1"}, {"mov r,dr7", "0f 21 f9"},
      {"mov dr7,r", "0f 23 f9"}, {"mov dr3,r", "0f 23 d9"}, {"lldt", "0f 00 d0"}, {"ltr", "0f 00 d8"},
      {"lmsw", "0f 01 f0"}, {"rdpmc", "0f 33"}, {"rsm", "0f aa"}, {"sysexit", "0f 35"}};
  for (unsigned i = 0; i < sizeof FORMS / sizeof *FORMS; i++)
    raw(mode, FORMS[i].name, FORMS[i].code, 3);
  static const struct { const char *name, *code; } MEMORY[] = {
      {"lgdt M", "0f 01 /2"}, {"lidt M", "0f 01 /3"}, {"invlpg M", "0f 01 /7"}};
  for (unsigned i = 0; i < sizeof MEMORY / sizeof *MEMORY; i++) {
    struct form *f = addForm(mode, MEMORY[i].name, MEMORY[i].code, 0, RM_MEM);
    f->access = 10;
    f->options = OPT_SAFE;
    f->count = 4;
  }
  if (mode == 64) raw(mode, "swapgs", "0f 01 f8", 3);
}

/* Not at a page end: how far the CPU reads before it gives up is its own affair. */
static void inside(struct vector *v) { v->before.rip = v->seeded.rip; }

static void invalid(int mode) {
  static const char *ANY_MODE[] = {
      "0f 0b", "0f b9 c1", "0f 04", "0f 0a", "0f 24 c0", "0f 26 c0", "0f 36", "0f 39", "0f 3b", "0f 3c", "0f 3f",
      "8d c1", "8e c8", "8e f0", "8e f8", "8c f0", "8c f9", "fe d0", "fe f9", "ff f8", "ff d8", "ff e8", "c6 c8 00",
      "8f c8", "0f c7 c8", "0f 00 f0", "0f 00 f8", "0f ba c0 01", "0f ba d9 01", "c4 c0", "c5 c0", "62 c0",
      "d9 d1", "d9 e2", "d9 e6", "da e0", "da f0", "db e8 00", "de d8", "de da", "df c8 00"};
  static const char *LOCKED[] = {"f0 90", "f0 01 c1", "f0 83 c0 01", "f0 39 08", "f0 85 08", "f0 89 08", "f0 8b 08",
                                 "f0 03 08", "f0 84 c1", "f0 fe c0", "f0 f7 d0", "f0 87 c8", "f0 0f b1 c8",
                                 "f0 0f a3 08", "f0 0f ba 20 01", "f0 d1 00", "f0 f7 20", "f0 c7 00 00 00 00 00",
                                 "f0 0f af 08", "f0 a4", "f0 ff 30", "f0 e8 00 00 00 00", "f0 0f 1f 00", "f0 0f b6 00"};
  static const char *ONLY_64[] = {"06", "07", "0e", "16", "17", "1e", "1f", "27", "2f", "37", "3f", "60", "61",
                                  "82 c0 00", "9a", "ce", "d4 0a", "d5 0a", "d6", "ea"};
  char text[64];
  for (unsigned i = 0; i < sizeof ANY_MODE / sizeof *ANY_MODE; i++) {
    if (strncmp(ANY_MODE[i], "d", 1) == 0 && ANY_MODE[i][1] >= '9') continue; /* x87 holes: reserved, not all #UD */
    if (mode != 64 && ANY_MODE[i][0] == '6') continue;
    if (ANY_MODE[i][0] == 'c' && (ANY_MODE[i][1] == '4' || ANY_MODE[i][1] == '5')) continue; /* VEX here */
    snprintf(text, sizeof text, "ud %s", ANY_MODE[i]);
    raw(mode, text, ANY_MODE[i], 2)->prepare = inside;
  }
  for (unsigned i = 0; i < sizeof LOCKED / sizeof *LOCKED; i++) {
    snprintf(text, sizeof text, "ud %s", LOCKED[i]);
    raw(mode, text, LOCKED[i], 2)->prepare = inside;
  }
  if (mode != 64) return;
  for (unsigned i = 0; i < sizeof ONLY_64 / sizeof *ONLY_64; i++) {
    snprintf(text, sizeof text, "ud %s", ONLY_64[i]);
    raw(mode, text, ONLY_64[i], 2)->prepare = inside;
  }
}

/* Fourteen or more bytes of prefixes: 15 bytes run, 16 take #GP. */
static void tooLong(struct vector *v) {
  static const uint8_t TAILS[4][5] = {{1, 0x90}, {2, 0x01, 0xc8}, {2, 0x89, 0xd8}, {5, 0xb8, 1, 2, 3}};
  static const uint8_t PREFIXES[6] = {0x2e, 0x36, 0x3e, 0x26, 0x66, 0x67};
  const uint8_t *tail = TAILS[below(3)];
  int length = 13 + (int)below(4);
  v->length = 0;
  while (v->length + tail[0] < length) v->bytes[v->length++] = PREFIXES[below(6)];
  memcpy(v->bytes + v->length, tail + 1, tail[0]);
  v->length += tail[0];
  v->before.rip = v->seeded.rip;
}

/* The code window ends inside the instruction: a fetch fault, whatever the rest would have been. */
static void cutOff(struct vector *v) {
  static const uint8_t LONG[][12] = {
      {6, 0x81, 0xc1, 1, 2, 3, 4}, {5, 0xb8, 1, 2, 3, 4}, {3, 0x0f, 0xaf, 0xc1}, {6, 0x66, 0x66, 0x66, 0x66, 0x01, 0xc8},
      {7, 0x81, 0x44, 0x24, 0x08, 1, 2, 3}, {5, 0xe9, 0, 0, 0, 0}, {3, 0x6b, 0xc0, 0x05}, {4, 0x0f, 0xba, 0xe0, 0x03},
      {2, 0x01, 0xc8}, {3, 0x83, 0xc0, 0x7f}};
  const uint8_t *bytes = LONG[below(sizeof LONG / sizeof *LONG)];
  v->length = 1 + (int)below(bytes[0] - 1u);
  memcpy(v->bytes, bytes + 1, (size_t)v->length);
  v->before.rip = (v->form->mode == 16 ? 0 : CODE) + CODE_BYTES - (uint32_t)v->length;
}

static void outsideWindow(struct vector *v) {
  static const uint32_t PLACES[] = {CODE - PAGE, CODE + CODE_BYTES, DATA + 0x10, STACK + 0x20, DATA + 2 * PAGE};
  v->length = 0;
  v->before.rip = PLACES[below(v->form->mode == 16 ? 0 : 5)];
  if (v->form->mode == 16) v->before.rip = CODE_BYTES + below(0xe000);
}

/* Random order, repeats and useless ones: REX counts only directly before the opcode. */
static void prefixSoup(struct vector *v) {
  static const uint8_t OPCODES[][4] = {{2, 0x01, 0xc8}, {2, 0x03, 0xd1}, {2, 0x88, 0xe5}, {2, 0x30, 0xfc}, {2, 0x8b, 0xc6},
                                       {3, 0x0f, 0xaf, 0xcb}, {3, 0x83, 0xc1, 0x80}, {2, 0xf7, 0xdb}, {1, 0x99}, {1, 0x98},
                                       {2, 0x87, 0xd6}, {3, 0x0f, 0xb6, 0xf4}, {3, 0x0f, 0xbe, 0xfd}, {2, 0xff, 0xc6}};
  static const uint8_t PREFIXES[] = {0x66, 0x66, 0x67, 0x2e, 0x36, 0x3e, 0x26};
  const uint8_t *opcode = OPCODES[below(sizeof OPCODES / sizeof *OPCODES)];
  int prefixes = (int)below(9);
  v->length = 0;
  for (int i = 0; i < prefixes; i++)
    v->bytes[v->length++] = v->form->mode == 64 && chance(3) ? 0x40 | (uint8_t)below(16) : PREFIXES[below(sizeof PREFIXES)];
  memcpy(v->bytes + v->length, opcode + 1, opcode[0]);
  v->length += opcode[0];
  v->undefined = opcode[1] == 0x0f && opcode[2] == 0xaf ? SF | ZF | AF | PF : opcode[1] == 0x30 ? AF : 0;
  v->before.rip = v->seeded.rip;
}

/* EFLAGS.AC at CPL 3 with CR0.AM: misaligned data takes #AC. */
static void alignment(struct vector *v) { v->before.flags |= AC; }

static void alignmentForms(int mode) {
  for (int size = 8; size <= (mode == 64 ? 64 : 32); size *= 2) {
    static const struct { const char *name; int opcode; uint32_t options; uint16_t undefined; } FORMS[] = {
        {"ac mov G%c,E%c", 0x8a, 0, 0}, {"ac mov E%c,G%c", 0x88, OPT_WRITES, 0}, {"ac add E%c,G%c", 0x00, OPT_WRITES, 0},
        {"ac cmp G%c,E%c", 0x3a, 0, 0}, {"ac xchg E%c,G%c", 0x86, OPT_WRITES, 0}};
    for (unsigned i = 0; i < sizeof FORMS / sizeof *FORMS; i++) {
      char text[32], bytes[16];
      snprintf(text, sizeof text, FORMS[i].name, SUFFIX[size], SUFFIX[size]);
      snprintf(bytes, sizeof bytes, "%02x /r", (unsigned)FORMS[i].opcode + (size != 8));
      struct form *f = addForm(mode, text, bytes, size, RM_MEM);
      f->options = FORMS[i].options;
      f->prepare = alignment;
    }
  }
}

/* Vectors whose gate has DPL 0 in the recording system: #GP with the vector as error code. */
static void interrupt(struct vector *v) {
  static const uint8_t VECTORS[] = {0, 1, 2, 5, 6, 8, 13, 14, 16, 31, 32, 33, 127, 129, 254, 255};
  setImmediate(v, VECTORS[below(sizeof VECTORS)]);
}

static void translate(struct vector *v) {
  const struct form *f = v->form;
  bool swapped = strncmp(f->name, "a ", 2) == 0;
  int bits = f->mode == 64 ? (swapped ? 32 : 64) : (f->mode == 32) != swapped ? 32 : 16;
  uint64_t mask = bits == 64 ? ~0ull : (1ull << bits) - 1, al = v->before.gpr[RAX] & 0xff;
  uint32_t at = chance(8) ? DATA + DATA_BYTES - below(2) : DATA + below(DATA_BYTES);
  uint64_t base = at - linearOf(f->mode, DS) - al;
  v->before.gpr[RBX] = (v->before.gpr[RBX] & ~mask) | (base & mask);
}

void faultForms(int mode) {
  privileged(mode);
  invalid(mode);
  alignmentForms(mode);
  raw(mode, "int Ib", "cd ib", 16)->prepare = interrupt;
  raw(mode, "xlat", "d7", 40)->prepare = translate;
  raw(mode, "a xlat", "67 d7", 30)->prepare = translate;
  raw(mode, "too long", "90", 60)->prepare = tooLong;
  raw(mode, "cut off", "90", 60)->prepare = cutOff;
  raw(mode, "code not there", "90", 10)->prepare = outsideWindow;
  raw(mode, "prefixes", "90", 200)->prepare = prefixSoup;
}
