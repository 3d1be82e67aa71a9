/*
 * Random instructions: any prefixes, any opcode of the four maps, any ModRM and SIB byte, in all three modes.
 *
 * Left out is what has forms of its own because it needs care (far transfers, ENTER, POPF, the stack segment), what
 * tells about the machine instead of computing (CPUID, RDTSC, the environment of the x87), system calls, and extensions
 * that no vector is recorded for. Flags that an instruction leaves undefined are masked by its opcode.
 */
#include "forms.h"
#include <stdio.h>
#include <string.h>

#define SHIFTED (AF | OF | CF)

/* What was drawn: prefixes seen, opcode with its map in bits 9:8 (1 one byte, 2 0F, 3 0F38, 4 0F3A). */
struct drawn {
  bool opsize, rep, repne, lock, wide;
  int map, opcode, modrm;
};

static bool isPrefix(int mode, uint8_t byte) {
  if (mode == 64 && (byte & 0xf0) == 0x40) return true;
  return strchr("\x66\x67\xf0\xf2\xf3\x26\x2e\x36\x3e\x64\x65", byte) && byte;
}

static struct drawn look(const struct vector *v) {
  struct drawn d = {.map = 1};
  int at = 0, mode = v->form->mode;
  for (; at < 12 && isPrefix(mode, v->bytes[at]); at++) {
    uint8_t byte = v->bytes[at];
    d.wide = mode == 64 && (byte & 0xf8) == 0x48;
    if (byte == 0x66) d.opsize = true;
    if (byte == 0xf0) d.lock = true;
    if (byte == 0xf2) d.repne = true, d.rep = false;
    if (byte == 0xf3) d.rep = true, d.repne = false;
  }
  d.opcode = v->bytes[at++];
  if (d.opcode == 0x0f) {
    d.map = 2;
    d.opcode = v->bytes[at++];
    if (d.opcode == 0x38 || d.opcode == 0x3a) {
      d.map = d.opcode == 0x38 ? 3 : 4;
      d.opcode = v->bytes[at++];
    }
  }
  d.modrm = v->bytes[at];
  return d;
}

static bool among(int opcode, const char *list) {
  unsigned low, high;
  int used;
  for (; sscanf(list, " %x-%x%n", &low, &high, &used) == 2; list += used)
    if ((unsigned)opcode >= low && (unsigned)opcode <= high) return true;
  return false;
}

static bool excludedOneByte(int mode, const struct drawn *d) {
  int reg = d->modrm >> 3 & 7;
  bool memory = d->modrm < 0xc0;
  /* segments pushed, POP SS, PUSHF, POPF, INT, ICEBP; in 64-bit mode EVEX and VEX */
  if (among(d->opcode, "06-06 0e-0e 16-17 1e-1e 9c-9d cd-cd f1-f1")) return true;
  if (mode == 64 && among(d->opcode, "62-62 c4-c5")) return true;
  if (mode != 64 && among(d->opcode, "62-62 c4-c5") && !memory) return true;
  if (d->opcode == 0x8e && reg == SS) return true;
  if (d->opcode == 0x8f && reg != 0) return true;                         /* XOP */
  if ((d->opcode & 0xfe) == 0xc6 && d->modrm == 0xf8) return true;        /* XABORT, XBEGIN */
  if (d->wide && d->opcode == 0xff && (reg == 3 || reg == 5)) return true; /* AMD takes no 64-bit far pointer */
  if (mode == 64 && d->opsize) {                                          /* near branches: maker to maker */
    if (among(d->opcode, "70-7f c2-c3 e0-e3 e8-e9 eb-eb")) return true;
    if (d->opcode == 0xff && (reg == 2 || reg == 4)) return true;
  }
  if (d->opcode == 0xe0 + (d->opcode & 1) && (d->rep || d->repne)) return true; /* LOOPcc: AMD lets them choose ZF */
  if (d->opcode == 0xd9 && !memory && among(d->modrm, "f0-f3 f9-f9 fb-fb fe-ff")) return true; /* transcendental */
  if ((d->opcode == 0xd9 || d->opcode == 0xdd) && memory && (reg == 4 || reg == 6)) return true; /* environment */
  return false;
}

