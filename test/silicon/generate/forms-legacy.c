/* What 64-bit mode dropped (decimal arithmetic, PUSHA, BOUND, INTO), and segment registers in all modes. */
#include "forms.h"
#include <stdio.h>
#include <string.h>

/* Selectors of the LDT in execute.c, good and bad: beyond the limit, not present, execute-only, null. */
static const uint16_t SELECTORS[] = {0x00, 0x01, 0x02, 0x03, 0x0f, 0x17, 0x17, 0x1f, 0x27, 0x27, 0x2f, 0x37, 0x37,
                                     0x3f, 0x3f, 0x47, 0x47, 0x4f, 0x57, 0x5f, 0x14, 0x25, 0x36, 0x7c, 0xffff, 0x07};

static uint16_t pickSelector(void) { return SELECTORS[below(sizeof SELECTORS / sizeof *SELECTORS)]; }

static void decimal(struct vector *v) {
  if (chance(2)) return;
  v->before.gpr[RAX] = (v->before.gpr[RAX] & ~0xffffull) | below(10) << 4 | below(12) | (draw() & 0xff00);
}

static void adjustImmediate(struct vector *v) {
  setImmediate(v, chance(2) ? 10 : (int8_t)boundary32());
}

static void loadSelector(struct vector *v) {
  uint16_t selector = pickSelector();
  if (v->form->rm == RM_REG) putReg(v, v->rm, 16, selector);
  else if (insideData(v->ea, 2) && v->ea + 2 <= DATA + WRITABLE_BYTES) setMemory(v, (uint32_t)v->ea, &selector, 2);
  else if (insideData(v->ea, 2)) v->skip = true;
}

/*
 * The stack segment: single stepping traps only behind the next instruction, which is the breakpoint that fills the window.
 * What is written down is the state before that one.
 */
static const uint16_t STACK_SELECTORS[] = {0x17, 0x27, 0x2f, 0x37, 0x87, 0x8f, 0x9f, 0xa7, 0x2b,
                                           0x47, 0x0f, 0x57, 0x5f, 0x00, 0x03, 0x14, 0x26, 0x7c};

static uint16_t pickStack(void) { return STACK_SELECTORS[below(sizeof STACK_SELECTORS / sizeof *STACK_SELECTORS)]; }

static void loadStack(struct vector *v) {
  uint16_t selector = pickStack();
  if (v->form->rm == RM_REG) putReg(v, v->rm, 16, selector);
  else if (isWritable(v->ea, 2) && v->ea < STACK) setMemory(v, (uint32_t)v->ea, &selector, 2);
  else if (insideData(v->ea, 2)) v->skip = true;
}

static void popStack(struct vector *v) {
  uint32_t image = pickStack() | draw() << 16;
  setMemory(v, stackLinear(v), &image, (uint32_t)v->form->size / 8);
}

static void stackPointer(struct vector *v) {
  uint32_t bytes = (uint32_t)v->form->size / 8;
  uint64_t image = (uint64_t)pickStack() << v->form->size | (boundary32() & maskOf(v->form->size));
  if (isWritable(v->ea, bytes + 2) && v->ea < STACK) setMemory(v, (uint32_t)v->ea, &image, bytes + 2);
  else if (insideData(v->ea, bytes + 2)) v->skip = true;
}

static void beforeBreakpoint(struct vector *v) {
  if (!v->trap.taken || v->trap.vector != 3) return;
  v->trap.taken = false;
  v->after.rip--;
}

static void popSelector(struct vector *v) {
  uint32_t image = pickSelector() | draw() << 16;
  setMemory(v, stackLinear(v), &image, (uint32_t)v->form->size / 8);
}

/* LES, LDS and their like: offset first, selector behind it. */
static void farPointer(struct vector *v) {
  int bytes = v->form->size / 8;
  uint64_t image = (uint64_t)pickSelector() << v->form->size | (boundary32() & maskOf(v->form->size));
  if (insideData(v->ea, (uint32_t)bytes + 2) && v->ea + (uint32_t)bytes + 2 <= DATA + WRITABLE_BYTES)
    setMemory(v, (uint32_t)v->ea, &image, (uint32_t)bytes + 2);
  else if (insideData(v->ea, (uint32_t)bytes + 2)) v->skip = true;
}

/* Far transfers at the same privilege: to the flat 32-bit or the 16-bit code segment, or to something that is neither. */
static uint16_t codeSelector(void) {
  static const uint16_t CODE_SELECTORS[] = {0x0f, 0x0f, 0x0f, 0x1f, 0x1f, 0x1f, 0x4f, 0x17, 0x5f, 0x00, 0x57, 0x0c};
  return CODE_SELECTORS[below(sizeof CODE_SELECTORS / sizeof *CODE_SELECTORS)];
}

