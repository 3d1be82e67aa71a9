/* Integer forms that read or write one ModRM operand: arithmetic, logic, moves, bits, multiply and divide. */
#include "forms.h"
#include <stdio.h>
#include <string.h>

static char nameBuffer[64], codeBuffer[48];

static const char *name(const char *format, int size) {
  char *to = nameBuffer;
  for (const char *p = format; *p; p++) *to++ = *p == '@' ? SUFFIX[size] : *p;
  *to = 0;
  return nameBuffer;
}

/* Opcode with its width bit: `opcode` is the byte form. */
static const char *code(const char *prefix, int opcode, int size, const char *rest) {
  snprintf(codeBuffer, sizeof codeBuffer, "%s%02x%s", prefix, (unsigned)(opcode + (size != 8)), rest);
  return codeBuffer;
}

static const char *ALU[8] = {"add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"};

static void aluSize(int mode, int size) {
  for (int op = 0; op < 8; op++) {
    char text[32];
    bool writes = op != 7;
    uint16_t undefined = op == 1 || op == 4 || op == 6 ? UNDEFINED_LOGIC : 0;
    uint32_t options = writes ? OPT_WRITES : 0;
    snprintf(text, sizeof text, "%s E@,G@", ALU[op]);
    addRm(mode, name(text, size), code("", op * 8, size, " /r"), size, options, undefined, writes);
    snprintf(text, sizeof text, "%s G@,E@", ALU[op]);
    addRm(mode, name(text, size), code("", op * 8 + 2, size, " /r"), size, 0, undefined, false);
    snprintf(text, sizeof text, "%s a@,I@", ALU[op]);
    addForm(mode, name(text, size), code("", op * 8 + 4, size, size == 8 ? " ib" : " iz"), size, NO_RM)->undefined =
        undefined;
    char rest[16];
    snprintf(rest, sizeof rest, " /%d %s", op, size == 8 ? "ib" : "iz");
    snprintf(text, sizeof text, "%s E@,I@", ALU[op]);
    addRm(mode, name(text, size), code("", 0x80, size, rest), size, options, undefined, writes);
    if (size == 8) continue;
    snprintf(rest, sizeof rest, "83 /%d ib", op);
    snprintf(text, sizeof text, "%s E@,Ib", ALU[op]);
    addRm(mode, name(text, size), rest, size, options, undefined, writes);
  }
  addRm(mode, name("test E@,G@", size), code("", 0x84, size, " /r"), size, 0, UNDEFINED_LOGIC, false);
  addRm(mode, name("test E@,I@", size), code("", 0xf6, size, size == 8 ? " /0 ib" : " /0 iz"), size, 0,
        UNDEFINED_LOGIC, false);
  addForm(mode, name("test a@,I@", size), code("", 0xa8, size, size == 8 ? " ib" : " iz"), size, NO_RM)->undefined =
      UNDEFINED_LOGIC;
  addRm(mode, name("not E@", size), code("", 0xf6, size, " /2"), size, OPT_WRITES, 0, true);
  addRm(mode, name("neg E@", size), code("", 0xf6, size, " /3"), size, OPT_WRITES, 0, true);
  addRm(mode, name("inc E@", size), code("", 0xfe, size, " /0"), size, OPT_WRITES, 0, true);
  addRm(mode, name("dec E@", size), code("", 0xfe, size, " /1"), size, OPT_WRITES, 0, true);
  if (mode != 64 && size != 8) {
    addForm(mode, name("inc r@", size), "40 +r", size, NO_RM);
    addForm(mode, name("dec r@", size), "48 +r", size, NO_RM);
  }
}

static void moveSize(int mode, int size) {
  addRm(mode, name("mov E@,G@", size), code("", 0x88, size, " /r"), size, OPT_WRITES, 0, false);
  addRm(mode, name("mov G@,E@", size), code("", 0x8a, size, " /r"), size, 0, 0, false);
  addRm(mode, name("mov E@,I@", size), code("", 0xc6, size, size == 8 ? " /0 ib" : " /0 iz"), size, OPT_WRITES, 0,
        false);
  addForm(mode, name("mov r@,I@", size), size == 8 ? "b0 +r ib" : "b8 +r iv", size, NO_RM);
  addForm(mode, name("mov a@,O@", size), code("", 0xa0, size, " mo"), size, NO_RM);
  addForm(mode, name("mov O@,a@", size), code("", 0xa2, size, " mo"), size, NO_RM)->options = OPT_WRITES;
  addRm(mode, name("xchg E@,G@", size), code("", 0x86, size, " /r"), size, OPT_WRITES, 0, true);
  addRm(mode, name("xadd E@,G@", size), code("0f ", 0xc0, size, " /r"), size, OPT_WRITES, 0, true);
  if (size != 8) {
    addForm(mode, name("xchg a@,r@", size), "90 +r", size, NO_RM);
    struct form *lea = addForm(mode, name("lea G@,M", size), "8d /r", size, RM_MEM);
    lea->options = OPT_ADDRESS_ONLY;
    lea->count = 120;
    if (size >= 32) addForm(mode, name("bswap r@", size), "0f c8 +r", size, NO_RM);
  }
}

