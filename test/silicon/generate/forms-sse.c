/* SSE to SSE4.2 on XMM registers, 64-bit mode. */
#include "forms.h"
#include <stdio.h>
#include <string.h>

enum { XX = OPT_XMM_REG | OPT_XMM_RM, GX = OPT_XMM_RM, XG = OPT_XMM_REG, A = OPT_ALIGNED, W = OPT_WRITES };
enum { BOTH, ONLY_REG, ONLY_MEM };

struct row {
  const char *name, *encoding;
  uint32_t options;
  int access; /* bytes in memory */
  int shapes;
  int size; /* 64: REX.W */
};

static void explicitLengths(struct vector *v);

static void addRow(const struct row *row, enum profile profile, enum area area, int count, prepare_fn *prepare) {
  for (int memory = 0; memory < 2; memory++) {
    if (row->shapes == (memory ? ONLY_REG : ONLY_MEM)) continue;
    char text[64];
    snprintf(text, sizeof text, "%s %s", row->name, memory ? "mem" : "reg");
    struct form *f = addForm(64, text, row->encoding, row->size, memory ? RM_MEM : RM_REG);
    f->options = row->options | (memory ? OPT_ANY_TARGET : 0);
    f->access = row->access;
    f->profile = profile;
    f->area = area;
    f->prepare = prepare;
    if (prepare == explicitLengths) f->implicit = BIT(RAX) | BIT(RDX);
    f->count = memory ? count / 2 : count;
  }
}

static void addRows(const struct row *rows, enum profile profile, enum area area, int count, prepare_fn *prepare) {
  for (; rows->name; rows++) addRow(rows, profile, area, count, prepare);
}

/* ps, pd, ss and sd of one opcode. `which`: bits 1 ps, 2 pd, 4 ss, 8 sd */
static void floats(const char *name, const char *opcode, int which, int count, prepare_fn *prepare, const char *tolerance) {
  static const struct { const char *suffix, *prefix; int access; bool isDouble; } KINDS[] = {
      {"ps", "", 16, false}, {"pd", "66 ", 16, true}, {"ss", "f3 ", 4, false}, {"sd", "f2 ", 8, true}};
  for (int kind = 0; kind < 4; kind++) {
    if (!(which >> kind & 1)) continue;
    for (int memory = 0; memory < 2; memory++) {
      char text[48], bytes[48];
      snprintf(text, sizeof text, "%s%s %s", name, KINDS[kind].suffix, memory ? "mem" : "reg");
      snprintf(bytes, sizeof bytes, "%s0f %s", KINDS[kind].prefix, opcode);
      struct form *f = addForm(64, text, bytes, 0, memory ? RM_MEM : RM_REG);
      f->options = XX | (KINDS[kind].access == 16 ? A : 0) | (memory ? OPT_ANY_TARGET : 0);
      f->access = KINDS[kind].access;
      f->profile = KINDS[kind].isDouble ? FLOAT64 : FLOAT32;
      f->area = KINDS[kind].isDouble ? AREA_F64 : AREA_F32;
      f->prepare = prepare;
      f->tolerance = tolerance;
      f->count = memory ? count / 2 : count;
    }
  }
}

static void predicate(struct vector *v) { setImmediate(v, below(8)); }
static void roundingMode(struct vector *v) { setImmediate(v, below(16)); }
static void nibbles(struct vector *v) { setImmediate(v, below(256)); }

static void arithmetic(void) {
  floats("add", "58 /r", 15, 100, NULL, NULL);
  floats("sub", "5c /r", 15, 100, NULL, NULL);
  floats("mul", "59 /r", 15, 100, NULL, NULL);
  floats("div", "5e /r", 15, 100, NULL, NULL);
  floats("sqrt", "51 /r", 15, 80, NULL, NULL);
  floats("min", "5d /r", 15, 50, NULL, NULL);
  floats("max", "5f /r", 15, 50, NULL, NULL);
  floats("cmp", "c2 /r ib", 15, 80, predicate, NULL);
  floats("and", "54 /r", 3, 16, NULL, NULL);
  floats("andn", "55 /r", 3, 16, NULL, NULL);
  floats("or", "56 /r", 3, 16, NULL, NULL);
  floats("xor", "57 /r", 3, 16, NULL, NULL);
  floats("unpckl", "14 /r", 3, 16, NULL, NULL);
  floats("unpckh", "15 /r", 3, 16, NULL, NULL);
  floats("shuf", "c6 /r ib", 3, 30, nibbles, NULL);
  floats("rcp", "53 /r", 5, 60, NULL, "reciprocal");
  floats("rsqrt", "52 /r", 5, 60, NULL, "reciprocal");
}