/* 64-bit code too, but not from a 16-bit stack: in which mode that is used then, the manual does not say. */
static uint16_t codeSelectorFrom(int mode) { return mode == 32 && chance(6) ? 0x33 : codeSelector(); }

static uint64_t farTarget(const struct vector *v) {
  uint32_t offset = chance(2) ? boundary32() : below(0x10000);
  return (uint64_t)codeSelectorFrom(v->form->mode) << v->form->size | (offset & maskOf(v->form->size));
}

static void farImmediate(struct vector *v) {
  uint64_t target = farTarget(v);
  int bytes = v->form->size / 8 + 2;
  memcpy(v->bytes + v->length - bytes, &target, (size_t)bytes);
}

static void farMemory(struct vector *v) {
  uint64_t target = farTarget(v);
  uint32_t bytes = (uint32_t)v->form->size / 8 + 2;
  if (insideData(v->ea, bytes) && v->ea + bytes <= DATA + WRITABLE_BYTES)
    setMemory(v, (uint32_t)v->ea, &target, bytes);
  else if (insideData(v->ea, bytes)) v->skip = true;
}

static void farReturn(struct vector *v) {
  uint32_t image[3], size = (uint32_t)v->form->size;
  uint64_t target = farTarget(v);
  uint8_t *to = (uint8_t *)image;
  memset(image, 0, sizeof image);
  memcpy(to, &target, size / 8);
  uint32_t selector = (uint32_t)(target >> size) | draw() << 16;
  if ((selector & 3) != 3) selector |= 3; /* a return to less privilege is another matter */
  memcpy(to + size / 8, &selector, size / 8);
  uint32_t length = size / 4;
  if (strncmp(v->form->name, "iret", 4) == 0) {
    uint32_t flags = draw() & ~(uint32_t)(TF | 0x20000);
    memcpy(to + length, &flags, size / 8);
    length += size / 8;
    v->before.flags &= ~(uint32_t)NT;
  }
  setMemory(v, stackLinear(v), image, length);
}

/* EFLAGS.NT: IA-32e mode has no task to return to. */
static void nested(struct vector *v) {
  farReturn(v);
  v->before.flags |= NT;
}

static void bounds(struct vector *v) {
  int size = v->form->size;
  /* the lower bound may be compared before the upper one is read */
  if (insideData(v->ea, (uint32_t)size / 8) != insideData(v->ea, (uint32_t)size / 4)) v->skip = true;
  if (!insideData(v->ea, (uint32_t)size / 4) || v->ea + (uint32_t)size / 4 > DATA + WRITABLE_BYTES) return;
  int32_t low = (int32_t)(boundary32() & maskOf(size)), high = (int32_t)(boundary32() & maskOf(size));
  int32_t value = (int32_t)getReg(v, v->reg, size);
  if (chance(2)) low = value - (int32_t)below(3), high = value + (int32_t)below(3) - chance(3);
  uint64_t pair = size == 16 ? (uint64_t)(uint16_t)low | (uint64_t)(uint16_t)high << 16
                             : (uint64_t)(uint32_t)low | (uint64_t)(uint32_t)high << 32;
  setMemory(v, (uint32_t)v->ea, &pair, (uint32_t)size / 4);
}

static struct form *simple(int mode, const char *name, const char *encoding, int size, prepare_fn *prepare) {
  struct form *f = addForm(mode, name, encoding, size, NO_RM);
  f->prepare = prepare;
  return f;
}