static bool excludedTwoByte(int mode, const struct drawn *d) {
  int reg = d->modrm >> 3 & 7;
  bool memory = d->modrm < 0xc0;
  /* selectors and tables, SYSCALL, RSM, counters, SYSENTER, PUSH FS, CPUID, LSS, PUSH GS, approximations, SSE4A */
  if (among(d->opcode, "00-03 05-05 07-07 31-31 33-35 37-37 52-53 78-79 a0-a0 a2-a2 a8-a8 aa-aa b2-b2")) return true;
  if (d->lock && among(d->opcode, "20-20 22-22")) return true;            /* CR8 */
  if (d->wide && among(d->opcode, "b4-b5")) return true;                  /* AMD takes no 64-bit far pointer */
  if (d->opcode == 0xf7 && !d->opsize) return true;                       /* a fault of MASKMOVQ changes TOP */
  if (d->opcode == 0x0d && !memory) return true;                          /* PREFETCHW of a register: #UD or NOP */
  if (d->opcode == 0x2b && (d->rep || d->repne)) return true;
  if (among(d->opcode, "a4-a5 ac-ad bc-bd")) return true;                 /* undefined results: forms of their own */
  if (mode == 64 && d->opsize && among(d->opcode, "80-8f")) return true;
  if (d->opcode == 0xae) return memory ? reg < 2 || reg > 3 : d->rep || d->repne || d->opsize;
  if (d->opcode == 0xc7) return reg != 1;
  return false;
}

/* AES, SHA, PCLMULQDQ, ADX and the rest that CPUID of the vectors does not have; EPT and PCID instructions. */
static bool excluded(int mode, const struct drawn *d) {
  switch (d->map) {
  case 1: return excludedOneByte(mode, d);
  case 2: return excludedTwoByte(mode, d);
  case 3: return among(d->opcode, "80-82 c8-cf d8-df f2-ff");
  default: return among(d->opcode, "40-41 44-44 cc-cf df-df"); /* and the dot products: which NaN of several */
  }
}

static uint16_t undefinedOneByte(const struct drawn *d) {
  int reg = d->modrm >> 3 & 7;
  if (among(d->opcode, "08-0d 20-25 30-35 84-85 a8-a9")) return AF;
  if (among(d->opcode, "80-83")) return reg == 1 || reg == 4 || reg == 6 ? AF : 0;
  if (among(d->opcode, "c0-c1 d0-d3")) return reg < 4 ? OF : SHIFTED;
  if (among(d->opcode, "69-69 6b-6b")) return SF | ZF | AF | PF;
  if (among(d->opcode, "f6-f7")) return reg < 2 ? AF : reg < 4 ? 0 : reg < 6 ? SF | ZF | AF | PF : ARITHMETIC;
  if (d->opcode == 0x37 || d->opcode == 0x3f) return OF | SF | ZF | PF;
  if (d->opcode == 0x27 || d->opcode == 0x2f) return OF;
  if (d->opcode == 0xd4 || d->opcode == 0xd5) return OF | AF | CF;
  return 0;
}

static uint16_t undefinedFlags(const struct drawn *d) {
  if (d->map == 1) return undefinedOneByte(d);
  if (d->map != 2) return 0;
  if (d->opcode == 0xaf) return SF | ZF | AF | PF;
  if (among(d->opcode, "a3-a3 ab-ab b3-b3 ba-bb")) return OF | SF | AF | PF;
  return 0;
}

/* Half of the registers point into the data, so that a good part of the random addresses does; some are small. */
static void aimRegisters(struct vector *v) {
  int mode = v->form->mode, count = mode == 64 ? 16 : 8;
  for (int i = 0; i < count; i++) {
    if (i == RSP) continue;
    uint32_t kind = below(8), at = DATA + below(chance(2) ? PAGE : DATA_BYTES + 64) - (chance(8) ? 64 : 0);
    if (v->form->profile != INTEGER && chance(2)) at &= ~15u;
    if (kind < 4) v->before.gpr[i] = mode == 16 ? (at - DATA16) | (chance(8) ? draw() << 16 : 0) : at;
    else if (kind < 6) v->before.gpr[i] = below(chance(2) ? 4 : 64);
  }
  if (chance(4)) v->before.flags |= AC;
}