/* MXCSR images: bits 31:16 set take #GP. */
static void loadControl(struct vector *v) {
  uint32_t image = (draw() & 0xffff) | (chance(6) ? 1u << (18 + below(14)) : 0);
  if (insideData(v->ea, 4) && v->ea + 4 <= DATA + WRITABLE_BYTES) setMemory(v, (uint32_t)v->ea, &image, 4);
  else if (insideData(v->ea, 4)) v->skip = true;
}

static void explicitLengths(struct vector *v) {
  if (v->form->encoding[10] == '0' || v->form->encoding[10] == '1') /* the forms with lengths in EAX and EDX */
    for (int i = 0; i < 2; i++)
      if (chance(4) == false) putReg(v, i ? RDX : RAX, 64, (uint64_t)(int64_t)((int32_t)below(40) - 20));
  setImmediate(v, below(128));
  /* characters from a small alphabet, so that something matches */
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < 16; j++) {
      uint8_t *lane = v->before.fx + 160 + 16 * i + j;
      if (i == (v->reg & 15) || (v->form->rm == RM_REG && i == v->rm)) *lane = (uint8_t)(below(12) ? 0x40 + below(5) : 0);
    }
}

static void maskedStore(struct vector *v) {
  v->before.gpr[RDI] = DATA + below(2 * PAGE - 16);
}

static void fxrstorImage(struct vector *v) {
  uint8_t image[512];
  static struct state other;
  seedState(&other, v->form, v->index + 1000);
  memcpy(image, other.fx, 512);
  uint32_t mxcsr = draw() & 0xffff;
  memcpy(image + 24, &mxcsr, 4);
  for (int i = 0; i < 8; i++) memset(image + 32 + 16 * i + 10, 0, 6);
  memset(image + 6, 0, 18);
  memset(image + 416, 0, 96);
  if ((v->ea & 15) == 0 && insideData(v->ea, 512) && v->ea + 512 <= DATA + WRITABLE_BYTES)
    setMemory(v, (uint32_t)v->ea, image, 512);
  else if (insideData(v->ea, 512) && (v->ea & 15) == 0) v->skip = true;
}

/* FXSAVE: pointers, opcode and MXCSR_MASK are the CPU's own, the rest of a register slot is reserved. */
static void ignoreReserved(struct vector *v) {
  if (v->trap.taken) return;
  uint32_t at = (uint32_t)v->ea;
  ignoreMemory(v, at + 5, 19);
  ignoreMemory(v, at + 28, 4);
  for (uint32_t i = 0; i < 8; i++) ignoreMemory(v, at + 32 + 16 * i + 10, 6);
}

/* Which of several NaNs a dot product passes on differs from maker to maker: a result that is one has one source. */
static void oneNan(struct vector *v) {
  bool isDouble = v->form->profile == FLOAT64;
  uint64_t exponent = isDouble ? 0x7ffull << 52 : 0xffull << 23, mask = isDouble ? ~0ull >> 1 : 0x7fffffff;
  uint8_t *first = v->before.fx + 160 + 16 * v->reg, *second = v->before.fx + 160 + 16 * v->rm;
  int nans = 0;
  for (int i = 0; i < 16; i += isDouble ? 8 : 4)
    for (int operand = 0; operand < 2; operand++) {
      uint64_t lane = 0;
      if (operand && v->form->rm == RM_MEM) lane = readBefore(v, v->ea + (uint64_t)i, isDouble ? 8 : 4);
      else memcpy(&lane, (operand ? second : first) + i, isDouble ? 8 : 4);
      nans += (lane & mask) >= exponent;
    }
  if (nans > 1) v->skip = true;
}

