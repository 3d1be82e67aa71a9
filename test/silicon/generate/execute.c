/*
 * Runs one instruction on the CPU at hand and records what it did.
 *
 * A breakpoint enters the signal handler, which puts the start state with TF set into the signal frame and returns into
 * it: the instruction runs alone and the next signal (single step, or the fault it took) finds the outcome in its frame.
 * The same way serves 64-bit code, 32-bit code and 16-bit code: only CS and SS in the frame differ (LDT descriptors).
 */
#define _GNU_SOURCE
#include "vector.h"
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define STEPS 4096 /* iterations of a repeated string instruction */

static const int GREG[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                             REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
uint8_t *dataPattern, *stackPattern;

static struct vector *current;
static bool running;
static int steps;
static gregset_t hostRegisters;
static uint8_t hostFx[512];
static unsigned long hostFsBase;

static uint64_t pack(const struct state *s) {
  return s->selector[CS] | (uint64_t)s->selector[SS] << 48;
}

/* LDT selectors: see ../FORMAT.md. In 64-bit mode CS and SS are the kernel's, the others are null. */
void chooseSelectors(struct state *s, int mode) {
  static const uint16_t SELECTORS[3][SEGMENTS] = {
      {0x27, 0x1f, 0x2f, 0x27, 0x37, 0x3f}, /* 16: es cs ss ds fs gs */
      {0x17, 0x0f, 0x17, 0x17, 0x37, 0x3f}, /* 32 */
      {0, 0x33, 0x2b, 0, 0, 0},
  };
  memcpy(s->selector, SELECTORS[mode / 32], sizeof s->selector);
}

static void loadDataSegments(const uint16_t *selector) {
  __asm__ volatile("mov %0, %%es\n mov %1, %%ds\n mov %2, %%fs\n mov %3, %%gs" ::"r"((uint32_t)selector[ES]),
                   "r"((uint32_t)selector[DS]), "r"((uint32_t)selector[FS]), "r"((uint32_t)selector[GS]));
}

static void saveDataSegments(uint16_t *selector) {
  __asm__ volatile("mov %%es, %0\n mov %%ds, %1\n mov %%fs, %2\n mov %%gs, %3"
                   : "=m"(selector[ES]), "=m"(selector[DS]), "=m"(selector[FS]), "=m"(selector[GS]));
}

static void prctl(int what, unsigned long base) {
  unsigned long result;
  __asm__ volatile("syscall" : "=a"(result) : "0"(SYS_arch_prctl), "D"(what), "S"(base) : "rcx", "r11", "memory");
}

/* FXSAVE keeps ST0 first; a `struct state` keeps R0 first. */
static void turnStack(uint8_t *to, const uint8_t *from, int by) {
  for (int i = 0; i < 8; i++) memcpy(to + 32 + 16 * ((i + by) & 7), from + 32 + 16 * i, 16);
}

static int topOf(const uint8_t *fx) { return fx[3] >> 3 & 7; }

/* XSTATE_BV behind the FXSAVE image of a signal frame: components that are not in their initial configuration. */
static uint64_t *stateBits(uint8_t *fx) { return (uint64_t *)(fx + 512); }

static uint64_t inUse(const uint8_t *fx) {
  uint8_t initial[24] = {0x7f, 3};
  uint64_t bits = memcmp(fx, initial, sizeof initial) == 0 ? 0 : 1;
  for (int i = 0; i < 128; i++)
    if (fx[32 + i] && i % 16 < 10) bits |= 1;
  for (int i = 0; i < 256; i++)
    if (fx[160 + i]) bits |= 2;
  return bits;
}

static void enter(ucontext_t *context, struct vector *v) {
  greg_t *g = context->uc_mcontext.gregs;
  uint8_t *fx = (uint8_t *)context->uc_mcontext.fpregs;
  memcpy(hostRegisters, g, sizeof hostRegisters);
  memcpy(hostFx, fx, 416);
  const struct state *s = &v->before;
  for (int i = 0; i < 16; i++) g[GREG[i]] = (greg_t)s->gpr[i];
  g[REG_RIP] = (greg_t)s->rip;
  g[REG_EFL] = s->flags | TF;
  g[REG_CSGSFS] = (greg_t)pack(s);
  memcpy(fx, s->fx, 416);
  turnStack(fx, s->fx, -topOf(s->fx));
  *stateBits(fx) = (*stateBits(fx) & ~(uint64_t)3) | inUse(fx);
  context->uc_flags |= 6; /* UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS */
  if (v->form->mode != 64 || v->form->options & OPT_SEG_REG) loadDataSegments(s->selector);
  if (v->form->mode == 64) prctl(ARCH_SET_GS, GS_BASE); /* loading a null selector cleared it */
}

static void leave(ucontext_t *context, struct vector *v) {
  greg_t *g = context->uc_mcontext.gregs;
  uint8_t *fx = (uint8_t *)context->uc_mcontext.fpregs;
  struct state *s = &v->after;
  for (int i = 0; i < 16; i++) s->gpr[i] = (uint64_t)g[GREG[i]];
  s->rip = (uint64_t)g[REG_RIP];
  s->flags = (uint32_t)g[REG_EFL] & ~(uint32_t)(TF | RF);
  memcpy(s->fx, fx, 416);
  turnStack(s->fx, fx, topOf(fx));
  memcpy(s->selector, v->before.selector, sizeof s->selector);
  s->selector[CS] = (uint16_t)g[REG_CSGSFS];
  s->selector[SS] = (uint16_t)((uint64_t)g[REG_CSGSFS] >> 48);
  if (v->form->mode != 64 || v->form->options & OPT_SEG_REG) {
    static const uint16_t NULLS[SEGMENTS];
    saveDataSegments(s->selector);
    loadDataSegments(NULLS);
    prctl(ARCH_SET_FS, hostFsBase);
    prctl(ARCH_SET_GS, GS_BASE);
  }
  if (v->form->mode != 64) {
    for (int i = 0; i < 8; i++) s->gpr[i] &= 0xffffffffu;
    for (int i = 8; i < 16; i++) s->gpr[i] = 0;
  }
  memcpy(g, hostRegisters, sizeof hostRegisters);
  memcpy(fx, hostFx, 416);
  *stateBits(fx) |= 3;
}

static void onSignal(int signal, siginfo_t *info, void *frame) {
  /* the kernel leaves AC, NT and ID of the interrupted code in force */
  __asm__ volatile("pushfq\n andl $~0x244000, (%%rsp)\n popfq" ::: "cc", "memory");
  (void)info;
  ucontext_t *context = frame;
  greg_t *g = context->uc_mcontext.gregs;
  if (!running) {
    if (signal != SIGTRAP) { /* a fault of the generator itself */
      signal = 0;
      abort();
    }
    running = true;
    steps = 0;
    enter(context, current);
    /* sigreturn restores neither NT nor ID: they are those of the handler */
    __asm__ volatile("pushfq\n orl %0, (%%rsp)\n popfq" ::"r"(current->before.flags & (NT | ID)) : "cc", "memory");
    return;
  }
  struct vector *v = current;
  uint8_t vector = (uint8_t)g[REG_TRAPNO];
  bool stepped = signal == SIGTRAP && vector == 1;
  if (stepped && (v->form->options & OPT_REP) && (uint64_t)g[REG_RIP] == v->before.rip && ++steps < STEPS) {
    g[REG_EFL] |= TF;
    __asm__ volatile("pushfq\n orl %0, (%%rsp)\n popfq" ::"r"((uint32_t)g[REG_EFL] & (NT | ID)) : "cc", "memory");
    return;
  }
  v->trap.taken = !stepped;
  v->trap.vector = stepped ? 0 : vector;
  v->trap.error = stepped ? 0 : (uint16_t)g[REG_ERR];
  v->trap.cr2 = !stepped && vector == 14 ? (uint64_t)g[REG_CR2] : 0;
  leave(context, v);
  running = false;
}

static void *map(uint32_t address, uint32_t bytes, int protection) {
  void *at = mmap((void *)(uintptr_t)address, bytes, protection,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0);
  if (at == MAP_FAILED) {
    perror("mmap");
    exit(1);
  }
  return at;
}

/* Entries 11, 14 and 15 stay empty: their selectors stand for descriptors that are not there. */
const struct segment LDT[SEGMENT_COUNT] = {
    [1] = {0, 0xffffffff, SEGMENT_CODE, .wide = true}, /* 0f: 32-bit code, flat */
    [2] = {0, 0xffffffff, SEGMENT_DATA, .wide = true}, /* 17: 32-bit data, flat */
    [3] = {CODE, 0xffff, SEGMENT_CODE}, /* 1f: 16-bit code */
    [4] = {DATA16, 0xffff, SEGMENT_DATA}, /* 27: 16-bit data */
    [5] = {STACK16, 0xffff, SEGMENT_DATA}, /* 2f: 16-bit stack */
    [6] = {DATA - 0x1000, 0x1fff, SEGMENT_DATA, .wide = true}, /* 37: data with a limit inside the window */
    [7] = {DATA - 0x10000, 0x107ff, SEGMENT_DOWN, .wide = true}, /* 3f: expand-down: valid above 0x107ff */
    [8] = {DATA, 0xfff, SEGMENT_DATA, .wide = true, .readOnly = true}, /* 47: read-only data */
    [9] = {CODE, 0xfffff, SEGMENT_CODE, .wide = true, .readOnly = true}, /* 4f: execute-only code */
    [10] = {DATA, 0xfff, SEGMENT_DATA, .wide = true, .absent = true}, /* 57: data, not present */
    [12] = {CODE, 0xbff, SEGMENT_CODE, .wide = true}, /* 67: 32-bit code, its end inside the window */
    [13] = {CODE, 0xbff, SEGMENT_CODE}, /* 6f: 16-bit code, its end inside the window */
    [16] = {STACK - 0x10000, 0x107ff, SEGMENT_DOWN, .wide = true}, /* 87: expand-down 32-bit stack */
    [17] = {STACK16, 0x87ff, SEGMENT_DOWN}, /* 8f: expand-down 16-bit stack, up to ffff */
    [18] = {DATA16, 0x47ff, SEGMENT_DOWN}, /* 97: expand-down 16-bit data */
    [19] = {STACK16, 0x8bff, SEGMENT_DATA}, /* 9f: 16-bit stack, its end inside the window */
    [20] = {STACK - 0x800, 0x13ff, SEGMENT_DATA, .wide = true}, /* a7: 32-bit stack, its end inside the window */
    [21] = {DATA + 0x80, 0xffffffff, SEGMENT_DATA, .wide = true}, /* af: 4 GiB from a base */
};

static void describe(int entry) {
  static const int CONTENTS[] = {[SEGMENT_DATA] = 0, [SEGMENT_DOWN] = 1, [SEGMENT_CODE] = 2};
  const struct segment *s = &LDT[entry];
  if (s->kind == SEGMENT_NONE) return;
  bool pages = s->limit > 0xfffff;
  struct user_desc d = {.entry_number = (unsigned)entry, .base_addr = s->base, .limit = pages ? s->limit >> 12 : s->limit,
                        .seg_32bit = s->wide, .contents = (unsigned)CONTENTS[s->kind], .read_exec_only = s->readOnly,
                        .limit_in_pages = pages, .seg_not_present = s->absent};
  if (syscall(SYS_modify_ldt, 0x11, &d, sizeof d) != 0) {
    perror("modify_ldt");
    exit(1);
  }
}

void setUpMachine(void) {
  memset(map(CODE, CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC), 0xcc, CODE_BYTES);
  map(DATA, DATA_BYTES, PROT_READ | PROT_WRITE);
  map(STACK, PAGE, PROT_READ | PROT_WRITE);
  dataPattern = malloc(DATA_BYTES);
  stackPattern = malloc(PAGE);
  fillWindows(dataPattern, stackPattern);
  memcpy((void *)(uintptr_t)DATA, dataPattern, DATA_BYTES);
  memcpy((void *)(uintptr_t)STACK, stackPattern, PAGE);
  mprotect((void *)(uintptr_t)(DATA + WRITABLE_BYTES), PAGE, PROT_READ);

  for (int entry = 0; entry < SEGMENT_COUNT; entry++) describe(entry);

  stack_t alternate = {.ss_size = 65536};
  alternate.ss_sp = malloc(alternate.ss_size);
  sigaltstack(&alternate, NULL);
  struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  action.sa_sigaction = onSignal;
  static const int SIGNALS[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
  for (unsigned i = 0; i < sizeof SIGNALS / sizeof *SIGNALS; i++) sigaction(SIGNALS[i], &action, NULL);
  syscall(SYS_arch_prctl, ARCH_GET_FS, &hostFsBase);
  prctl(ARCH_SET_GS, GS_BASE);
}

void setMemory(struct vector *v, uint32_t address, const void *bytes, uint32_t length) {
  struct patch *p = &v->patch[v->patches++];
  p->address = address;
  p->length = length;
  memcpy(p->bytes, bytes, length);
}

void ignoreMemory(struct vector *v, uint32_t address, uint32_t length) {
  v->ignored[v->ignores].address = address;
  v->ignored[v->ignores++].length = length;
}

void restoreMemory(void) {
  memcpy((void *)(uintptr_t)DATA, dataPattern, WRITABLE_BYTES);
  memcpy((void *)(uintptr_t)STACK, stackPattern, PAGE);
}

static uint32_t codeBase(const struct state *s) {
  return s->selector[CS] & 4 ? LDT[s->selector[CS] >> 3].base : 0;
}

void execute(struct vector *v) {
  for (int i = 0; i < v->patches; i++)
    memcpy((void *)(uintptr_t)v->patch[i].address, v->patch[i].bytes, v->patch[i].length);
  uint8_t *code = (uint8_t *)(uintptr_t)(v->before.rip + codeBase(&v->before));
  memcpy(code, v->bytes, (size_t)v->length);
  current = v;
  __asm__ volatile("int3" ::: "memory");
  memset(code, 0xcc, (size_t)v->length);
}
