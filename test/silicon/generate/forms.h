/* What the form lists share: adding forms, and the hooks that set operands. */
#ifndef FORMS_H
#define FORMS_H
#include "vector.h"

#define BIT(reg) (1u << (reg))
#define UNDEFINED_LOGIC AF
/* Formats an operand size letter into `text`. */
#define NAMED(format) (snprintf(text, sizeof text, format, s), text)
#define ALL_FLAGS ARITHMETIC

extern const char SUFFIX[65]; /* operand size in bits -> b w d q */

/* Adds `name` for one operand size as register form, memory form and, where asked for, LOCKed memory form. */
struct rm_forms {
  struct form *reg, *mem, *lock;
};
struct rm_forms addRm(int mode, const char *name, const char *encoding, int size, uint32_t options, uint16_t undefined,
                      bool lockable);
/* Calls `each` for 8 (if wanted), 16, 32 and, in 64-bit mode, 64 bits. */
void forSizes(int mode, int smallest, void (*each)(int mode, int size));
void setRm(struct vector *v, uint64_t value); /* register or memory operand */
uint64_t maskOf(int size);
uint64_t getRm(const struct vector *v); /* value before, of the operand's size */
uint64_t getReg(const struct vector *v, int reg, int size);
void putReg(struct vector *v, int reg, int size, uint64_t value);
uint64_t readBefore(const struct vector *v, uint64_t linear, int bytes);
/* A faulting instruction may have written a part of what it was to write; nothing of that is promised. */
void forgetWrites(struct vector *v);
bool insideData(uint64_t linear, uint32_t bytes); /* mapped, whether writable or not */
bool isWritable(uint64_t linear, uint32_t bytes);
uint32_t stackLinear(const struct vector *v); /* of the top of the stack; 64-bit: its low half */
#endif