static void dotProduct(struct vector *v) {
  nibbles(v);
  oneNan(v);
}

static void conversions(void) {
  static const struct row FROM_SINGLE[] = {
      {"cvtps2pd", "0f 5a /r", XX, 8, BOTH, 0}, {"cvtss2sd", "f3 0f 5a /r", XX, 4, BOTH, 0},
      {"cvtps2dq", "66 0f 5b /r", XX | A, 16, BOTH, 0}, {"cvttps2dq", "f3 0f 5b /r", XX | A, 16, BOTH, 0},
      {"cvttss2si Gd", "f3 0f 2c /r", GX, 4, BOTH, 32}, {"cvttss2si Gq", "f3 0f 2c /r", GX, 4, BOTH, 64},
      {"cvtss2si Gd", "f3 0f 2d /r", GX, 4, BOTH, 32}, {"cvtss2si Gq", "f3 0f 2d /r", GX, 4, BOTH, 64},
      {"ucomiss", "0f 2e /r", XX, 4, BOTH, 0}, {"comiss", "0f 2f /r", XX, 4, BOTH, 0},
      {"cvttps2pi", "0f 2c /r", XX | OPT_MMX_REG, 8, BOTH, 0}, {"cvtps2pi", "0f 2d /r", XX | OPT_MMX_REG, 8, BOTH, 0},
      {0}};
  static const struct row FROM_DOUBLE[] = {
      {"cvtpd2ps", "66 0f 5a /r", XX | A, 16, BOTH, 0}, {"cvtsd2ss", "f2 0f 5a /r", XX, 8, BOTH, 0},
      {"cvtpd2dq", "f2 0f e6 /r", XX | A, 16, BOTH, 0}, {"cvttpd2dq", "66 0f e6 /r", XX | A, 16, BOTH, 0},
      {"cvttsd2si Gd", "f2 0f 2c /r", GX, 8, BOTH, 32}, {"cvttsd2si Gq", "f2 0f 2c /r", GX, 8, BOTH, 64},
      {"cvtsd2si Gd", "f2 0f 2d /r", GX, 8, BOTH, 32}, {"cvtsd2si Gq", "f2 0f 2d /r", GX, 8, BOTH, 64},
      {"ucomisd", "66 0f 2e /r", XX, 8, BOTH, 0}, {"comisd", "66 0f 2f /r", XX, 8, BOTH, 0},
      {"cvttpd2pi", "66 0f 2c /r", XX | A | OPT_MMX_REG, 16, BOTH, 0},
      {"cvtpd2pi", "66 0f 2d /r", XX | A | OPT_MMX_REG, 16, BOTH, 0}, {0}};
  static const struct row FROM_INTEGER[] = {
      {"cvtdq2ps", "0f 5b /r", XX | A, 16, BOTH, 0}, {"cvtdq2pd", "f3 0f e6 /r", XX, 8, BOTH, 0},
      {"cvtsi2ss Ed", "f3 0f 2a /r", XG, 4, BOTH, 32}, {"cvtsi2ss Eq", "f3 0f 2a /r", XG, 8, BOTH, 64},
      {"cvtsi2sd Ed", "f2 0f 2a /r", XG, 4, BOTH, 32}, {"cvtsi2sd Eq", "f2 0f 2a /r", XG, 8, BOTH, 64},
      {"cvtpi2ps", "0f 2a /r", XG | OPT_MMX_RM, 8, BOTH, 0}, {"cvtpi2pd", "66 0f 2a /r", XG | OPT_MMX_RM, 8, BOTH, 0},
      {0}};
  addRows(FROM_SINGLE, FLOAT32, AREA_F32, 80, NULL);
  addRows(FROM_DOUBLE, FLOAT64, AREA_F64, 80, NULL);
  addRows(FROM_INTEGER, PACKED, AREA_PACKED, 60, NULL);
}

