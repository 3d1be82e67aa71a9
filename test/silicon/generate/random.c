/*
 * The two streams of random numbers.
 *
 * `next` draws the start state; ../seeded-state.ts repeats it bit for bit, so the files need not hold start states.
 * `draw` makes the generator's own choices (registers, addressing, immediates), which the files do hold.
 */
#include "vector.h"
#include <string.h>

static uint32_t mix(uint32_t x) {
  x ^= x >> 16;
  x *= 0x85ebca6bu;
  x ^= x >> 13;
  x *= 0xc2b2ae35u;
  return x ^ (x >> 16);
}

static uint32_t own, start;

static uint32_t next(void) {
  start += 0x9e3779b9u;
  return mix(start);
}

uint32_t draw(void) {
  own += 0x9e3779b9u;
  return mix(own);
}

void seedDraws(uint32_t seed) { own = mix(seed + 0x5151u); }
uint32_t below(uint32_t n) { return (uint32_t)(((uint64_t)draw() * n) >> 32); }
bool chance(uint32_t oneIn) { return below(oneIn) == 0; }

uint32_t hashName(const char *name) {
  uint32_t h = 0x811c9dc5u;
  while (*name) h = (h ^ (uint8_t)*name++) * 0x01000193u;
  return h;
}

typedef uint32_t source(void);

static const uint32_t EDGES[8] = {0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000u};
static const uint32_t EDGE_MASKS[8] = {0xff, 0xff, 0xff, 0xffff, 0xffff, 0xffff, 0xffffffffu, 0xffffffffu};
static const uint8_t EDGE_BYTES[4] = {0x00, 0xff, 0x80, 0x7f};

static uint32_t edge32(source *from) {
  uint32_t r = from();
  uint32_t value = 0;
  switch (r & 7) {
  case 0: /* small numbers around zero */
    return ((r >> 3) & 15) - 4;
  case 1: /* around a power of two */
    return (1u << ((r >> 3) & 31)) + ((r >> 8) & 3) - 1;
  case 2: { /* the edge of a width, with or without random bits above */
    uint32_t n = (r >> 3) & 7;
    return EDGES[n] | ((r >> 6) & 1 ? from() & ~EDGE_MASKS[n] : 0);
  }
  case 3: /* edge bytes */
    for (int i = 0; i < 4; i++) value |= (uint32_t)EDGE_BYTES[(r >> (3 + 2 * i)) & 3] << (8 * i);
    return value;
  case 4: /* decimal digits */
    r = from();
    for (int i = 0; i < 32; i += 4) {
      uint32_t digit = (r >> i) & 15;
      value |= (digit > 9 ? digit - 6 : digit) << i;
    }
    return value;
  default:
    return from();
  }
}

static uint64_t edge64(source *from) {
  uint32_t r = from();
  uint32_t low = edge32(from), high;
  switch (r & 3) {
  case 0:
    return (uint64_t)(int64_t)(int32_t)low;
  case 1:
    return low;
  case 2:
    high = edge32(from);
    return (uint64_t)high << 32 | ((r >> 2) & 1 ? 0xffffffffu : 0);
  default:
    high = edge32(from);
    return (uint64_t)high << 32 | low;
  }
}

uint32_t boundary32(void) { return edge32(draw); }
uint64_t boundary64(void) { return edge64(draw); }

/* Floats by class: zeros, denormals, ones, small integers, infinities, NaNs, extremes, exponents that meet, any bits. */
static uint32_t float32(void) {
  uint32_t r = next();
  uint32_t sign = r & 0x80000000u, fraction = next() & 0x7fffff;
  if (r & 0x100) fraction &= 0x700007; /* few bits: exact results and ties */
  switch (r & 15) {
  case 0: return sign;
  case 1: return sign | fraction; /* denormal (or zero) */
  case 2: return sign | (r & 0x10 ? 1 : 0x7fffff);
  case 3: return sign | (0x3f800000 + ((r >> 4) & 3) - 1);
  case 4: return sign | 0x7f800000;
  case 5: return sign | 0x7fc00000 | fraction;
  case 6: return sign | 0x7f800000 | (fraction & 0x3fffff) | 1;
  case 7: return sign | (r & 0x10 ? 0x7f7fffff : 0x00800000);
  case 8: return sign | (0x01 + ((r >> 4) & 31)) << 23 | fraction;
  case 9: return sign | (0xfe - ((r >> 4) & 31)) << 23 | fraction;
  case 10: return sign | (0x94 + ((r >> 4) & 15)) << 23 | fraction; /* around 2^22 .. 2^36: integer limits */
  case 11: return next();
  default: return sign | (0x7b + ((r >> 4) & 7)) << 23 | fraction;
  }
}