static void compareExchange(struct vector *v) {
  if (chance(2)) setRm(v, getReg(v, RAX, v->form->size));
}

static void compareExchangeSize(int mode, int size) {
  struct rm_forms f =
      addRm(mode, name("cmpxchg E@,G@", size), code("0f ", 0xb0, size, " /r"), size, OPT_WRITES, 0, true);
  f.reg->prepare = f.mem->prepare = f.lock->prepare = compareExchange;
  f.reg->implicit = f.mem->implicit = f.lock->implicit = BIT(RAX);
}

static void compareExchangePair(struct vector *v) {
  int bytes = v->form->access / 2;
  if (!insideData(v->ea, (uint32_t)bytes * 2) || v->ea + (uint64_t)bytes * 2 > DATA + WRITABLE_BYTES || chance(2))
    return;
  uint8_t pair[16];
  memcpy(pair, &v->before.gpr[RAX], (size_t)bytes);
  memcpy(pair + bytes, &v->before.gpr[RDX], (size_t)bytes);
  if (chance(4)) pair[below((uint32_t)bytes * 2)] ^= 1;
  setMemory(v, (uint32_t)v->ea, pair, (uint32_t)bytes * 2);
}

static void extend(int mode) {
  static const struct { const char *name, *code; int from, to; } MOVES[] = {
      {"movzx G@,Eb", "0f b6 /r", 8, 16}, {"movzx G@,Eb", "0f b6 /r", 8, 32}, {"movzx G@,Eb", "0f b6 /r", 8, 64},
      {"movzx G@,Ew", "0f b7 /r", 16, 16}, {"movzx G@,Ew", "0f b7 /r", 16, 32}, {"movzx G@,Ew", "0f b7 /r", 16, 64},
      {"movsx G@,Eb", "0f be /r", 8, 16}, {"movsx G@,Eb", "0f be /r", 8, 32}, {"movsx G@,Eb", "0f be /r", 8, 64},
      {"movsx G@,Ew", "0f bf /r", 16, 16}, {"movsx G@,Ew", "0f bf /r", 16, 32}, {"movsx G@,Ew", "0f bf /r", 16, 64},
      {"movsxd G@,Ed", "63 /r", 16, 16}, {"movsxd G@,Ed", "63 /r", 32, 32}, {"movsxd G@,Ed", "63 /r", 32, 64}};
  for (unsigned i = 0; i < sizeof MOVES / sizeof *MOVES; i++) {
    if (mode != 64 && (MOVES[i].to == 64 || MOVES[i].code[0] == '6')) continue;
    struct rm_forms f = addRm(mode, name(MOVES[i].name, MOVES[i].to), MOVES[i].code, MOVES[i].to, 0, 0, false);
    f.mem->access = MOVES[i].from / 8;
  }
}

static const char *CONDITIONS[16] = {"o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"};

static void conditionals(int mode) {
  for (int cc = 0; cc < 16; cc++) {
    char text[32], bytes[16];
    snprintf(text, sizeof text, "set%s Eb", CONDITIONS[cc]);
    snprintf(bytes, sizeof bytes, "0f %02x /0", 0x90 + cc);
    struct rm_forms set = addRm(mode, text, bytes, 8, OPT_WRITES, 0, false);
    set.reg->count = set.mem->count = 15;
    for (int size = 16; size <= (mode == 64 ? 64 : 32); size *= 2) {
      snprintf(text, sizeof text, "cmov%s G@,E@", CONDITIONS[cc]);
      snprintf(bytes, sizeof bytes, "0f %02x /r", 0x40 + cc);
      struct rm_forms move = addRm(mode, name(text, size), bytes, size, 0, 0, false);
      move.reg->count = move.mem->count = 15;
    }
  }
}

