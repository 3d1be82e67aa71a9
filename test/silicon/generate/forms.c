/* The registry of forms, and the loop that makes their vectors. */
#include "forms.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FORMS 4096
static struct form all[MAX_FORMS];
static int formCount;
int scale = 100;
const char *label = "";
const char SUFFIX[65] = {[8] = 'b', [16] = 'w', [32] = 'd', [64] = 'q'};

struct form *addForm(int mode, const char *name, const char *encoding, int size, enum operand rm) {
  if (formCount == MAX_FORMS) abort();
  struct form *f = &all[formCount++];
  memset(f, 0, sizeof *f);
  snprintf(f->name, sizeof f->name, "%s%s%s", name, *label ? " " : "", label);
  snprintf(f->encoding, sizeof f->encoding, "%s", encoding);
  f->mode = mode;
  f->size = size;
  f->rm = rm;
  f->access = size / 8;
  f->count = 40;
  return f;
}

struct rm_forms addRm(int mode, const char *name, const char *encoding, int size, uint32_t options, uint16_t undefined,
                      bool lockable) {
  struct rm_forms added = {0};
  static const char *SHAPES[] = {"reg", "mem", "lock"};
  for (int shape = 0; shape < (lockable ? 3 : 2); shape++) {
    char full[64];
    snprintf(full, sizeof full, "%s %s", name, SHAPES[shape]);
    struct form *f = addForm(mode, full, encoding, size, shape == 0 ? RM_REG : RM_MEM);
    f->undefined = undefined;
    f->options = options;
    if (shape) f->options |= OPT_ANY_TARGET;
    f->lock = shape == 2;
    if (shape == 2) f->count = 20;
    if (shape == 0) added.reg = f;
    else if (shape == 1) added.mem = f;
    else added.lock = f;
  }
  return added;
}

void forSizes(int mode, int smallest, void (*each)(int mode, int size)) {
  for (int size = smallest; size <= (mode == 64 ? 64 : 32); size *= 2) each(mode, size);
}

uint64_t maskOf(int size) { return size == 64 ? ~0ull : (1ull << size) - 1; }

static bool high(const struct vector *v, int reg, int size) { return size == 8 && !v->rex && reg >= 4 && reg < 8; }

uint64_t getReg(const struct vector *v, int reg, int size) {
  if (high(v, reg, size)) return v->before.gpr[reg & 3] >> 8 & 0xff;
  return v->before.gpr[reg] & maskOf(size);
}

void putReg(struct vector *v, int reg, int size, uint64_t value) {
  int shift = high(v, reg, size) ? 8 : 0;
  uint64_t mask = maskOf(size) << shift, *to = &v->before.gpr[shift ? reg & 3 : reg];
  *to = (*to & ~mask) | (value << shift & mask);
}

bool insideData(uint64_t linear, uint32_t bytes) {
  return (linear >= DATA && linear + bytes <= DATA + DATA_BYTES) || (linear >= STACK && linear + bytes <= STACK + PAGE);
}

bool isWritable(uint64_t linear, uint32_t bytes) {
  return insideData(linear, bytes) && (linear >= STACK || linear + bytes <= DATA + WRITABLE_BYTES);
}

uint64_t readBefore(const struct vector *v, uint64_t linear, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; i++) {
    uint64_t at = linear + (uint64_t)i;
    if (!insideData(at, 1)) return 0;
    uint8_t byte = at >= STACK ? stackPattern[at - STACK] : dataPattern[at - DATA];
    for (int p = 0; p < v->patches; p++)
      if (at >= v->patch[p].address && at < v->patch[p].address + v->patch[p].length)
        byte = v->patch[p].bytes[at - v->patch[p].address];
    value |= (uint64_t)byte << (8 * i);
  }
  return value;
}

uint64_t getRm(const struct vector *v) {
  if (v->form->rm == RM_REG) return getReg(v, v->rm, v->form->size);
  return readBefore(v, v->ea, v->form->size / 8);
}

void setRm(struct vector *v, uint64_t value) {
  int bytes = v->form->size / 8;
  if (v->form->rm == RM_REG) putReg(v, v->rm, v->form->size, value);
  else if (insideData(v->ea, (uint32_t)bytes) && v->ea + (uint64_t)bytes <= DATA + WRITABLE_BYTES)
    setMemory(v, (uint32_t)v->ea, &value, (uint32_t)bytes);
}

void forgetWrites(struct vector *v) {
  if (!v->trap.taken) return;
  restoreMemory();
  for (int i = 0; i < v->patches; i++)
    memcpy((void *)(uintptr_t)v->patch[i].address, v->patch[i].bytes, v->patch[i].length);
}

uint32_t stackLinear(const struct vector *v) {
  uint32_t sp = (uint32_t)v->before.gpr[RSP];
  return (v->form->mode == 16 ? sp & 0xffff : sp) + linearOf(v->form->mode, SS);
}

static void runForm(const struct form *f) {
  static struct vector v;
  beginForm(f);
  int count = f->count * scale / 100;
  for (int i = 0; i < (count ? count : 1); i++) {
    for (int attempt = 0;; attempt++) {
      if (attempt == 200) {
        fprintf(stderr, "%s: no useful operands\n", f->name);
        exit(1);
      }
      memset(&v, 0, offsetof(struct vector, patch));
      v.form = f;
      v.index = i;
      v.patches = v.ignores = 0;
      v.skip = false;
      seedDraws(f->seed ^ ((uint32_t)i << 12) ^ (uint32_t)attempt * 0x9e3779b1u);
      seedState(&v.seeded, f, i);
      chooseSelectors(&v.seeded, f->mode);
      v.before = v.seeded;
      encode(&v);
      if (!v.skip && f->prepare) f->prepare(&v);
      if (v.skip) continue;
      execute(&v);
      if (f->finish) f->finish(&v);
      if (!v.skip) break;
      restoreMemory();
    }
    writeVector(&v);
    restoreMemory();
  }
}

void runForms(const char *directory, const char *group) {
  openFile(directory, group);
  for (int i = 0; i < formCount; i++) {
    char name[96];
    snprintf(name, sizeof name, "%d %s", all[i].mode, all[i].name);
    all[i].seed = hashName(name);
    for (int j = 0; j < i; j++)
      if (all[j].seed == all[i].seed) fprintf(stderr, "two forms called %s\n", name);
    runForm(&all[i]);
  }
  closeFile();
  formCount = 0;
}