static void float64(uint32_t *low, uint32_t *high) {
  uint32_t r = next();
  uint32_t sign = r & 0x80000000u, fraction = next() & 0xfffff;
  *low = next();
  if (r & 0x100) {
    fraction &= 0xc0001;
    *low &= 0xe0000003u;
  }
  switch (r & 15) {
  case 0: *high = sign; *low = 0; return;
  case 1: *high = sign | fraction; return;
  case 2: *high = sign | (r & 0x10 ? 0 : 0xfffff); *low = r & 0x10 ? 1 : 0xffffffffu; return;
  case 3: *high = sign | (r & 0x20 ? 0x3fefffff : 0x3ff00000); *low = r & 0x20 ? 0xffffffffu : (r >> 4) & 1; return;
  case 4: *high = sign | 0x7ff00000; *low = 0; return;
  case 5: *high = sign | 0x7ff80000 | fraction; return;
  case 6: *high = sign | 0x7ff00000 | (fraction & 0x7ffff) | 1; return;
  case 7: *high = sign | (r & 0x10 ? 0x7fefffff : 0x00100000); *low = r & 0x10 ? 0xffffffffu : 0; return;
  case 8: *high = sign | (0x001 + ((r >> 4) & 63)) << 20 | fraction; return;
  case 9: *high = sign | (0x7fe - ((r >> 4) & 63)) << 20 | fraction; return;
  case 10: *high = sign | (0x41c + ((r >> 4) & 7)) << 20 | fraction; return; /* 2^29 .. 2^36 */
  case 11: *high = next(); return;
  case 12: *high = sign | (0x380 - ((r >> 4) & 31) + ((r >> 9) & 15)) << 20 | fraction; return; /* single limits */
  default: *high = sign | (0x3fb + ((r >> 4) & 7)) << 20 | fraction; return;
  }
}

/* Extended doubles, the encodings that no longer exist (pseudo-denormals, unnormals, pseudo-infinities) included. */
static void float80(uint8_t *to) {
  uint32_t r = next();
  uint32_t low = next(), high = next() | 0x80000000u, sign = (r >> 16) & 0x8000;
  uint32_t exponent;
  if (r & 0x100) {
    low &= 0xc0000003u;
    high &= 0xc0000100u;
  }
  switch (r & 31) {
  case 0: case 1: exponent = 0; low = high = 0; break;
  case 2: exponent = 0; high &= 0x7fffffff; break; /* denormal */
  case 3: exponent = 0; break; /* pseudo-denormal */
  case 4: exponent = 0; high = 0; low = 1; break;
  case 5: exponent = 0x3fff; high = 0x80000000u; low = (r >> 9) & 1; break;
  case 6: case 7: exponent = 0x7fff; high = 0x80000000u; low = 0; break;
  case 8: case 9: exponent = 0x7fff; high |= 0xc0000000u; break; /* QNaN */
  case 10: exponent = 0x7fff; high &= 0xbfffffffu; low |= 1; break; /* SNaN */
  case 11: exponent = 0x7fff; high &= 0x7fffffff; break; /* pseudo-NaN or pseudo-infinity */
  case 12: exponent = 0x3ff0 + ((r >> 9) & 31); high &= 0x7fffffff; break; /* unnormal */
  case 13: exponent = 0x7ffe - ((r >> 9) & 63); break;
  case 14: exponent = 1 + ((r >> 9) & 63); break;
  case 15: exponent = 0x7ffe; high = low = 0xffffffffu; break;
  case 16: exponent = 0x3fff - 0x3ff + ((r >> 9) & 63) - 54; break; /* double's lower limit */
  case 17: exponent = 0x3fff + 0x3ff - ((r >> 9) & 7); break;
  case 18: exponent = 0x3fff - 0x7f + ((r >> 9) & 31) - 24; break; /* single's lower limit */
  case 19: exponent = 0x3fff + 0x7f - ((r >> 9) & 3); break;
  case 20: case 21: exponent = 0x3fff + ((r >> 9) & 127); break;
  case 22: exponent = r >> 9 & 0x7fff; break;
  case 23: exponent = 0x3fff + 13 + ((r >> 9) & 7); break;
  case 24: exponent = 0x3fff + 29 + ((r >> 9) & 7); break;
  case 25: exponent = 0x3fff + 61 + ((r >> 9) & 7); break;
  case 26: exponent = 0x3fff + (r >> 9 & 31); high &= 0xf8000000u; low = 0; break; /* integers */
  default: exponent = 0x3ffb + ((r >> 9) & 7); break;
  }
  if (exponent != 0 && exponent != 0x7fff && (r & 31) != 12) high |= 0x80000000u;
  exponent = (exponent & 0x7fff) | sign;
  memcpy(to, &low, 4);
  memcpy(to + 4, &high, 4);
  memcpy(to + 8, &exponent, 2);
}

