/*
 * Turns a form into bytes: prefixes, REX, ModRM, SIB, displacement, immediate, with random registers and addressing.
 *
 * An encoding is written like the manual's: "66 0F AF /r ib". Tokens: hex bytes (leading prefix bytes are mandatory
 * prefixes), /r and /0../7 (ModRM), +r (register in the opcode), ib iw id iq, iz (16 or 32 bits by operand size), iv (by
 * operand size), mo (address-sized offset). The operand size adds 66 or REX.W.
 */
#include "vector.h"
#include <stdlib.h>
#include <string.h>

/* Segment bases by mode; see describe() in execute.c. 64-bit mode uses GS only. */
const uint32_t segmentBase[3][SEGMENTS] = {
    {DATA16, CODE, STACK16, DATA16, DATA - 0x1000, DATA - 0x10000},
    {0, 0, 0, 0, DATA - 0x1000, DATA - 0x10000},
    {0, 0, 0, 0, 0, GS_BASE},
};
static const uint8_t SEGMENT_PREFIX[SEGMENTS] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};

uint32_t linearOf(int mode, int segment) { return segmentBase[mode / 32][segment]; }

struct encoding {
  uint8_t prefix[16];
  int prefixes;
  uint8_t opcode[6];
  int opcodes;
  bool modrm, opcodeReg;
  int digit; /* -1: /r */
  int immediateBytes[2];
  int immediates;
  bool moffs;
};

static struct encoding parse(const struct form *f) {
  struct encoding e = {.digit = -1};
  char text[48];
  strcpy(text, f->encoding);
  bool sawOpcode = false;
  for (char *token = strtok(text, " "), *following; token; token = following) {
    following = strtok(NULL, " ");
    if (token[0] == '/') {
      e.modrm = true;
      if (token[1] != 'r') e.digit = token[1] - '0';
    } else if (strcmp(token, "+r") == 0) {
      e.opcodeReg = true;
    } else if (strcmp(token, "mo") == 0) {
      e.moffs = true;
    } else if (token[0] == 'i') {
      int bytes = token[1] == 'b' ? 1 : token[1] == 'w' ? 2 : token[1] == 'd' ? 4 : token[1] == 'q' ? 8 : 0;
      if (token[1] == 'z') bytes = f->size == 16 ? 2 : 4;
      if (token[1] == 'v') bytes = f->size / 8;
      e.immediateBytes[e.immediates++] = bytes;
    } else {
      uint8_t byte = (uint8_t)strtoul(token, NULL, 16);
      bool mandatory = !sawOpcode && byte && strchr("\x66\x67\xf0\xf2\xf3\x26\x2e\x36\x3e\x64\x65", byte) && following;
      if (mandatory) e.prefix[e.prefixes++] = byte;
      else {
        e.opcode[e.opcodes++] = byte;
        sawOpcode = true;
      }
    }
  }
  return e;
}

struct address {
  int segment; /* -1: default */
  int bits; /* 16, 32, 64 */
  int mod, rm, base, index, scale; /* base, index: -1 for none */
  bool sib, ripRelative;
  int64_t displacement;
  int displacementBytes;
};

static int anyRegister(const struct vector *v) { return (int)below(v->form->mode == 64 ? 16 : 8); }

static void pickAddress32(const struct vector *v, struct address *a) {
  int mode = v->form->mode;
  uint32_t kind = below(16);
  a->mod = (int)below(3);
  a->index = -1;
  if (kind == 0) { /* absolute; RIP-relative in 64-bit mode */
    a->mod = 0;
    a->rm = 5;
    a->base = -1;
    a->ripRelative = mode == 64;
    a->displacementBytes = 4;
    return;
  }
  a->sib = kind >= 9;
  a->base = anyRegister(v);
  if (!a->sib && (a->base & 7) == 4) a->sib = true;
  if (a->sib) {
    a->rm = 4;
    a->scale = (int)below(4);
    a->index = anyRegister(v);
    if (a->index == 4) a->index = -1;
    if (kind == 15) {
      a->mod = 0;
      a->base = -1;
    } else if (a->mod == 0 && (a->base & 7) == 5) a->mod = 1;
  } else {
    if (a->mod == 0 && (a->base & 7) == 5) a->mod = 2;
    a->rm = a->base & 7;
  }
  a->displacementBytes = a->base < 0 ? 4 : a->mod == 0 ? 0 : a->mod == 1 ? 1 : 4;
}

static const int8_t BASE16[8] = {RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX};
static const int8_t INDEX16[8] = {RSI, RDI, RSI, RDI, -1, -1, -1, -1};