static void moves(void) {
  static const struct row ROWS[] = {
      {"movups X,W", "0f 10 /r", XX, 16, BOTH, 0}, {"movups W,X", "0f 11 /r", XX | W, 16, BOTH, 0},
      {"movupd X,W", "66 0f 10 /r", XX, 16, BOTH, 0}, {"movupd W,X", "66 0f 11 /r", XX | W, 16, BOTH, 0},
      {"movss X,W", "f3 0f 10 /r", XX, 4, BOTH, 0}, {"movss W,X", "f3 0f 11 /r", XX | W, 4, BOTH, 0},
      {"movsd X,W", "f2 0f 10 /r", XX, 8, BOTH, 0}, {"movsd W,X", "f2 0f 11 /r", XX | W, 8, BOTH, 0},
      {"movaps X,W", "0f 28 /r", XX | A, 16, BOTH, 0}, {"movaps W,X", "0f 29 /r", XX | A | W, 16, BOTH, 0},
      {"movapd X,W", "66 0f 28 /r", XX | A, 16, BOTH, 0}, {"movapd W,X", "66 0f 29 /r", XX | A | W, 16, BOTH, 0},
      {"movlps X,M movhlps", "0f 12 /r", XX, 8, BOTH, 0}, {"movlps M,X", "0f 13 /r", XX | W, 8, ONLY_MEM, 0},
      {"movhps X,M movlhps", "0f 16 /r", XX, 8, BOTH, 0}, {"movhps M,X", "0f 17 /r", XX | W, 8, ONLY_MEM, 0},
      {"movlpd X,M", "66 0f 12 /r", XX, 8, ONLY_MEM, 0}, {"movlpd M,X", "66 0f 13 /r", XX | W, 8, ONLY_MEM, 0},
      {"movhpd X,M", "66 0f 16 /r", XX, 8, ONLY_MEM, 0}, {"movhpd M,X", "66 0f 17 /r", XX | W, 8, ONLY_MEM, 0},
      {"movddup", "f2 0f 12 /r", XX, 8, BOTH, 0}, {"movsldup", "f3 0f 12 /r", XX | A, 16, BOTH, 0},
      {"movshdup", "f3 0f 16 /r", XX | A, 16, BOTH, 0}, {"movntps", "0f 2b /r", XX | A | W, 16, ONLY_MEM, 0},
      {"movntpd", "66 0f 2b /r", XX | A | W, 16, ONLY_MEM, 0}, {"movntdq", "66 0f e7 /r", XX | A | W, 16, ONLY_MEM, 0},
      {"movntdqa", "66 0f 38 2a /r", XX | A, 16, ONLY_MEM, 0},
      {"movnti Gd", "0f c3 /r", W, 4, ONLY_MEM, 32}, {"movnti Gq", "0f c3 /r", W, 8, ONLY_MEM, 64},
      {"movmskps", "0f 50 /r", GX, 16, ONLY_REG, 0}, {"movmskpd", "66 0f 50 /r", GX, 16, ONLY_REG, 0},
      {"movd X,Ed", "66 0f 6e /r", XG, 4, BOTH, 32}, {"movq X,Eq", "66 0f 6e /r", XG, 8, BOTH, 64},
      {"movd Ed,X", "66 0f 7e /r", XG | W, 4, BOTH, 32}, {"movq Eq,X", "66 0f 7e /r", XG | W, 8, BOTH, 64},
      {"movq X,W", "f3 0f 7e /r", XX, 8, BOTH, 0}, {"movq W,X", "66 0f d6 /r", XX | W, 8, BOTH, 0},
      {"movdqa X,W", "66 0f 6f /r", XX | A, 16, BOTH, 0}, {"movdqa W,X", "66 0f 7f /r", XX | A | W, 16, BOTH, 0},
      {"movdqu X,W", "f3 0f 6f /r", XX, 16, BOTH, 0}, {"movdqu W,X", "f3 0f 7f /r", XX | W, 16, BOTH, 0},
      {"lddqu", "f2 0f f0 /r", XX, 16, ONLY_MEM, 0},
      {"movq2dq", "f3 0f d6 /r", XG | OPT_MMX_RM, 8, ONLY_REG, 0},
      {"movdq2q", "f2 0f d6 /r", XX | OPT_MMX_REG, 8, ONLY_REG, 0},
      {"stmxcsr", "0f ae /3", W, 4, ONLY_MEM, 0}, {"clflush", "0f ae /7", 0, 1, ONLY_MEM, 0},
      {"prefetchnta", "0f 18 /0", OPT_ADDRESS_ONLY, 1, ONLY_MEM, 0},
      {"prefetcht0", "0f 18 /1", OPT_ADDRESS_ONLY, 1, ONLY_MEM, 0}, {0}};
  addRows(ROWS, PACKED, AREA_PACKED, 20, NULL);
  static const struct row CONTROL[] = {{"ldmxcsr", "0f ae /2", 0, 4, ONLY_MEM, 0}, {0}};
  addRows(CONTROL, PACKED, AREA_PACKED, 60, loadControl);
  static const struct row MASKED[] = {{"maskmovdqu", "66 0f f7 /r", XX, 16, ONLY_REG, 0}, {0}};
  addRows(MASKED, PACKED, AREA_PACKED, 40, maskedStore);
  static const struct row RESTORE[] = {{"fxrstor", "0f ae /1", A, 512, ONLY_MEM, 0}, {0}};
  addRows(RESTORE, PACKED, AREA_INTEGER, 40, fxrstorImage);
  struct form *save = addForm(64, "fxsave mem", "0f ae /0", 0, RM_MEM);
  save->options = A | W | OPT_SAFE;
  save->access = 512;
  save->profile = PACKED;
  save->area = AREA_PACKED;
  save->finish = ignoreReserved;
  save->count = 20;
}

