/* Stack and control transfer. */
#include "forms.h"
#include <stdio.h>
#include <string.h>

/* Now and then the stack pointer stands at an edge of its window, or beyond. */
static void moveStack(struct vector *v) {
  uint32_t at = stackLinear(v);
  uint32_t kind = below(16);
  if (v->form->mode == 64 && kind == 0) {
    v->before.gpr[RSP] = 0x0000800000000000ull + below(0x1000) * 8; /* not canonical */
    return;
  }
  if (kind == 1) at = STACK + below(17);
  else if (kind == 2) at = STACK + PAGE - below(17);
  else if (kind == 3) at += 1 + below(7);
  uint32_t sp = at - linearOf(v->form->mode, SS);
  if (v->form->mode == 16) {
    if (kind == 4) sp = below(6);
    if (chance(2)) sp = (sp & 0xffff) | draw() << 16; /* only SP counts */
  }
  v->before.gpr[RSP] = sp;
}

static bool onStack(uint32_t at, uint32_t bytes) { return at >= STACK && at + bytes <= STACK + PAGE; }

/* A target that can be written down: below 4 GiB in 64-bit mode; anything elsewhere. */
static uint64_t pickJump(const struct vector *v) {
  if (v->form->mode == 64) return chance(4) ? boundary32() : CODE + below(CODE_BYTES);
  if (v->form->mode == 16 && chance(2)) return below(0x10000);
  return chance(2) ? boundary32() : CODE + below(CODE_BYTES);
}

static void pushTarget(struct vector *v) {
  moveStack(v);
  uint64_t target = pickJump(v);
  uint32_t at = stackLinear(v), bytes = (uint32_t)v->form->size / 8;
  if (onStack(at, bytes)) setMemory(v, at, &target, bytes);
  else if (v->form->mode == 64 && onStack(at, 1)) v->skip = true;
}

/* A call beyond the limit of CS on a stack that faults too: which comes first differs from maker to maker. */
static void moveStackUnless(struct vector *v, uint64_t target) {
  if (v->form->mode != 16 || v->form->size == 16 || target <= 0xffff) moveStack(v);
}

static void toTarget(struct vector *v) {
  uint64_t target = pickJump(v);
  setRm(v, target);
  if (strncmp(v->form->name, "call", 4) == 0) moveStackUnless(v, getRm(v));
  if (v->form->rm == RM_REG && v->rm == RSP && strncmp(v->form->name, "call", 4) == 0) v->skip = true;
  if (v->form->rm == RM_MEM && v->form->mode == 64) {
    target = readBefore(v, v->ea, 8);
    bool whole = insideData(v->ea, 8) && v->ea < STACK;
    if (whole && target >> 32) v->skip = true; /* read-only page: no target of ours */
    if (!whole && insideData(v->ea, 8)) v->skip = true;
  }
}

static void relative(struct vector *v) {
  uint64_t target = (uint32_t)(v->before.rip + (uint64_t)v->length + (uint64_t)v->immediate);
  if (strncmp(v->form->name, "call", 4) == 0) moveStackUnless(v, target);
  if (v->form->mode != 64 || v->immediateBytes != 4) return;
  setImmediate(v, (int64_t)below(0x900000) - 0x480000);
}

static void countLoop(struct vector *v) {
  if (chance(3)) {
    uint64_t mask = chance(2) ? ~0xffffull : chance(2) ? ~0xffffffffull : 0;
    v->before.gpr[RCX] = (v->before.gpr[RCX] & mask) | below(3);
    if (v->form->mode != 64) v->before.gpr[RCX] &= 0xffffffffu;
  }
}

static void frame(struct vector *v) {
  static const uint8_t LEVELS[16] = {0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 4, 31, 33, 64, 5};
  uint32_t size = chance(8) ? below(0x10000) : below(0x300), level = LEVELS[below(16)];
  uint8_t *operand = v->bytes + v->length - 3;
  operand[0] = (uint8_t)size;
  operand[1] = (uint8_t)(size >> 8);
  operand[2] = (uint8_t)level;
  uint32_t upper = v->form->mode == 16 && chance(2) ? draw() << 16 : 0;
  v->before.gpr[RBP] = (STACK + 0x700 + below(0x400) - linearOf(v->form->mode, SS)) | upper;
}

static void unframe(struct vector *v) {
  uint32_t at = chance(8) ? STACK + PAGE - below(9) : STACK + 0x100 + below(0xe00);
  uint32_t upper = v->form->mode == 16 && chance(2) ? draw() << 16 : 0;
  v->before.gpr[RBP] = (at - linearOf(v->form->mode, SS)) | upper;
}

static void pushFlags(struct vector *v) {
  moveStack(v);
  if (chance(2)) v->before.flags |= ID;
  if (chance(4)) v->before.flags |= NT;
  if (chance(4)) v->before.flags |= AC, v->before.gpr[RSP] &= ~7ull;
}

/* Single stepping shows in the pushed image. */
static void clearPushedTrap(struct vector *v) {
  if (v->trap.taken) return;
  uint64_t sp = v->after.gpr[RSP];
  if (v->form->mode == 16) sp &= 0xffff;
  uint8_t *pushed = (uint8_t *)(uintptr_t)((uint32_t)sp + linearOf(v->form->mode, SS));
  pushed[1] &= 0xfe;
}

