/* x87: arithmetic on the stack and from memory, comparisons, conversions, constants, control, pending exceptions. */
#include "forms.h"
#include <stdio.h>
#include <string.h>

enum { C0 = 0x100, C1 = 0x200, C2 = 0x400, C3 = 0x4000, OTHERS = C0 | C2 | C3, ALL_CODES = OTHERS | C1 };

static int mode;

static struct form *reg(const char *name, const char *encoding, uint16_t undefinedStatus, int count) {
  struct form *f = addForm(mode, name, encoding, 0, NO_RM);
  f->profile = X87;
  f->undefinedStatus = undefinedStatus;
  f->count = count;
  return f;
}

/* The eight register forms of an opcode pair, e.g. D8 C0+i: one form, random i. */
static void stackIndex(struct vector *v) {
  uint8_t *last = &v->bytes[v->length - 1];
  *last = (*last & 0xf8) | (uint8_t)below(8);
  if (chance(3)) *last = (*last & 0xf8) | 1;
}

static struct form *stackReg(const char *name, const char *encoding, uint16_t undefinedStatus, int count) {
  struct form *f = reg(name, encoding, undefinedStatus, count);
  f->prepare = stackIndex;
  return f;
}

/* An unmasked exception keeps a result from being stored; whether memory is asked first differs from maker to maker. */
static void maskUnlessWritable(struct vector *v) {
  bool throughCode = memchr(v->bytes, 0x2e, 2) != NULL; /* a CS prefix: no writes */
  if (throughCode || !isWritable(v->ea, (uint32_t)v->form->access)) v->before.fx[0] |= 0x3f;
}

static struct form *mem(const char *name, const char *encoding, int access, enum area area, uint32_t options,
                        uint16_t undefinedStatus, int count) {
  struct form *f = addForm(mode, name, encoding, 0, RM_MEM);
  f->profile = X87;
  f->access = access;
  f->area = area;
  f->options = options | OPT_ANY_TARGET;
  f->undefinedStatus = undefinedStatus;
  f->count = count;
  if (options & OPT_WRITES) f->prepare = maskUnlessWritable, f->finish = forgetWrites;
  return f;
}

static const char *ARITHMETIC_NAMES[8] = {"fadd", "fmul", "fcom", "fcomp", "fsub", "fsubr", "fdiv", "fdivr"};

static void arithmetic(void) {
  char text[32], bytes[16];
  for (int op = 0; op < 8; op++) {
    bool compares = op == 2 || op == 3;
    uint16_t undefined = compares ? 0 : OTHERS;
    int count = compares ? 40 : 100;
    snprintf(text, sizeof text, "%s st0,sti", ARITHMETIC_NAMES[op]);
    snprintf(bytes, sizeof bytes, "d8 %02x", 0xc0 + 8 * op);
    stackReg(text, bytes, undefined, count);
    static const struct { const char *suffix; int opcode, access; enum area area; } SOURCES[] = {
        {"m32", 0xd8, 4, AREA_F32}, {"m64", 0xdc, 8, AREA_F64}, {"m32i", 0xda, 4, AREA_PACKED}, {"m16i", 0xde, 2, AREA_PACKED}};
    for (int i = 0; i < 4; i++) {
      snprintf(text, sizeof text, "%s %s", ARITHMETIC_NAMES[op], SOURCES[i].suffix);
      snprintf(bytes, sizeof bytes, "%02x /%d", (unsigned)SOURCES[i].opcode, op);
      mem(text, bytes, SOURCES[i].access, SOURCES[i].area, 0, undefined, 40);
    }
    if (compares) continue;
    /* DC and DE swap the two subtractions and the two divisions */
    int encoded = op < 4 ? op : op ^ 1;
    snprintf(text, sizeof text, "%s sti,st0", ARITHMETIC_NAMES[op]);
    snprintf(bytes, sizeof bytes, "dc %02x", 0xc0 + 8 * encoded);
    stackReg(text, bytes, undefined, 50);
    snprintf(text, sizeof text, "%sp sti,st0", ARITHMETIC_NAMES[op]);
    snprintf(bytes, sizeof bytes, "de %02x", 0xc0 + 8 * encoded);
    stackReg(text, bytes, undefined, 50);
  }
}