/* Bit offsets in a register reach far beyond a memory operand: keep them in the window most of the time. */
static void bitOffset(struct vector *v) {
  const struct form *f = v->form;
  if (f->rm != RM_MEM) return;
  int64_t offset = (int64_t)below(8192) - 4096;
  int64_t at = (int64_t)v->ea + (offset >> (f->size == 16 ? 4 : f->size == 32 ? 5 : 6)) * (f->size / 8);
  if (at < 0x10000) v->skip = true;
  if (f->mode != 64 && (at < DATA || at + 8 > DATA + DATA_BYTES)) v->skip = true;
  putReg(v, v->reg, f->size, (uint64_t)offset);
}

static void scanBits(struct vector *v) {
  if (chance(3)) setRm(v, getRm(v) & (uint64_t)-1 << below((uint32_t)v->form->size));
  if (getRm(v) == 0 && v->form->size == 32) v->before.gpr[v->reg] &= 0xffffffffu;
}

static void bitSize(int mode, int size) {
  static const char *NAMES[4] = {"bt", "bts", "btr", "btc"};
  for (int i = 0; i < 4; i++) {
    char text[32], bytes[16];
    uint32_t options = i ? OPT_WRITES : 0;
    snprintf(text, sizeof text, "%s E@,Ib", NAMES[i]);
    snprintf(bytes, sizeof bytes, "0f ba /%d ib", 4 + i);
    addRm(mode, name(text, size), bytes, size, options, OF | SF | AF | PF, i != 0);
    snprintf(text, sizeof text, "%s E@,G@", NAMES[i]);
    snprintf(bytes, sizeof bytes, "0f %02x /r", 0xa3 + 8 * i);
    struct rm_forms f =
        addRm(mode, name(text, size), bytes, size, options | OPT_NO_REG_ADDRESS, OF | SF | AF | PF, i != 0);
    f.mem->prepare = bitOffset;
    f.mem->options &= ~(uint32_t)OPT_ANY_TARGET;
    if (f.lock) {
      f.lock->prepare = bitOffset;
      f.lock->options &= ~(uint32_t)OPT_ANY_TARGET;
    }
  }
  struct rm_forms f = addRm(mode, name("bsf G@,E@", size), "0f bc /r", size, 0, OF | SF | AF | PF | CF, false);
  f.reg->prepare = f.mem->prepare = scanBits;
  f.mem->options |= OPT_NO_REG_ADDRESS;
  f = addRm(mode, name("bsr G@,E@", size), "0f bd /r", size, 0, OF | SF | AF | PF | CF, false);
  f.reg->prepare = f.mem->prepare = scanBits;
  f.mem->options |= OPT_NO_REG_ADDRESS;
  addRm(mode, name("popcnt G@,E@", size), "f3 0f b8 /r", size, 0, 0, false);
}

/* Dividends that fit the divisor three times out of four; the rest takes #DE. */
static void divide(struct vector *v) {
  const struct form *f = v->form;
  bool isSigned = strncmp(f->name, "idiv", 4) == 0;
  uint64_t divisor = getRm(v), mask = maskOf(f->size);
  if (v->form->rm == RM_REG && (v->rm & 3) == 0 && f->size == 8 && !v->rex) return;
  if (v->form->rm == RM_REG && (v->rm == RAX || v->rm == RDX)) return;
  if (chance(4)) return;
  if (divisor == 0 && chance(2)) setRm(v, divisor = 1 + below(100));
  if (divisor == 0) return;
  if (isSigned) {
    int64_t d = f->size == 64 ? (int64_t)divisor : (int64_t)(divisor << (64 - f->size)) >> (64 - f->size);
    int64_t quotient = (int64_t)(boundary64() << (64 - f->size)) >> (64 - f->size);
    if (chance(8)) quotient = (int64_t)(1ull << (f->size - 1)) * (chance(2) ? 1 : -1); /* at the limit */
    __int128 dividend = (__int128)d * quotient;
    __int128 rest = d == INT64_MIN ? 0 : (__int128)(boundary64() >> 1) % (d < 0 ? -(__int128)d : d);
    dividend += dividend < 0 ? -rest : rest;
    if (f->size == 8) putReg(v, RAX, 16, (uint64_t)dividend);
    else {
      putReg(v, RAX, f->size, (uint64_t)dividend);
      putReg(v, RDX, f->size, (uint64_t)(dividend >> f->size));
    }
  } else {
    unsigned __int128 dividend = (unsigned __int128)divisor * (boundary64() & mask) + boundary64() % divisor;
    if (f->size == 8) putReg(v, RAX, 16, (uint64_t)dividend);
    else {
      putReg(v, RAX, f->size, (uint64_t)dividend);
      putReg(v, RDX, f->size, (uint64_t)(dividend >> f->size));
    }
  }
}