static void popFlags(struct vector *v) {
  moveStack(v);
  if (chance(2)) v->before.flags |= ID;
  if (chance(4)) v->before.flags |= NT;
  uint64_t image = ((uint64_t)draw() << 32 | draw()) & ~(uint64_t)TF;
  uint32_t at = stackLinear(v), bytes = (uint32_t)v->form->size / 8;
  if (onStack(at, bytes)) setMemory(v, at, &image, bytes);
  else if (onStack(at, 1)) v->skip = true;
}

/* The kernel half answers otherwise than an empty one would: page faults there are reported as protection faults. */
static void pushMemory(struct vector *v) {
  if (v->form->mode == 64 && v->before.gpr[RSP] >> 32) v->skip = true;
}

static void popMemory(struct vector *v) {
  if (v->form->rm == RM_REG) moveStack(v);
}

static struct form *stackForm(int mode, const char *name, const char *encoding, int size, prepare_fn *prepare) {
  struct form *f = addForm(mode, name, encoding, size, NO_RM);
  f->prepare = prepare;
  f->options = OPT_DEFAULT64;
  return f;
}

static const char *CONDITIONS[16] = {"o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"};

static void branches(int mode, int size, char s) {
  char text[32], bytes[16];
  bool narrow = size == mode; /* the form without a prefix */
  for (int cc = 0; cc < 16; cc++) {
    snprintf(text, sizeof text, "j%s rel8 %c", CONDITIONS[cc], s);
    snprintf(bytes, sizeof bytes, "%02x ib", 0x70 + cc);
    stackForm(mode, text, bytes, size, NULL)->count = 16;
    snprintf(text, sizeof text, "j%s relz %c", CONDITIONS[cc], s);
    snprintf(bytes, sizeof bytes, "0f %02x iz", 0x80 + cc);
    stackForm(mode, text, bytes, size, relative)->count = 16;
  }
  static const char *LOOPS[4] = {"loopne", "loope", "loop", "jcxz"};
  for (int i = 0; i < 4; i++) {
    snprintf(text, sizeof text, "%s rel8 %c", LOOPS[i], s);
    snprintf(bytes, sizeof bytes, "%02x ib", 0xe0 + i);
    stackForm(mode, text, bytes, size, countLoop);
    snprintf(text, sizeof text, "a %s rel8 %c", LOOPS[i], s);
    snprintf(bytes, sizeof bytes, "%02x ib", 0xe0 + i);
    struct form *f = stackForm(mode, text, bytes, size, countLoop);
    snprintf(f->encoding, sizeof f->encoding, "67 %02x ib", 0xe0 + i);
    if (!narrow) f->count = 20;
  }
  snprintf(text, sizeof text, "jmp rel8 %c", s);
  stackForm(mode, text, "eb ib", size, NULL);
  snprintf(text, sizeof text, "jmp relz %c", s);
  stackForm(mode, text, "e9 iz", size, relative);
  snprintf(text, sizeof text, "call relz %c", s);
  stackForm(mode, text, "e8 iz", size, relative)->finish = forgetWrites;
  snprintf(text, sizeof text, "ret %c", s);
  stackForm(mode, text, "c3", size, pushTarget);
  snprintf(text, sizeof text, "ret Iw %c", s);
  stackForm(mode, text, "c2 iw", size, pushTarget);
  for (int call = 0; call < 2; call++) {
    snprintf(text, sizeof text, "%s E%c", call ? "call" : "jmp", s);
    struct rm_forms f = addRm(mode, text, call ? "ff /2" : "ff /4", size, OPT_DEFAULT64, 0, false);
    f.reg->prepare = f.mem->prepare = toTarget;
    f.reg->finish = f.mem->finish = forgetWrites;
    f.mem->implicit = BIT(RSP);
    f.mem->options &= ~(uint32_t)OPT_ANY_TARGET;
  }
}

void stackForms(int mode) {
  int sizes[2] = {16, mode == 64 ? 64 : 32};
  for (int i = 0; i < 2; i++) {
    int size = sizes[i];
    char s = SUFFIX[size], text[32];
    stackForm(mode, NAMED("push r%c"), "50 +r", size, moveStack)->count = 80;
    stackForm(mode, NAMED("pop r%c"), "58 +r", size, moveStack)->count = 80;
    stackForm(mode, NAMED("push Iz %c"), "68 iz", size, moveStack);
    stackForm(mode, NAMED("push Ib %c"), "6a ib", size, moveStack);
    struct rm_forms f = addRm(mode, NAMED("push E%c"), "ff /6", size, OPT_DEFAULT64, 0, false);
    f.mem->options |= OPT_SAFE;
    f.reg->prepare = moveStack;
    f.mem->prepare = pushMemory;
    f = addRm(mode, NAMED("pop E%c"), "8f /0", size, OPT_DEFAULT64 | OPT_WRITES, 0, false);
    f.reg->prepare = popMemory;
    f.mem->implicit = BIT(RSP);
    f.mem->options &= ~(uint32_t)OPT_ANY_TARGET;
    stackForm(mode, NAMED("pushf %c"), "9c", size, pushFlags)->finish = clearPushedTrap;
    stackForm(mode, NAMED("popf %c"), "9d", size, popFlags)->count = 80;
    stackForm(mode, NAMED("enter Iw,Ib %c"), "c8 iw ib", size, frame)->finish = forgetWrites;
    stackForm(mode, NAMED("leave %c"), "c9", size, unframe);
    if (mode != 64 || size == 64) branches(mode, size, s);
  }
  stackForm(mode, "int3", "cc", 0, NULL)->count = 8;
  if (mode == 64) {
    stackForm(mode, "push fs", "0f a0", 0, moveStack)->count = 10;
    stackForm(mode, "push gs", "0f a8", 0, moveStack)->count = 10;
  }
}