static void moves(void) {
  stackReg("fld sti", "d9 c0", OTHERS, 30);
  stackReg("fxch sti", "d9 c8", OTHERS, 30);
  stackReg("ffree sti", "dd c0", ALL_CODES, 20);
  stackReg("fst sti", "dd d0", OTHERS, 30);
  stackReg("fstp sti", "dd d8", OTHERS, 30);
  stackReg("fucom sti", "dd e0", 0, 40);
  stackReg("fucomp sti", "dd e8", 0, 40);
  reg("fcompp", "de d9", 0, 40);
  reg("fucompp", "da e9", 0, 40);
  stackReg("fucomi sti", "db e8", OTHERS, 40);
  stackReg("fcomi sti", "db f0", OTHERS, 40);
  stackReg("fucomip sti", "df e8", OTHERS, 40);
  stackReg("fcomip sti", "df f0", OTHERS, 40);
  static const char *CONDITIONS[8] = {"b", "e", "be", "u", "nb", "ne", "nbe", "nu"};
  for (int i = 0; i < 8; i++) {
    char text[32], bytes[16];
    snprintf(text, sizeof text, "fcmov%s sti", CONDITIONS[i]);
    snprintf(bytes, sizeof bytes, "%s %02x", i < 4 ? "da" : "db", 0xc0 + 8 * (i & 3));
    stackReg(text, bytes, OTHERS, 24);
  }
  static const struct { const char *name, *code; int access; enum area area; uint32_t options; int count; } MEMORY[] = {
      {"fld m32", "d9 /0", 4, AREA_F32, 0, 60}, {"fst m32", "d9 /2", 4, AREA_F32, OPT_WRITES, 100},
      {"fstp m32", "d9 /3", 4, AREA_F32, OPT_WRITES, 60}, {"fld m64", "dd /0", 8, AREA_F64, 0, 60},
      {"fst m64", "dd /2", 8, AREA_F64, OPT_WRITES, 100}, {"fstp m64", "dd /3", 8, AREA_F64, OPT_WRITES, 60},
      {"fld m80", "db /5", 10, AREA_F80, 0, 60}, {"fstp m80", "db /7", 10, AREA_F80, OPT_WRITES, 40},
      {"fild m16", "df /0", 2, AREA_PACKED, 0, 40}, {"fild m32", "db /0", 4, AREA_PACKED, 0, 40},
      {"fild m64", "df /5", 8, AREA_PACKED, 0, 40}, {"fist m16", "df /2", 2, AREA_PACKED, OPT_WRITES, 80},
      {"fist m32", "db /2", 4, AREA_PACKED, OPT_WRITES, 80}, {"fistp m16", "df /3", 2, AREA_PACKED, OPT_WRITES, 50},
      {"fistp m32", "db /3", 4, AREA_PACKED, OPT_WRITES, 50}, {"fistp m64", "df /7", 8, AREA_PACKED, OPT_WRITES, 80},
      {"fisttp m16", "df /1", 2, AREA_PACKED, OPT_WRITES, 50}, {"fisttp m32", "db /1", 4, AREA_PACKED, OPT_WRITES, 50},
      {"fisttp m64", "dd /1", 8, AREA_PACKED, OPT_WRITES, 50}, {"fbstp m80", "df /6", 10, AREA_PACKED, OPT_WRITES, 80}};
  for (unsigned i = 0; i < sizeof MEMORY / sizeof *MEMORY; i++)
    mem(MEMORY[i].name, MEMORY[i].code, MEMORY[i].access, MEMORY[i].area, MEMORY[i].options, OTHERS, MEMORY[i].count);
}