static void multiplySize(int mode, int size) {
  static const char *NAMES[4] = {"mul E@", "imul E@", "div E@", "idiv E@"};
  for (int i = 0; i < 4; i++) {
    char rest[8];
    snprintf(rest, sizeof rest, " /%d", 4 + i);
    struct rm_forms f = addRm(mode, name(NAMES[i], size), code("", 0xf6, size, rest), size, 0,
                              i < 2 ? SF | ZF | AF | PF : ALL_FLAGS, false);
    f.reg->count = f.mem->count = i < 2 ? 60 : 100;
    if (i >= 2) f.mem->implicit = BIT(RAX) | BIT(RDX);
    if (i >= 2) f.reg->prepare = f.mem->prepare = divide;
    if (i >= 2) f.mem->options &= ~(uint32_t)OPT_ANY_TARGET;
  }
  if (size == 8) return;
  addRm(mode, name("imul G@,E@", size), "0f af /r", size, 0, SF | ZF | AF | PF, false);
  addRm(mode, name("imul G@,E@,I@", size), "69 /r iz", size, 0, SF | ZF | AF | PF, false);
  addRm(mode, name("imul G@,E@,Ib", size), "6b /r ib", size, 0, SF | ZF | AF | PF, false);
}

static void plain(int mode) {
  static const struct { const char *name, *code; int size; } FORMS[] = {
      {"cbw", "98", 16}, {"cwde", "98", 32}, {"cdqe", "98", 64}, {"cwd", "99", 16}, {"cdq", "99", 32}, {"cqo", "99", 64},
      {"clc", "f8", 0}, {"stc", "f9", 0}, {"cmc", "f5", 0}, {"cld", "fc", 0}, {"std", "fd", 0}, {"lahf", "9f", 0},
      {"sahf", "9e", 0}, {"nop", "90", 0}, {"pause", "f3 90", 0}, {"fnop", "d9 d0", 0}, {"lfence", "0f ae e8", 0},
      {"mfence", "0f ae f0", 0}, {"sfence", "0f ae f8", 0}};
  for (unsigned i = 0; i < sizeof FORMS / sizeof *FORMS; i++) {
    if (FORMS[i].size == 64 && mode != 64) continue;
    struct form *f = addForm(mode, FORMS[i].name, FORMS[i].code, FORMS[i].size, NO_RM);
    f->count = 20;
  }
  for (int size = 16; size <= (mode == 64 ? 64 : 32); size *= 2)
    addRm(mode, name("nop E@", size), "0f 1f /0", size, OPT_ADDRESS_ONLY, 0, false);
  struct form *pair = addForm(mode, "cmpxchg8b Mq", "0f c7 /1", 32, RM_MEM);
  for (int lock = 0; lock < 2; lock++) {
    if (lock) {
      pair = addForm(mode, "lock cmpxchg8b Mq", "0f c7 /1", 32, RM_MEM);
      pair->lock = true;
    }
    pair->access = 8;
    pair->options = OPT_WRITES | OPT_ANY_TARGET;
    pair->implicit = BIT(RAX) | BIT(RDX);
    pair->prepare = compareExchangePair;
    pair->count = 60;
    if (mode != 64) continue;
    pair = addForm(mode, lock ? "lock cmpxchg16b Mdq" : "cmpxchg16b Mdq", "0f c7 /1", 64, RM_MEM);
    pair->lock = lock;
    pair->access = 16;
    pair->area = AREA_PACKED;
    pair->options = OPT_WRITES | OPT_ALIGNED | OPT_ANY_TARGET;
    pair->implicit = BIT(RAX) | BIT(RDX);
    pair->prepare = compareExchangePair;
    pair->count = 60;
  }
}

void integerForms(int mode) {
  forSizes(mode, 8, aluSize);
  forSizes(mode, 8, moveSize);
  forSizes(mode, 8, compareExchangeSize);
  extend(mode);
  conditionals(mode);
  forSizes(mode, 16, bitSize);
  forSizes(mode, 8, multiplySize);
  plain(mode);
}