static void oldForms(int mode) {
  char text[32];
  static const struct { const char *name, *code; uint16_t undefined; prepare_fn *prepare; } DECIMAL[] = {
      {"aaa", "37", OF | SF | ZF | PF, decimal}, {"aas", "3f", OF | SF | ZF | PF, decimal},
      {"daa", "27", OF, decimal}, {"das", "2f", OF, decimal},
      {"aam Ib", "d4 ib", OF | AF | CF, adjustImmediate}, {"aad Ib", "d5 ib", OF | AF | CF, adjustImmediate},
      {"salc", "d6", 0, NULL}, {"into", "ce", 0, NULL}};
  for (unsigned i = 0; i < sizeof DECIMAL / sizeof *DECIMAL; i++) {
    struct form *f = simple(mode, DECIMAL[i].name, DECIMAL[i].code, 0, DECIMAL[i].prepare);
    f->undefined = DECIMAL[i].undefined;
    f->count = i < 6 ? 120 : 30;
  }
  for (int op = 0; op < 8; op++) { /* 82: the second copy of 80 */
    snprintf(text, sizeof text, "alu%d Eb,Ib 82", op);
    char bytes[16];
    snprintf(bytes, sizeof bytes, "82 /%d ib", op);
    struct rm_forms f = addRm(mode, text, bytes, 8, op == 7 ? 0 : OPT_WRITES, op == 1 || op == 4 || op == 6 ? AF : 0, false);
    f.reg->count = f.mem->count = 10;
  }
  addRm(mode, "arpl Ew,Gw", "63 /r", 16, OPT_WRITES | OPT_NO_66, 0, false);
  for (int size = 16; size <= 32; size *= 2) {
    char s = SUFFIX[size];
    simple(mode, NAMED("pusha %c"), "60", size, NULL)->finish = forgetWrites;
    simple(mode, NAMED("popa %c"), "61", size, NULL);
    struct form *f = addForm(mode, NAMED("bound G%c,M"), "62 /r", size, RM_MEM);
    f->access = size / 4;
    f->prepare = bounds;
    f->options = OPT_ANY_TARGET;
    f->count = 80;
    static const struct { const char *name, *code; } POINTERS[] = {
        {"les G%c,M", "c4 /r"}, {"lds G%c,M", "c5 /r"}, {"lfs G%c,M", "0f b4 /r"}, {"lgs G%c,M", "0f b5 /r"}};
    for (int i = 0; i < 4; i++) {
      snprintf(text, sizeof text, POINTERS[i].name, s);
      f = addForm(mode, text, POINTERS[i].code, size, RM_MEM);
      f->access = size / 8 + 2;
      f->prepare = farPointer;
    }
    static const struct { const char *name, *push, *pop; } SEGMENT_STACK[] = {
        {"es %c", "06", "07"}, {"cs %c", "0e", NULL}, {"ss %c", "16", NULL}, {"ds %c", "1e", "1f"},
        {"fs %c", "0f a0", "0f a1"}, {"gs %c", "0f a8", "0f a9"}};
    for (int i = 0; i < 6; i++) {
      char operand[8], full[32];
      snprintf(operand, sizeof operand, SEGMENT_STACK[i].name, s);
      snprintf(full, sizeof full, "push %s", operand);
      if (size == 16) simple(mode, full, SEGMENT_STACK[i].push, size, NULL)->count = 10;
      snprintf(full, sizeof full, "pop %s", operand);
      if (SEGMENT_STACK[i].pop) simple(mode, full, SEGMENT_STACK[i].pop, size, popSelector);
    }
    simple(mode, NAMED("jmp far I %c"), size == 16 ? "ea iw iw" : "ea id iw", size, farImmediate);
    simple(mode, NAMED("call far I %c"), size == 16 ? "9a iw iw" : "9a id iw", size, farImmediate)->finish = forgetWrites;
    for (int call = 0; call < 2; call++) {
      snprintf(text, sizeof text, "%s far M %c", call ? "call" : "jmp", s);
      f = addForm(mode, text, call ? "ff /3" : "ff /5", size, RM_MEM);
      f->access = size / 8 + 2;
      f->prepare = farMemory;
      f->implicit = BIT(RSP);
      f->finish = forgetWrites;
    }
    simple(mode, NAMED("retf %c"), "cb", size, farReturn);
    simple(mode, NAMED("retf Iw %c"), "ca iw", size, farReturn);
    simple(mode, NAMED("iret %c"), "cf", size, farReturn);
    simple(mode, NAMED("nested iret %c"), "cf", size, nested)->count = 6;
  }
}

/*
 * From 64-bit code to 16-, 32- and 64-bit code: selectors of the LDT, and the kernel's user selectors 33 and 2b. Offsets
 * stay below 2 GiB. Far pointers in memory are 16:16 and 16:32: makers disagree on 16:64.
 */
static uint64_t codeSelector64(void) { return chance(3) ? 0x33 : codeSelector(); }

static void farMemory64(struct vector *v) {
  uint32_t bytes = (uint32_t)v->form->size / 8 + 2;
  uint64_t target = codeSelector64() << v->form->size | (below(0x7fffffff) & maskOf(v->form->size));
  if (insideData(v->ea, bytes) && v->ea + bytes <= DATA + WRITABLE_BYTES)
    setMemory(v, (uint32_t)v->ea, &target, bytes);
  else if (insideData(v->ea, bytes)) v->skip = true;
}