/* Ten bytes of packed decimal; digits above 9 are undefined and not generated. */
static void decimalOperand(struct vector *v) {
  uint8_t image[10];
  for (int i = 0; i < 9; i++) image[i] = (uint8_t)(chance(4) ? 0 : below(10) << 4 | below(10));
  image[9] = (uint8_t)(below(2) << 7);
  if (insideData(v->ea, 10) && v->ea + 10 <= DATA + WRITABLE_BYTES) setMemory(v, (uint32_t)v->ea, image, 10);
  else if (insideData(v->ea, 10)) v->skip = true;
}

static void controlWord(struct vector *v) {
  uint16_t image = (uint16_t)(0x0040 | (draw() & 0x0f3f));
  if (!chance(3)) image |= 0x3f;
  if (insideData(v->ea, 2) && v->ea + 2 <= DATA + WRITABLE_BYTES) setMemory(v, (uint32_t)v->ea, &image, 2);
  else if (insideData(v->ea, 2)) v->skip = true;
}

/* The environment, 28 or 14 bytes, and the registers of FRSTOR. Nothing pending: what would be comes by `pending`. */
static void environment(struct vector *v) {
  uint8_t image[108];
  static struct state other;
  seedState(&other, v->form, v->index + 1000);
  uint32_t length = (uint32_t)v->form->access, word = v->form->size == 16 ? 2 : 4, at = 7 * word;
  memset(image, 0, sizeof image);
  if (word == 4) image[2] = image[6] = image[10] = 0xff;
  memcpy(image, other.fx, 2);
  memcpy(image + word, other.fx + 2, 2);
  uint16_t tags = (uint16_t)draw();
  memcpy(image + 2 * word, &tags, 2);
  if (length > at)
    for (uint32_t i = 0; i < 8; i++) memcpy(image + at + 10 * i, other.fx + 32 + 16 * i, 10);
  if (insideData(v->ea, length) && v->ea + length <= DATA + WRITABLE_BYTES) setMemory(v, (uint32_t)v->ea, image, length);
  else if (insideData(v->ea, length)) v->skip = true;
}

/* Instruction and data pointers of a stored environment: this CPU keeps them only with an exception pending. */
static void ignorePointers(struct vector *v) {
  if (v->trap.taken) return;
  if (v->form->size == 16) ignoreMemory(v, (uint32_t)v->ea + 6, 8);
  else ignoreMemory(v, (uint32_t)v->ea + 12, 14);
}

/* The environment and the state as they are stored, in both formats of protected mode. */
static void stores(void) {
  static const struct { const char *name, *code; int size, access; } ROWS[] = {
      {"fnstenv", "d9 /6", 32, 28}, {"fnstenv w", "d9 /6", 16, 14}, {"fnsave", "dd /6", 32, 108}, {"fnsave w", "dd /6", 16, 94}};
  for (int i = 0; i < 4; i++) {
    struct form *f = mem(ROWS[i].name, ROWS[i].code, ROWS[i].access, AREA_INTEGER, OPT_SAFE | OPT_WRITES, i < 2 ? ALL_CODES : 0, 30);
    f->size = ROWS[i].size;
    f->finish = ignorePointers;
  }
  static const struct { const char *name, *code; int size, access; } LOADS[] = {
      {"fldenv", "d9 /4", 32, 28}, {"fldenv w", "d9 /4", 16, 14}, {"frstor", "dd /4", 32, 108}, {"frstor w", "dd /4", 16, 94}};
  for (int i = 0; i < 4; i++) {
    struct form *f = mem(LOADS[i].name, LOADS[i].code, LOADS[i].access, AREA_INTEGER, OPT_SAFE, 0, 40);
    f->size = LOADS[i].size;
    f->prepare = environment;
  }
}