static void pickAddress16(struct address *a) {
  a->mod = (int)below(3);
  a->rm = (int)below(8);
  a->base = BASE16[a->rm];
  a->index = INDEX16[a->rm];
  a->displacementBytes = a->mod;
  if (a->mod == 0 && a->rm == 6) {
    a->base = -1;
    a->displacementBytes = 2;
  }
}

static int64_t signExtend(uint64_t value, int bytes) {
  int shift = 64 - 8 * bytes;
  return bytes == 0 ? 0 : (int64_t)(value << shift) >> shift;
}

static uint64_t truncate(uint64_t value, int bits) { return bits == 64 ? value : value & ((1ull << bits) - 1); }

static int segmentUsed(const struct address *a) {
  if (a->segment >= 0) return a->segment;
  return a->base == RSP || a->base == RBP ? SS : DS;
}

static uint64_t effective(const struct vector *v, const struct address *a, uint64_t nextRip) {
  const uint64_t *gpr = v->before.gpr;
  uint64_t ea = (uint64_t)a->displacement;
  if (a->ripRelative) ea += nextRip;
  if (a->base >= 0) ea += gpr[a->base];
  if (a->index >= 0) ea += gpr[a->index] << a->scale;
  return truncate(ea, a->bits);
}

static void setLow(uint64_t *to, uint64_t value, int bits) {
  uint64_t mask = bits == 64 ? ~0ull : (1ull << bits) - 1;
  *to = (*to & ~mask) | (value & mask);
}

/* Adjusts a register or the displacement so that the operand lies at `offset` of its segment. */
static bool aim(struct vector *v, struct address *a, uint64_t offset, uint32_t busy) {
  uint64_t *gpr = v->before.gpr;
  if (a->base < 0 && a->index < 0) {
    a->displacement = (int64_t)offset;
    if (a->bits == 16) a->displacement = (int16_t)offset;
    return true;
  }
  a->displacement = signExtend(chance(2) ? boundary32() : below(1024) - 512, a->displacementBytes);
  if (a->base >= 0 && a->base == a->index) {
    if (busy >> a->base & 1 || a->displacementBytes == 0) return false;
    uint64_t times = (1u << a->scale) + 1;
    a->displacement = (int64_t)(offset % times);
    setLow(&gpr[a->base], offset / times, a->bits);
    return a->bits != 16;
  }
  if (a->base >= 0 && !(busy >> a->base & 1)) {
    uint64_t rest = (uint64_t)a->displacement + (a->index >= 0 ? gpr[a->index] << a->scale : 0);
    setLow(&gpr[a->base], offset - rest, a->bits);
    return true;
  }
  if (a->base < 0 && a->displacementBytes == 4 && !(busy >> a->index & 1)) {
    setLow(&gpr[a->index], (uint64_t)(int64_t)(int16_t)draw(), a->bits);
    a->displacement = (int64_t)(int32_t)(offset - truncate(gpr[a->index] << a->scale, a->bits));
    return true;
  }
  return false;
}

/* Where a memory operand lies: mostly inside, sometimes over an edge of a window. Linear address. */
static uint32_t pickTarget(const struct form *f) {
  uint32_t access = (uint32_t)f->access, r = below(100), low = 0, size = PAGE;
  switch (f->area) {
  case AREA_INTEGER: break;
  case AREA_F32: low = PAGE; size = 1024; break;
  case AREA_F64: low = PAGE + 1024; size = 1024; break;
  case AREA_F80: low = PAGE + 2048; size = 1024; break;
  case AREA_PACKED: low = PAGE + 3072; size = 1024; break;
  }
  if (r < 70 || f->options & OPT_SAFE || access > 64) {
    uint32_t at = DATA + low + below(size - access + 1);
    if (f->area == AREA_INTEGER) return at;
    uint32_t grain = f->area == AREA_F80 || f->options & OPT_ALIGNED ? 16 : f->area == AREA_F64 ? 8 : 4;
    at &= ~(grain - 1);
    return f->options & OPT_ALIGNED && !(f->options & OPT_SAFE) && chance(10) ? at + 4 : at;
  }
  uint32_t back = access > 1 ? 1 + below(access - 1) : 0, edge;
  if (r < 78) edge = DATA + PAGE;
  else if (r < 83) edge = DATA + 2 * PAGE;
  else if (r < 87) edge = DATA + 3 * PAGE;
  else if (r < 91) return DATA + 2 * PAGE + (below(PAGE - access + 1) & ~15u);
  else if (r < 94) edge = DATA;
  else if (r < 97) return STACK + below(PAGE - access + 1);
  else return (0x00010000 + below(0x004e0000)) & ~15u;
  if (f->options & OPT_ALIGNED && !chance(4)) return chance(2) ? edge : edge - 16;
  return edge - back;
}