static void farReturn64(struct vector *v) {
  static const uint16_t STACKS[] = {0x2b, 0x2b, 0x2b, 0x17, 0x27, 0x47, 0x0f, 0x57, 0x5f, 0x00, 0x03, 0x2f};
  uint64_t image[5] = {below(0x7fffffff), codeSelector64() | 3, draw() & ~(uint32_t)(TF | 0x20000),
                       STACK + below(PAGE), STACKS[below(12)]};
  if (v->form->size == 64 && image[1] == 0x33 && chance(6)) image[0] |= 1ull << 47;
  bool goodStack = image[4] == 0x2b || image[4] == 0x17 || image[4] == 0x27 || image[4] == 0x2f;
  if (!goodStack) image[0] &= 0xffff; /* one fault at a time */
  uint8_t bytes[40];
  uint32_t width = (uint32_t)v->form->size / 8, count = strncmp(v->form->name, "iret", 4) == 0 ? 5 : 2;
  for (uint32_t i = 0; i < count; i++) memcpy(bytes + i * width, &image[i], width);
  v->before.flags &= ~(uint32_t)NT;
  setMemory(v, stackLinear(v), bytes, count * width);
}

static void farForms64(void) {
  char text[32];
  for (int size = 16; size <= 64; size *= 2) {
    char s = SUFFIX[size];
    simple(64, NAMED("retf %c"), "cb", size, farReturn64)->count = 60;
    simple(64, NAMED("iret %c"), "cf", size, farReturn64)->count = 60;
    if (size == 64) continue;
    for (int call = 0; call < 2; call++) {
      snprintf(text, sizeof text, "%s far M %c", call ? "call" : "jmp", s);
      struct form *f = addForm(64, text, call ? "ff /3" : "ff /5", size, RM_MEM);
      f->access = size / 8 + 2;
      f->prepare = farMemory64;
      f->implicit = BIT(RSP);
      f->finish = forgetWrites;
      f->count = 60;
    }
  }
}

static void stackSegmentForms(int mode) {
  char text[32];
  struct rm_forms f = addRm(mode, "mov SS,Ew", "8e /2", 16, OPT_NO_66, 0, false);
  f.reg->prepare = f.mem->prepare = loadStack;
  f.reg->finish = f.mem->finish = beforeBreakpoint;
  f.reg->options |= OPT_NO_FAR_END, f.mem->options |= OPT_NO_FAR_END;
  for (int size = 16; size <= 32; size *= 2) {
    char s = SUFFIX[size];
    struct form *p = addForm(mode, NAMED("lss G%c,M"), "0f b2 /r", size, RM_MEM);
    p->access = size / 8 + 2;
    p->prepare = stackPointer;
    p->finish = beforeBreakpoint;
    p->options = OPT_NO_FAR_END;
    if (mode == 64) continue;
    p = simple(mode, NAMED("pop ss %c"), "17", size, popStack);
    p->finish = beforeBreakpoint;
    p->options = OPT_NO_FAR_END;
  }
}

void legacyForms(int mode) {
  stackSegmentForms(mode);
  if (mode != 64) oldForms(mode);
  else farForms64();
  char text[32];
  for (int size = 16; size <= (mode == 64 ? 64 : 32); size *= 2) {
    char s = SUFFIX[size];
    struct rm_forms f = addRm(mode, NAMED("mov E%c,Sw"), "8c /r", size, OPT_WRITES | OPT_SEG_REG, 0, false);
    f.mem->access = 2;
    f = addRm(mode, NAMED("mov Sw,E%c"), "8e /r", size, OPT_SEG_REG, 0, false);
    f.reg->prepare = f.mem->prepare = loadSelector;
    f.mem->access = 2;
    static const struct { const char *name, *code; } CHECKS[] = {{"lar G%c,Ew", "0f 02 /r"}, {"lsl G%c,Ew", "0f 03 /r"}};
    for (int i = 0; i < 2; i++) {
      snprintf(text, sizeof text, CHECKS[i].name, s);
      f = addRm(mode, text, CHECKS[i].code, size, 0, 0, false);
      f.reg->prepare = f.mem->prepare = loadSelector;
      f.mem->access = 2;
    }
  }
  for (int write = 0; write < 2; write++) {
    struct rm_forms f = addRm(mode, write ? "verw Ew" : "verr Ew", write ? "0f 00 /5" : "0f 00 /4", 16, OPT_NO_66, 0, false);
    f.reg->prepare = f.mem->prepare = loadSelector;
  }
}