/* Scales around 0, of numbers at the ends of the range: what is tiny or huge before and after. */
static void scaleLittle(struct vector *v) {
  int top = v->before.fx[3] >> 3 & 7;
  uint8_t *scaled = v->before.fx + 32 + 16 * top, *by = v->before.fx + 32 + 16 * ((top + 1) & 7);
  static const uint16_t EXPONENTS[] = {0, 0x3ffe, 0x3fff, 0x4000, 0x4001, 0x4005, 0x3000};
  uint32_t which = below(7);
  uint16_t exponent = EXPONENTS[which] | (uint16_t)(below(2) << 15);
  uint64_t significand = which ? 1ull << 63 | (uint64_t)below(4) << 61 : 0;
  memcpy(by, &significand, 8), memcpy(by + 8, &exponent, 2);
  exponent = (uint16_t)(chance(4) ? 0x7ffe - below(3) : below(4)) | (uint16_t)(below(2) << 15);
  memcpy(&significand, scaled, 8);
  significand = exponent & 0x7fff ? significand | 1ull << 63 : (significand & ~0ull >> 1) | 1;
  memcpy(scaled, &significand, 8), memcpy(scaled + 8, &exponent, 2);
  if (chance(2)) v->before.fx[0] &= (uint8_t)~0x18, v->before.fx[2] &= (uint8_t)~0x18;
  v->before.fx[4] = 0xff;
}

static void control(void) {
  static const struct { const char *name, *code; uint16_t undefined; } ROWS[] = {
      {"fchs", "d9 e0", OTHERS}, {"fabs", "d9 e1", OTHERS}, {"ftst", "d9 e4", 0}, {"fxam", "d9 e5", 0},
      {"fld1", "d9 e8", OTHERS}, {"fldl2t", "d9 e9", OTHERS}, {"fldl2e", "d9 ea", OTHERS}, {"fldpi", "d9 eb", OTHERS},
      {"fldlg2", "d9 ec", OTHERS}, {"fldln2", "d9 ed", OTHERS}, {"fldz", "d9 ee", OTHERS}, {"fdecstp", "d9 f6", OTHERS},
      {"fincstp", "d9 f7", OTHERS}, {"fnclex", "db e2", ALL_CODES}, {"fninit", "db e3", 0}, {"fwait", "9b", ALL_CODES},
      {"fnop", "d9 d0", ALL_CODES}, {"fnstsw ax", "df e0", ALL_CODES}};
  for (unsigned i = 0; i < sizeof ROWS / sizeof *ROWS; i++) reg(ROWS[i].name, ROWS[i].code, ROWS[i].undefined, i < 4 ? 40 : 24);
  reg("fsqrt", "d9 fa", OTHERS, 120);
  reg("frndint", "d9 fc", OTHERS, 100);
  reg("fscale", "d9 fd", OTHERS, 100);
  reg("fscale little", "d9 fd", OTHERS, 100)->prepare = scaleLittle;
  reg("fxtract", "d9 f4", OTHERS, 60);
  reg("fprem", "d9 f8", 0, 120);
  reg("fprem1", "d9 f5", 0, 120);
  mem("fldcw", "d9 /5", 2, AREA_PACKED, 0, ALL_CODES, 40)->prepare = controlWord;
  mem("fnstcw", "d9 /7", 2, AREA_PACKED, OPT_WRITES, ALL_CODES, 20);
  mem("fnstsw m16", "dd /7", 2, AREA_PACKED, OPT_WRITES, ALL_CODES, 20);
  mem("fbld m80", "df /4", 10, AREA_INTEGER, 0, OTHERS, 60)->prepare = decimalOperand;
}

static void setExponent(struct vector *v, int physical, uint32_t exponent) {
  uint8_t *at = v->before.fx + 32 + 16 * physical;
  at[8] = (uint8_t)exponent;
  at[9] = (uint8_t)((at[9] & 0x80) | exponent >> 8);
  at[7] |= 0x80;
}

/*
 * Transcendental operands stay inside the range that the manual promises an accuracy for: the CPUs reduce larger
 * arguments with their own approximations of pi. Zeros, infinities, NaNs and empty registers stay as they are drawn.
 */
