/*
 * Writes the vector files: `generate DIRECTORY [GROUP] [--scale PERCENT] [--again LABEL]`.
 *
 * A label becomes part of every form's name, and so of its seed: the same forms with other operands.
 *
 * Needs Linux on x86-64 with modify_ldt; see build.sh. The same CPU gives the same files.
 */
#include "vector.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void integer64(void) { integerForms(64), shiftForms(64); }
static void integer32(void) { integerForms(32), shiftForms(32); }
static void integer16(void) { integerForms(16), shiftForms(16); }

static void system64(void) { stackForms(64), stringForms(64), legacyForms(64), faultForms(64); }
static void system32(void) { stackForms(32), stringForms(32), legacyForms(32), faultForms(32); }
static void system16(void) { stackForms(16), stringForms(16), legacyForms(16), faultForms(16); }

static void x87In64(void) { x87Forms(64); }
static void x87In32(void) { x87Forms(32), saveForms(32); }
static void x87In16(void) { x87Forms(16), saveForms(16); }

static void random64(void) { randomForms(64); }
static void random32(void) { randomForms(32); }
static void random16(void) { randomForms(16); }

static const struct {
  const char *name;
  void (*add)(void);
} GROUPS[] = {
    {"integer64", integer64},
    {"integer32", integer32},
    {"integer16", integer16},
    {"system64", system64},
    {"system32", system32},
    {"system16", system16},
    {"sse64", sseForms},
    {"mmx64", mmxForms},
    {"x87", x87In64},
    {"x87-32", x87In32},
    {"x87-16", x87In16},
    {"xsave", xsaveForms},
    {"random64", random64},
    {"random32", random32},
    {"random16", random16},
};

int main(int argc, char **argv) {
  const char *directory = NULL, *group = NULL;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--scale") == 0 && i + 1 < argc) scale = atoi(argv[++i]);
    else if (strcmp(argv[i], "--again") == 0 && i + 1 < argc) label = argv[++i];
    else if (!directory) directory = argv[i];
    else group = argv[i];
  }
  if (!directory) {
    fprintf(stderr, "usage: generate DIRECTORY [GROUP] [--scale PERCENT] [--again LABEL]\n");
    return 2;
  }
  setUpMachine();
  for (unsigned i = 0; i < sizeof GROUPS / sizeof *GROUPS; i++) {
    if (group && strcmp(group, GROUPS[i].name) != 0) continue;
    GROUPS[i].add();
    runForms(directory, GROUPS[i].name);
  }
  return 0;
}