static bool canonical(uint64_t linear) { return (uint64_t)((int64_t)(linear << 16) >> 16) == linear; }

/* True where a stray access does no harm: nothing of the generator is mapped there, and the kernel hides nothing. */
static bool harmless(const struct vector *v, uint64_t linear) {
  if (v->form->mode == 64 && !canonical(linear)) return canonical(linear + 4096) == canonical(linear);
  return linear < 0x02fff000 && linear >= 0x10000;
}

static bool pickMemory(struct vector *v, struct address *a, uint32_t busy) {
  const struct form *f = v->form;
  int native = f->mode;
  bool swap = !(f->options & OPT_NO_PREFIX) && chance(8);
  a->segment = -1;
  a->bits = native == 64 ? (swap ? 32 : 64) : native == 32 ? (swap ? 16 : 32) : swap ? 32 : 16;
  if (!(f->options & OPT_NO_PREFIX)) {
    if (f->mode == 64) {
      if (chance(12)) a->segment = GS;
    } else if (chance(4)) {
      a->segment = (int)below(SEGMENTS);
    }
  }
  if (a->bits == 16) pickAddress16(a);
  else pickAddress32(v, a);
  if (f->options & OPT_ADDRESS_ONLY) {
    a->displacement = signExtend(boundary32(), a->displacementBytes);
    return true;
  }
  int segment = segmentUsed(a);
  uint32_t base = linearOf(f->mode, segment);
  if (f->options & OPT_ANY_TARGET && !(f->options & OPT_SAFE) && chance(16) && !a->ripRelative) {
    a->displacement = signExtend(boundary32(), a->displacementBytes);
    uint64_t linear = effective(v, a, 0) + base;
    if (f->mode != 64) linear = (uint32_t)linear;
    return harmless(v, linear);
  }
  if (f->options & OPT_SAFE && f->mode != 64 && (segment == FS || segment == GS)) return false;
  uint32_t target = pickTarget(f);
  if (f->mode != 64 && segment == FS && !chance(6)) target = DATA + below(PAGE - (uint32_t)f->access + 1);
  if (f->mode != 64 && segment == GS && !chance(6)) target = DATA + 0x800 + below(0x800 - (uint32_t)f->access);
  uint32_t offset = target - base;
  if (a->bits == 16 && offset > 0xffff) {
    if (f->options & OPT_SAFE || !chance(4)) return false;
  }
  return aim(v, a, a->bits == 64 ? (uint64_t)(int64_t)(int32_t)offset : offset, busy);
}

static void put(struct vector *v, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) v->bytes[v->length++] = (uint8_t)(value >> (8 * i));
}

static int64_t pickImmediate(int bytes) {
  if (bytes == 8) return (int64_t)boundary64();
  return (int64_t)(int32_t)boundary32();
}

void setImmediate(struct vector *v, int64_t value) {
  for (int i = 0; i < v->immediateBytes; i++) v->bytes[v->immediateAt + i] = (uint8_t)(value >> (8 * i));
  v->immediate = value;
}