static void reduce(struct vector *v) {
  int top = v->before.fx[3] >> 3 & 7, next = (top + 1) & 7;
  const char *name = v->form->name;
  for (int i = 0; i < 2; i++) {
    int physical = i ? next : top;
    uint8_t *at = v->before.fx + 32 + 16 * physical;
    uint32_t exponent = (at[8] | at[9] << 8) & 0x7fff;
    if (exponent == 0x7fff || exponent == 0) continue;
    if (strncmp(name, "f2xm1", 5) == 0 || strncmp(name, "fsin", 4) == 0 || strncmp(name, "fcos", 4) == 0 ||
        strncmp(name, "fptan", 5) == 0) {
      if (i == 0) setExponent(v, physical, 0x3fff - 1 - below(chance(4) ? 70 : 8));
      if (i == 0 && name[1] != '2') at[7] &= 0xbf; /* below 3/4: less than pi/4 */
    } else if (strncmp(name, "fyl2xp1 out", 11) == 0) {
      /* below -1, where the manual leaves the result open */
      if (i == 0) at[9] |= 0x80, setExponent(v, physical, 0x3fff + below(chance(2) ? 3 : 60)), at[0] |= 1;
    } else if (strncmp(name, "fyl2xp1", 7) == 0) {
      if (i == 0) setExponent(v, physical, 0x3fff - 3 - below(chance(4) ? 70 : 8));
      else setExponent(v, physical, 0x3fff - 8 + below(16));
    } else {
      setExponent(v, physical, 0x3fff - 8 + below(16));
    }
  }
}

static void transcendental(void) {
  static const struct { const char *name, *code; uint16_t undefined; } ROWS[] = {
      {"f2xm1", "d9 f0", ALL_CODES}, {"fyl2x", "d9 f1", ALL_CODES}, {"fptan", "d9 f2", C0 | C1 | C3},
      {"fpatan", "d9 f3", ALL_CODES}, {"fyl2xp1", "d9 f9", ALL_CODES},
      {"fyl2xp1 out of range", "d9 f9", ALL_CODES}, {"fsincos", "d9 fb", C0 | C1 | C3},
      {"fsin", "d9 fe", C0 | C1 | C3}, {"fcos", "d9 ff", C0 | C1 | C3}};
  for (unsigned i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
    struct form *f = reg(ROWS[i].name, ROWS[i].code, ROWS[i].undefined, 60);
    f->prepare = reduce;
    f->tolerance = "transcendental";
  }
}

/* An exception is flagged and not masked: what waits takes #MF, what does not wait goes on. */
static void pending(struct vector *v) {
  uint8_t flag = (uint8_t)(1 << below(6));
  v->before.fx[0] &= (uint8_t)~flag;
  v->before.fx[2] |= flag | 0x80;
  v->before.fx[3] |= 0x80;
}

static void pendingForms(void) {
  static const struct { const char *name, *code; bool memory; int access; } ROWS[] = {
      {"pending fwait", "9b", false, 0}, {"pending fld1", "d9 e8", false, 0}, {"pending fadd", "d8 c1", false, 0},
      {"pending fnop", "d9 d0", false, 0}, {"pending fnclex", "db e2", false, 0}, {"pending fninit", "db e3", false, 0},
      {"pending fnstsw", "df e0", false, 0}, {"pending emms", "0f 77", false, 0}, {"pending paddb", "0f fc c1", false, 0},
      {"pending ffree", "dd c1", false, 0}, {"pending fincstp", "d9 f7", false, 0},
      {"pending fnstcw", "d9 /7", true, 2}, {"pending fld m32", "d9 /0", true, 4}, {"pending fldcw", "d9 /5", true, 2},
      {"pending movaps", "0f 28 c1", false, 0}};
  for (unsigned i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
    struct form *f = ROWS[i].memory ? mem(ROWS[i].name, ROWS[i].code, ROWS[i].access, AREA_PACKED, OPT_SAFE, ALL_CODES, 8)
                                    : reg(ROWS[i].name, ROWS[i].code, ALL_CODES, 8);
    f->prepare = pending;
    if (strstr(ROWS[i].name, "fldcw")) f->options |= OPT_WRITES;
  }
}

void x87Forms(int of) {
  mode = of;
  arithmetic();
  moves();
  control();
  stores();
  transcendental();
  pendingForms();
}
