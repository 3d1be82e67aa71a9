/*
 * Shared shapes of the vector generator: one machine state, one instruction form, one vector under construction.
 * ../FORMAT.md describes what ends up in the files.
 */
#ifndef VECTOR_H
#define VECTOR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };
enum { ES, CS, SS, DS, FS, GS, SEGMENTS };
enum { CF = 1, PF = 4, AF = 0x10, ZF = 0x40, SF = 0x80, TF = 0x100, IF = 0x200, DF = 0x400, OF = 0x800 };
enum { NT = 0x4000, RF = 0x10000, AC = 0x40000, ID = 0x200000 };
#define ARITHMETIC (CF | PF | AF | ZF | SF | OF)
#define COMPARED (ARITHMETIC | DF | NT | AC | ID) /* flags that a vector says something about */

/* Windows: fixed linear addresses below 64 MiB; every page between them is unmapped. */
#define CODE 0x00500000u /* two pages, RWX; code16 has its base here */
#define DATA 0x00600000u /* page 0: integers, RW; page 1: floating point, RW; page 2: read only */
#define STACK 0x00700000u /* one page, RW */
#define PAGE 4096u
#define CODE_BYTES (2 * PAGE)
#define DATA_BYTES (3 * PAGE)
#define WRITABLE_BYTES (2 * PAGE)
#define DEFAULT_RIP 0x800u /* offset in CODE */
#define GS_BASE 0x00580000u /* 64-bit mode: base of GS, outside every window */
#define DATA16 (DATA - 0x4000u) /* bases of the 16-bit segments */
#define STACK16 (STACK - 0x8000u)

struct state {
  uint64_t gpr[16];
  uint64_t rip; /* offset in CS */
  uint32_t flags;
  uint16_t selector[SEGMENTS];
  uint8_t fx[512]; /* FXSAVE image, but x87 registers in physical order: R0 first, not ST0 */
};

struct trap {
  bool taken;
  uint8_t vector;
  uint16_t error;
  uint64_t cr2;
};

enum profile { INTEGER, FLOAT32, FLOAT64, PACKED, X87 }; /* how the start state is drawn */
enum operand { NO_RM, RM_REG, RM_MEM };
enum area { AREA_INTEGER, AREA_F32, AREA_F64, AREA_F80, AREA_PACKED }; /* where memory operands lie */

struct vector;
typedef void prepare_fn(struct vector *);

struct form {
  char name[64];
  char encoding[48];
  int mode; /* 16, 32, 64 */
  int size; /* operand size in bits: 8, 16, 32, 64; 0: the encoding says everything */
  enum operand rm;
  bool lock;
  uint16_t undefined; /* flags that the manual leaves undefined */
  uint16_t undefinedStatus; /* and bits of the x87 status word */
  uint32_t options; /* OPT_* */
  uint16_t implicit; /* GPRs that are operands by name: never used for addressing */
  int access; /* bytes at the memory operand */
  enum profile profile;
  enum area area;
  const char *tolerance;
  prepare_fn *prepare; /* sets operands that need more than random values, and the flag mask */
  prepare_fn *finish; /* after the run: normalises what the method of recording disturbs */
  int count;
  uint32_t seed;
};
enum {
  OPT_DEFAULT64 = 1, /* no REX.W needed for 64 bits */
  OPT_WRITES = 2, /* memory operand is written */
  OPT_ALIGNED = 4, /* 16-byte operand must be aligned, else #GP */
  OPT_NO_REG_ADDRESS = 8, /* the /r register is not used for addressing */
  OPT_ADDRESS_ONLY = 16, /* memory operand is not accessed (LEA) */
  OPT_REP = 32,
  OPT_SAFE = 64, /* memory operand always mapped, never at an edge */
  OPT_XMM_REG = 256, /* /r is an XMM register (sixteen of them in 64-bit mode) */
  OPT_XMM_RM = 512,
  OPT_MMX_REG = 1024,
  OPT_MMX_RM = 2048,
  OPT_SEG_REG = 4096, /* /r is a segment register */
  OPT_NO_PREFIX = 8192, /* neither segment nor address size prefix */
  OPT_ANY_TARGET = 16384, /* address registers keep their random values now and then */
  OPT_NO_FAR_END = 65536, /* not at the end of the code window: the next instruction runs too */
  OPT_NO_66 = 131072, /* operand size is by the mode or by a mandatory prefix */
};

struct patch {
  uint32_t address;
  uint32_t length;
  uint8_t bytes[512];
};

struct vector {
  const struct form *form;
  int index;
  struct state seeded, before, after;
  struct trap trap;
  uint8_t bytes[24];
  int length;
  uint32_t undefined;
  int reg, rm; /* register numbers of the ModRM byte, REX included */
  bool rex;
  uint64_t ea; /* linear address of the memory operand */
  int64_t immediate;
  int immediateAt, immediateBytes;
  struct patch patch[4]; /* memory before, where it differs from the pattern */
  int patches;
  struct { uint32_t address, length; } ignored[16]; /* memory that the outcome says nothing about */
  int ignores;
  bool skip; /* not a useful vector: draw again */
};

/* random.c */
uint32_t draw(void);
uint32_t below(uint32_t n);
bool chance(uint32_t oneIn);
void seedDraws(uint32_t seed);
uint32_t hashName(const char *name);
uint32_t boundary32(void);
uint64_t boundary64(void);
void seedState(struct state *s, const struct form *f, int index);
void fillWindows(uint8_t *data, uint8_t *stack);

/* encode.c */
void encode(struct vector *v);
void setImmediate(struct vector *v, int64_t value);
extern const uint32_t segmentBase[3][SEGMENTS];
uint32_t linearOf(int mode, int segment);

/* execute.c */
/* One entry of the LDT; the selector is 8 * entry + 7. */
struct segment {
  uint32_t base, limit; /* limit in bytes; of an expand-down segment the last offset that is not valid */
  enum { SEGMENT_NONE, SEGMENT_DATA, SEGMENT_DOWN, SEGMENT_CODE } kind;
  bool wide, readOnly, absent;
};
#define SEGMENT_COUNT 22
extern const struct segment LDT[SEGMENT_COUNT];
void chooseSelectors(struct state *s, int mode);
void setUpMachine(void);
void execute(struct vector *v);
void setMemory(struct vector *v, uint32_t address, const void *bytes, uint32_t length);
void ignoreMemory(struct vector *v, uint32_t address, uint32_t length);
void restoreMemory(void);
extern uint8_t *dataPattern, *stackPattern;

/* write.c */
void openFile(const char *directory, const char *name);
void beginForm(const struct form *f);
void writeVector(const struct vector *v);
void closeFile(void);

/* forms.c: the list */
struct form *addForm(int mode, const char *name, const char *encoding, int size, enum operand rm);
void runForms(const char *directory, const char *group);
extern int scale; /* vectors per form, in percent */
extern const char *label; /* part of all names, so that the seeds are others */

void integerForms(int mode);
void shiftForms(int mode);
void stackForms(int mode);
void stringForms(int mode);
void legacyForms(int mode);
void faultForms(int mode);
void sseForms(void);
void mmxForms(void);
void x87Forms(int mode);
void saveForms(int mode);
void xsaveForms(void);
void randomForms(int mode);
#endif