static void drawBytes(struct vector *v) {
  static const uint8_t PREFIXES[] = {0x64, 0x66, 0x66, 0x66, 0x67, 0xf2, 0xf2, 0xf3, 0xf3, 0xf0, 0x26, 0x2e, 0x36, 0x3e, 0x65};
  int length = 0, mode = v->form->mode, prefixes = chance(3) ? (int)below(5) : (int)below(2);
  for (int i = 0; i < prefixes; i++) v->bytes[length++] = PREFIXES[mode == 64 ? 1 + below(sizeof PREFIXES - 1) : below(sizeof PREFIXES)];
  if (mode == 64 && chance(3)) v->bytes[length++] = 0x40 | (uint8_t)below(16);
  uint32_t map = below(10);
  bool wanted = v->form->profile != INTEGER; /* the vector units: escapes and the maps behind 0F */
  if (wanted && v->form->profile == X87) v->bytes[length++] = chance(8) ? 0x9b : 0xd8 + (uint8_t)below(8);
  else if (wanted || map >= 6) {
    v->bytes[length++] = 0x0f;
    if (map >= 8) v->bytes[length++] = map == 8 ? 0x38 : 0x3a;
    v->bytes[length++] = map == 9 ? (uint8_t)below(0x64) : (uint8_t)draw();
  } else v->bytes[length++] = (uint8_t)draw();
  while (length < 15) v->bytes[length++] = chance(3) ? (uint8_t)below(16) : (uint8_t)draw();
  v->length = 15;
}

/*
 * SDM 3A "Limit Checking": whether an access that runs over the end of a flat segment faults is the CPU's choice; so is
 * which of that fault and #AC comes first, there and where the canonical addresses end.
 */
static bool nearTop(const struct vector *v) {
  uint64_t top = v->form->mode == 64 ? 0x7fffffffffffu : 0xffffffffu;
  for (int i = 0; i < 16; i++)
    if (v->before.gpr[i] + 0x200 - top < 0x400 || (v->form->mode != 64 && v->before.gpr[i] < 0x100)) return true;
  return false;
}

/* Sixteen bytes that need not be aligned: makers differ in whether #AC wants them to be. */
static bool unalignedVector(const struct drawn *d) {
  if (d->map == 2) return among(d->opcode, "10-11 6f-6f 7f-7f f0-f0");
  return d->map == 4 && among(d->opcode, "60-63");
}

static void prepare(struct vector *v) {
  drawBytes(v);
  struct drawn d = look(v);
  if (excluded(v->form->mode, &d)) {
    v->skip = true;
    return;
  }
  aimRegisters(v);
  if (d.map == 1 && among(d.opcode, "a4-a7 aa-af") && v->form->mode == 64) /* see forms-string.c */
    v->before.gpr[RCX] &= 0xffffffffu, v->before.gpr[RSI] &= 0xffffffffu, v->before.gpr[RDI] &= 0xffffffffu;
  v->undefined = undefinedFlags(&d);
  if (unalignedVector(&d)) v->before.flags &= ~(uint32_t)AC;
  v->before.rip = v->seeded.rip;
}

/*
 * Any segments: limits inside the windows, bases, expand-down, a stack of the other size. Registers point into one of
 * them, often at its end.
 */
static const uint16_t CODES[2][4] = {{0x1f, 0x1f, 0x6f, 0x6f}, {0x0f, 0x0f, 0x67, 0x67}};
static const uint16_t STACKS[] = {0x17, 0x27, 0x2f, 0x2f, 0x87, 0x8f, 0x9f, 0xa7};
static const uint16_t OTHERS[] = {0x17, 0x27, 0x37, 0x3f, 0x47, 0x97, 0xaf, 0x0f, 0x4f, 0x67, 0x00, 0x2f};

static uint32_t pointInto(uint16_t selector, bool narrow) {
  const struct segment *s = &LDT[selector >> 3];
  uint32_t window = s->base >= STACK16 && s->base < STACK + PAGE ? STACK : DATA;
  uint32_t offset = window + below(PAGE) - s->base;
  if (chance(3)) offset = s->limit - below(20) + 4;
  if (s->kind == SEGMENT_DOWN && chance(8)) offset = (s->wide ? 0 : 0x10000) - below(20) + 4;
  return narrow && !chance(6) ? offset & 0xffff : offset;
}