void encode(struct vector *v) {
  const struct form *f = v->form;
  struct encoding e = parse(f);
  bool wide = f->mode == 64;
  v->length = 0;
  v->undefined = f->undefined;

  v->reg = e.digit >= 0 ? e.digit : (int)below(wide && !(f->options & OPT_MMX_REG) ? 16 : 8);
  if (f->options & OPT_SEG_REG) {
    static const int SEGMENT_CHOICE[] = {ES, DS, FS, GS};
    v->reg = SEGMENT_CHOICE[below(4)];
  }
  v->rm = (int)below(wide && !(f->options & OPT_MMX_RM) ? 16 : 8);
  if (e.modrm && f->rm == RM_REG && !(f->options & (OPT_XMM_RM | OPT_MMX_RM)) && wide && chance(12)) v->rm = RSP;

  struct address a = {.segment = -1, .base = -1, .index = -1, .bits = f->mode};
  bool memory = e.modrm && f->rm == RM_MEM;
  if (memory) {
    uint32_t busy = f->implicit;
    if (f->options & OPT_NO_REG_ADDRESS) busy |= 1u << v->reg;
    for (int tries = 0;; tries++) {
      struct state saved = v->before;
      a = (struct address){.segment = -1, .base = -1, .index = -1};
      if (pickMemory(v, &a, busy)) {
        bool uses = (a.base >= 0 && busy >> a.base & 1) || (a.index >= 0 && busy >> a.index & 1);
        if (!uses || f->options & OPT_ADDRESS_ONLY) break;
      }
      v->before = saved;
      if (tries > 64) {
        v->skip = true;
        return;
      }
    }
  }

  if (f->lock) e.prefix[e.prefixes++] = 0xf0;
  if (!(f->options & OPT_NO_66) && (f->mode == 16 ? f->size == 32 : f->size == 16)) e.prefix[e.prefixes++] = 0x66;
  if (memory && a.bits != f->mode) e.prefix[e.prefixes++] = 0x67;
  if (memory && a.segment >= 0) e.prefix[e.prefixes++] = SEGMENT_PREFIX[a.segment];
  for (int i = e.prefixes - 1; i > 0; i--) { /* any order */
    int j = (int)below((uint32_t)i + 1);
    uint8_t swapped = e.prefix[i];
    e.prefix[i] = e.prefix[j];
    e.prefix[j] = swapped;
  }
  memcpy(v->bytes, e.prefix, (size_t)e.prefixes);
  v->length = e.prefixes;

  if (wide) {
    uint8_t rex = 0x40;
    if (f->size == 64 && !(f->options & OPT_DEFAULT64)) rex |= 8;
    if (e.modrm && e.digit < 0 && v->reg >= 8) rex |= 4;
    if (memory && a.index >= 8) rex |= 2;
    if (memory ? a.base >= 8 : v->rm >= 8 && ((e.modrm && f->rm == RM_REG) || e.opcodeReg)) rex |= 1;
    v->rex = rex != 0x40 || chance(8);
    if (v->rex) put(v, rex, 1);
  }
  for (int i = 0; i < e.opcodes; i++) put(v, e.opcode[i] | (i == e.opcodes - 1 && e.opcodeReg ? v->rm & 7 : 0), 1);

  int displacementAt = 0;
  if (memory) {
    put(v, (uint64_t)(a.mod << 6 | (v->reg & 7) << 3 | a.rm), 1);
    if (a.sib) put(v, (uint64_t)(a.scale << 6 | (a.index < 0 ? 4 : a.index & 7) << 3 | (a.base < 0 ? 5 : a.base & 7)), 1);
    displacementAt = v->length;
    put(v, (uint64_t)a.displacement, a.displacementBytes);
  } else if (e.modrm) {
    put(v, (uint64_t)(0xc0 | (v->reg & 7) << 3 | (v->rm & 7)), 1);
  }
  if (e.moffs) {
    uint32_t offset = pickTarget(f) - linearOf(f->mode, DS);
    put(v, f->mode == 16 ? offset & 0xffff : offset, f->mode / 8);
  }
  for (int i = 0; i < e.immediates; i++) {
    v->immediateAt = v->length;
    v->immediateBytes = e.immediateBytes[i];
    v->immediate = signExtend((uint64_t)pickImmediate(v->immediateBytes), v->immediateBytes);
    put(v, (uint64_t)v->immediate, v->immediateBytes);
  }
  if (v->length > 15) {
    v->skip = true;
    return;
  }

  uint32_t place = f->options & OPT_NO_FAR_END ? 3 : below(24), codeBase = f->mode == 16 ? 0 : CODE;
  if (place == 0) v->before.rip = codeBase + CODE_BYTES - (uint32_t)v->length;
  else if (place == 1) v->before.rip = codeBase + PAGE - below((uint32_t)v->length);
  else if (place == 2) v->before.rip = codeBase + PAGE - (uint32_t)v->length;
  uint64_t nextRip = v->before.rip + (uint64_t)v->length;
  if (memory && a.ripRelative) {
    if (!(f->options & OPT_ADDRESS_ONLY)) a.displacement = (int32_t)(a.displacement - (int64_t)nextRip);
    for (int i = 0; i < 4; i++) v->bytes[displacementAt + i] = (uint8_t)(a.displacement >> (8 * i));
  }
  if (memory) {
    v->ea = effective(v, &a, nextRip) + linearOf(f->mode, segmentUsed(&a));
    if (f->mode != 64) v->ea = (uint32_t)v->ea;
    /* Linux slows locks over two cache lines down, on CPUs that tell it of them, until nothing moves. */
    bool locks = f->lock || strncmp(f->name, "xchg", 4) == 0 || strstr(f->name, "xchg") == f->name + 3;
    if (locks && (v->ea & 63) + (uint64_t)f->access > 64) v->skip = true;
  }
}