static void put32(uint8_t *to, uint32_t value) { memcpy(to, &value, 4); }

static void lanes(uint8_t *to, enum profile profile) {
  for (int i = 0; i < 16; i += 4) {
    if (profile == FLOAT32) put32(to + i, float32());
    else if (profile == PACKED) put32(to + i, edge32(next));
    else if (i % 8 == 0) {
      uint32_t low, high;
      float64(&low, &high);
      put32(to + i, low);
      put32(to + i + 4, high);
    }
  }
}

static void seedVectorUnit(uint8_t *fx, enum profile profile) {
  for (int i = 0; i < 16; i++) lanes(fx + 160 + 16 * i, profile);
  uint32_t r = next();
  uint32_t mxcsr = 0x1f80 | (r & 0x3f & -((r >> 6) & 1)); /* sticky flags in half of the states */
  if (r & 0x80) mxcsr |= (r >> 8 & 3) << 13;
  if ((r >> 10 & 7) == 0) mxcsr |= 0x8000;
  if ((r >> 13 & 7) == 0) mxcsr |= 0x0040;
  if ((r >> 16 & 7) == 0) mxcsr &= ~((r >> 19 & 0x3f) << 7);
  put32(fx + 24, mxcsr);
}

static void seedX87(uint8_t *fx) {
  for (int i = 0; i < 8; i++) float80(fx + 32 + 16 * i);
  uint32_t r = next();
  uint32_t control = 0x037f;
  if (r & 1) control = (control & ~0xc00u) | (r >> 1 & 3) << 10;
  if ((r >> 3 & 3) == 0) control = (control & ~0x300u) | ((r >> 5 & 3) == 1 ? 3 : (r >> 5 & 3)) << 8;
  if ((r >> 7 & 7) == 0) control &= ~(r >> 10 & 0x3f);
  uint32_t status = (r >> 16 & 7) << 11 | ((r >> 19 & 0xf) & 7) << 8 | (r >> 22 & 1) << 14;
  if (r >> 23 & 1) status |= r >> 24 & 0x3f & control; /* sticky flags only of masked exceptions: nothing is pending */
  uint32_t tags = 0xff;
  if ((next() & 3) == 0) tags = next() & 0xff;
  fx[0] = control;
  fx[1] = control >> 8;
  fx[2] = status;
  fx[3] = status >> 8;
  fx[4] = tags;
}

void seedState(struct state *s, const struct form *f, int index) {
  memset(s, 0, sizeof *s);
  start = mix(f->seed ^ mix((uint32_t)index + 1));
  uint64_t mask = f->mode == 64 ? ~0ull : 0xffffffffull;
  int registers = f->mode == 64 ? 16 : 8;
  for (int i = 0; i < registers; i++) s->gpr[i] = edge64(next) & mask;
  uint32_t r = next();
  if ((r & 7) == 0) s->gpr[(r >> 3 & 15) & (registers - 1)] = s->gpr[(r >> 7 & 15) & (registers - 1)];
  uint32_t top = STACK + 0x800 + (r >> 11 & 63) * 8;
  s->gpr[RSP] = f->mode == 16 ? top - STACK16 : top;
  s->flags = (next() & ARITHMETIC) | 0x202;
  if ((r >> 24 & 15) == 0) s->flags |= DF;
  s->rip = (f->mode == 16 ? 0 : CODE) + DEFAULT_RIP;
  s->fx[0] = 0x7f; /* FNINIT */
  s->fx[1] = 0x03;
  put32(s->fx + 24, 0x1f80);
  put32(s->fx + 28, 0xffff);
  if (f->profile == INTEGER) return;
  if (f->profile != X87) seedVectorUnit(s->fx, f->profile);
  else seedX87(s->fx);
  if (f->profile == PACKED) seedX87(s->fx); /* MMX registers */
}

/* What lies in the windows before every vector. Depends on nothing but this file. */
void fillWindows(uint8_t *data, uint8_t *stack) {
  start = 0x77777777u;
  for (unsigned i = 0; i < PAGE; i += 4) put32(data + i, edge32(next));
  for (unsigned i = 0; i < 1024; i += 16) lanes(data + PAGE + i, FLOAT32);
  for (unsigned i = 1024; i < 2048; i += 16) lanes(data + PAGE + i, FLOAT64);
  for (unsigned i = 2048; i < 3072; i += 16) {
    float80(data + PAGE + i);
    memset(data + PAGE + i + 10, 0, 6);
  }
  for (unsigned i = 3072; i < PAGE; i += 4) put32(data + PAGE + i, edge32(next));
  for (unsigned i = 0; i < PAGE; i += 4) put32(data + 2 * PAGE + i, edge32(next));
  for (unsigned i = 0; i < PAGE; i += 4) put32(stack + i, edge32(next));
}