static void prepareSegments(struct vector *v) {
  prepare(v);
  int narrow = v->form->mode == 16;
  uint16_t *selector = v->before.selector;
  selector[CS] = CODES[!narrow][below(4)];
  selector[SS] = STACKS[below(sizeof STACKS / sizeof *STACKS)];
  static const int FREE[] = {ES, DS, FS, GS};
  for (int i = 0; i < 4; i++) selector[FREE[i]] = OTHERS[below(sizeof OTHERS / sizeof *OTHERS)];
  for (int i = 0; i < 8; i++)
    if (i == RSP || i == RBP || chance(2))
      v->before.gpr[i] = pointInto(i == RSP || i == RBP ? selector[SS] : selector[chance(3) ? ES : DS], narrow);
  /* how far the CPU reads an instruction that does not exist is its own affair */
  struct drawn d = look(v);
  if (d.map != 1 && among(d.opcode, "04-04 0a-0a 0c-0c 24-27 36-36 39-39 3b-3f 7a-7b a6-a7")) v->skip = true;
  const struct segment *code = &LDT[selector[CS] >> 3];
  v->before.rip = CODE + 0x800 - code->base;
  if (code->limit == 0xbff && chance(3)) v->before.rip = 0xc00 - below(12);
}

/* Not kept: what changed code, and what met memory that is not part of the vectors' world. */
static void finish(struct vector *v) {
  uint8_t *code = (uint8_t *)(uintptr_t)CODE;
  for (unsigned i = 0; i < CODE_BYTES; i++)
    if (code[i] != 0xcc) v->skip = true, code[i] = 0xcc;
  uint64_t cr2 = v->trap.cr2;
  if (v->trap.taken && v->trap.vector == 14 && cr2 >= 0x02fff000) v->skip = true;
  if (!v->trap.taken && v->after.rip == v->before.rip) v->skip = true; /* too many iterations */
  if (v->after.rip >> 32) v->skip = true;                              /* the format has 32 bits */
  struct drawn d = look(v);
  bool escape = d.map == 1 && (d.opcode & 0xf8) == 0xd8, memory = d.modrm < 0xc0;
  int vector = v->trap.taken ? v->trap.vector : 0;
  bool missed = vector == 12 || vector == 13 || vector == 14 || vector == 17;
  /* an unmasked exception may come before a fault of memory, or after it */
  if (escape && memory && (~v->before.fx[0] & 0x3f) && (missed || v->after.fx[2] & 0x80)) v->skip = true;
  /* ten bytes are read and written in parts: which of two faults is taken varies; so does the byte MASKMOVDQU names */
  if (missed && escape && memory && (d.opcode & 3) == 3 && (d.modrm >> 3 & 7) >= 4) v->skip = true;
  if (missed && d.map == 2 && d.opcode == 0xf7) v->skip = true;
  if (vector == 17 && nearTop(v)) v->skip = true;
  for (int i = 0; i < SEGMENTS; i++) /* a selector of the kernel's GDT */
    if (v->after.selector[i] != v->before.selector[i] && !(v->after.selector[i] & 4) && v->after.selector[i] > 3) v->skip = true;
  if (missed && d.map == 2) memcpy(v->after.fx, v->before.fx, 5); /* MMX stores may have set TOP already */
  if (vector == 14 && d.map == 1 && among(d.opcode, "ca-cb cf-cf")) v->skip = true; /* which part is read first */
  bool string = d.map == 1 && among(d.opcode, "a4-a7 aa-af");
  if (missed && string && (d.rep || d.repne) && among(d.opcode, "a6-a7 ae-af")) v->undefined = ARITHMETIC;
  if (missed && d.map == 1 && d.opcode == 0x61) memcpy(v->after.gpr, v->before.gpr, sizeof v->after.gpr); /* POPA */
  if (missed && !string) forgetWrites(v);
}

void randomForms(int mode) {
  static const struct { const char *name; enum profile profile; uint16_t undefinedStatus; int count; } FORMS[] = {
      {"random", INTEGER, 0x4700, 1000}, {"random float32", FLOAT32, 0x4700, 200}, {"random float64", FLOAT64, 0x4700, 200},
      {"random packed", PACKED, 0x4700, 200}, {"random x87", X87, 0x4500, 300}};
  for (unsigned i = 0; i < sizeof FORMS / sizeof *FORMS; i++) {
    struct form *f = addForm(mode, FORMS[i].name, "90", 0, NO_RM);
    f->profile = FORMS[i].profile;
    f->undefinedStatus = FORMS[i].undefinedStatus;
    f->options = OPT_REP | OPT_SEG_REG;
    f->count = FORMS[i].count;
    f->prepare = prepare;
    f->finish = finish;
  }
  if (mode == 64) return;
  struct form *f = addForm(mode, "random segments", "90", 0, NO_RM);
  f->options = OPT_REP | OPT_SEG_REG;
  f->count = 1000;
  f->prepare = prepareSegments;
  f->finish = finish;
}