static void packed(void) {
  static const uint8_t OPCODES[] = {
      0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x74, 0x75, 0x76, 0xd1,
      0xd2, 0xd3, 0xd4, 0xd5, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5,
      0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee, 0xef, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf8, 0xf9, 0xfa, 0xfb,
      0xfc, 0xfd, 0xfe};
  for (unsigned i = 0; i < sizeof OPCODES; i++) {
    char text[32], bytes[32];
    snprintf(text, sizeof text, "66 0f %02x", OPCODES[i]);
    snprintf(bytes, sizeof bytes, "66 0f %02x /r", OPCODES[i]);
    addRow(&(struct row){text, bytes, XX | A, 16, BOTH, 0}, PACKED, AREA_PACKED, 24, NULL);
  }
  static const struct row SHUFFLES[] = {
      {"pshufd", "66 0f 70 /r ib", XX | A, 16, BOTH, 0}, {"pshufhw", "f3 0f 70 /r ib", XX | A, 16, BOTH, 0},
      {"pshuflw", "f2 0f 70 /r ib", XX | A, 16, BOTH, 0}, {"pinsrw", "66 0f c4 /r ib", XG, 2, BOTH, 0},
      {"pextrw Gd", "66 0f c5 /r ib", GX, 2, ONLY_REG, 0}, {"palignr", "66 0f 3a 0f /r ib", XX | A, 16, BOTH, 0},
      {"pblendw", "66 0f 3a 0e /r ib", XX | A, 16, BOTH, 0}, {"blendps", "66 0f 3a 0c /r ib", XX | A, 16, BOTH, 0},
      {"blendpd", "66 0f 3a 0d /r ib", XX | A, 16, BOTH, 0}, {"pextrb", "66 0f 3a 14 /r ib", XG | W, 1, BOTH, 0},
      {"pextrw Ew", "66 0f 3a 15 /r ib", XG | W, 2, BOTH, 0}, {"pextrd", "66 0f 3a 16 /r ib", XG | W, 4, BOTH, 32},
      {"pextrq", "66 0f 3a 16 /r ib", XG | W, 8, BOTH, 64}, {"extractps", "66 0f 3a 17 /r ib", XG | W, 4, BOTH, 0},
      {"pinsrb", "66 0f 3a 20 /r ib", XG, 1, BOTH, 0}, {"insertps", "66 0f 3a 21 /r ib", XX, 4, BOTH, 0},
      {"pinsrd", "66 0f 3a 22 /r ib", XG, 4, BOTH, 32}, {"pinsrq", "66 0f 3a 22 /r ib", XG, 8, BOTH, 64},
      {"mpsadbw", "66 0f 3a 42 /r ib", XX | A, 16, BOTH, 0},
      {"psrlw Ib", "66 0f 71 /2 ib", OPT_XMM_RM, 0, ONLY_REG, 0}, {"psraw Ib", "66 0f 71 /4 ib", OPT_XMM_RM, 0, ONLY_REG, 0},
      {"psllw Ib", "66 0f 71 /6 ib", OPT_XMM_RM, 0, ONLY_REG, 0}, {"psrld Ib", "66 0f 72 /2 ib", OPT_XMM_RM, 0, ONLY_REG, 0},
      {"psrad Ib", "66 0f 72 /4 ib", OPT_XMM_RM, 0, ONLY_REG, 0}, {"pslld Ib", "66 0f 72 /6 ib", OPT_XMM_RM, 0, ONLY_REG, 0},
      {"psrlq Ib", "66 0f 73 /2 ib", OPT_XMM_RM, 0, ONLY_REG, 0}, {"psrldq Ib", "66 0f 73 /3 ib", OPT_XMM_RM, 0, ONLY_REG, 0},
      {"psllq Ib", "66 0f 73 /6 ib", OPT_XMM_RM, 0, ONLY_REG, 0}, {"pslldq Ib", "66 0f 73 /7 ib", OPT_XMM_RM, 0, ONLY_REG, 0},
      {0}};
  for (const struct row *row = SHUFFLES; row->name; row++) {
    bool shift = row->name[0] == 'p' && row->name[1] == 's' && strstr(row->name, "Ib");
    addRow(row, PACKED, AREA_PACKED, 30, shift ? NULL : nibbles);
  }
  static const struct row PLAIN[] = {{"pmovmskb", "66 0f d7 /r", GX, 16, ONLY_REG, 0}, {0}};
  addRows(PLAIN, PACKED, AREA_PACKED, 24, NULL);
}

static void shiftCounts(struct vector *v) { /* counts in the low quadword: mostly within reach */
  if (v->form->rm == RM_REG && chance(3) == false) {
    uint64_t count = below(80);
    memcpy(v->before.fx + 160 + 16 * v->rm, &count, 8);
  }
}

static void later(void) {
  static const uint8_t THREE_BYTE[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x10,
                                       0x14, 0x15, 0x17, 0x1c, 0x1d, 0x1e, 0x28, 0x29, 0x2b, 0x37, 0x38, 0x39, 0x3a,
                                       0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x40, 0x41};
  for (unsigned i = 0; i < sizeof THREE_BYTE; i++) {
    char text[32], bytes[32];
    snprintf(text, sizeof text, "66 0f 38 %02x", THREE_BYTE[i]);
    snprintf(bytes, sizeof bytes, "66 0f 38 %02x /r", THREE_BYTE[i]);
    addRow(&(struct row){text, bytes, XX | A, 16, BOTH, 0}, PACKED, AREA_PACKED, 24, NULL);
  }
  static const uint8_t EXTEND_BYTES[6] = {8, 4, 2, 8, 4, 8};
  for (int i = 0; i < 12; i++) {
    char text[32], bytes[32];
    int opcode = (i < 6 ? 0x20 : 0x30) + i % 6;
    snprintf(text, sizeof text, "66 0f 38 %02x", opcode);
    snprintf(bytes, sizeof bytes, "66 0f 38 %02x /r", opcode);
    addRow(&(struct row){text, bytes, XX, EXTEND_BYTES[i % 6], BOTH, 0}, PACKED, AREA_PACKED, 16, NULL);
  }
  static const struct row ROUND_SINGLE[] = {{"roundps", "66 0f 3a 08 /r ib", XX | A, 16, BOTH, 0},
                                            {"roundss", "66 0f 3a 0a /r ib", XX, 4, BOTH, 0}, {0}};
  static const struct row ROUND_DOUBLE[] = {{"roundpd", "66 0f 3a 09 /r ib", XX | A, 16, BOTH, 0},
                                            {"roundsd", "66 0f 3a 0b /r ib", XX, 8, BOTH, 0}, {0}};
  addRows(ROUND_SINGLE, FLOAT32, AREA_F32, 60, roundingMode);
  addRows(ROUND_DOUBLE, FLOAT64, AREA_F64, 60, roundingMode);
  static const struct row PAIRS_SINGLE[] = {{"addsubps", "f2 0f d0 /r", XX | A, 16, BOTH, 0},
                                            {"haddps", "f2 0f 7c /r", XX | A, 16, BOTH, 0},
                                            {"hsubps", "f2 0f 7d /r", XX | A, 16, BOTH, 0}, {0}};
  static const struct row PAIRS_DOUBLE[] = {{"addsubpd", "66 0f d0 /r", XX | A, 16, BOTH, 0},
                                            {"haddpd", "66 0f 7c /r", XX | A, 16, BOTH, 0},
                                            {"hsubpd", "66 0f 7d /r", XX | A, 16, BOTH, 0}, {0}};
  addRows(PAIRS_SINGLE, FLOAT32, AREA_F32, 60, NULL);
  addRows(PAIRS_DOUBLE, FLOAT64, AREA_F64, 60, NULL);
  static const struct row DOT_SINGLE[] = {{"dpps", "66 0f 3a 40 /r ib", XX | A, 16, BOTH, 0}, {0}};
  static const struct row DOT_DOUBLE[] = {{"dppd", "66 0f 3a 41 /r ib", XX | A, 16, BOTH, 0}, {0}};
  addRows(DOT_SINGLE, FLOAT32, AREA_F32, 40, dotProduct);
  addRows(DOT_DOUBLE, FLOAT64, AREA_F64, 40, dotProduct);
  static const struct row STRINGS[] = {
      {"pcmpestrm", "66 0f 3a 60 /r ib", XX, 16, BOTH, 0}, {"pcmpestri", "66 0f 3a 61 /r ib", XX, 16, BOTH, 0},
      {"pcmpistrm", "66 0f 3a 62 /r ib", XX, 16, BOTH, 0}, {"pcmpistri", "66 0f 3a 63 /r ib", XX, 16, BOTH, 0}, {0}};
  addRows(STRINGS, PACKED, AREA_PACKED, 100, explicitLengths);
  static const uint8_t SHIFTS[] = {0xd1, 0xd2, 0xd3, 0xe1, 0xe2, 0xf1, 0xf2, 0xf3};
  for (unsigned i = 0; i < sizeof SHIFTS; i++) {
    char text[32], bytes[32];
    snprintf(text, sizeof text, "counted 66 0f %02x", SHIFTS[i]);
    snprintf(bytes, sizeof bytes, "66 0f %02x /r", SHIFTS[i]);
    addRow(&(struct row){text, bytes, XX, 16, ONLY_REG, 0}, PACKED, AREA_PACKED, 24, shiftCounts);
  }
  addRm(64, "crc32 G,Eb", "f2 0f 38 f0 /r", 8, 0, 0, false);
  addRm(64, "crc32 G,Ew", "f2 0f 38 f1 /r", 16, 0, 0, false);
  addRm(64, "crc32 G,Ed", "f2 0f 38 f1 /r", 32, 0, 0, false);
  addRm(64, "crc32 G,Eq", "f2 0f 38 f1 /r", 64, 0, 0, false);
}

/* FXSAVE and FXRSTOR where there are eight XMM registers. */
void saveForms(int mode) {
  for (int restore = 0; restore < 2; restore++) {
    struct form *f = addForm(mode, restore ? "fxrstor mem" : "fxsave mem", restore ? "0f ae /1" : "0f ae /0", 0, RM_MEM);
    f->options = A | (restore ? OPT_ANY_TARGET : W | OPT_SAFE);
    f->access = 512;
    f->profile = PACKED;
    f->area = restore ? AREA_INTEGER : AREA_PACKED;
    if (restore) f->prepare = fxrstorImage;
    else f->finish = ignoreReserved;
    f->count = restore ? 40 : 20;
  }
}

void sseForms(void) {
  arithmetic();
  conversions();
  moves();
  packed();
  later();
}
