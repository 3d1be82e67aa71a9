/* MMX, its SSE and SSSE3 additions: registers that alias the x87 stack. */
#include "forms.h"
#include <stdio.h>
#include <string.h>

/* A store that faults may have set TOP to 0 already. */
static void keepTop(struct vector *v) {
  if (v->trap.taken) memcpy(v->after.fx, v->before.fx, 5);
}

static struct form *add(const char *name, const char *encoding, uint32_t options, int access, bool reg, bool mem, int size) {
  struct form *f = NULL;
  for (int memory = 0; memory < 2; memory++) {
    if (memory ? !mem : !reg) continue;
    char text[64];
    snprintf(text, sizeof text, "%s %s", name, memory ? "mem" : "reg");
    f = addForm(64, text, encoding, size, memory ? RM_MEM : RM_REG);
    f->options = options | (memory ? OPT_ANY_TARGET : 0);
    f->access = access;
    f->profile = PACKED;
    f->area = AREA_PACKED;
    f->finish = keepTop;
    f->count = memory ? 10 : 20;
  }
  return f;
}

static void maskedStore(struct vector *v) { v->before.gpr[RDI] = DATA + below(2 * PAGE - 16); }

void mmxForms(void) {
  const uint32_t MM = OPT_MMX_REG | OPT_MMX_RM;
  static const uint8_t OPCODES[] = {
      0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x74, 0x75, 0x76, 0xd1, 0xd2, 0xd3,
      0xd4, 0xd5, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe8, 0xe9,
      0xea, 0xeb, 0xec, 0xed, 0xee, 0xef, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd,
      0xfe};
  char text[32], bytes[32];
  for (unsigned i = 0; i < sizeof OPCODES; i++) {
    snprintf(text, sizeof text, "mmx 0f %02x", OPCODES[i]);
    snprintf(bytes, sizeof bytes, "0f %02x /r", OPCODES[i]);
    int access = OPCODES[i] >= 0x60 && OPCODES[i] <= 0x62 ? 4 : 8;
    add(text, bytes, MM, access, true, true, 0);
  }
  static const uint8_t THREE_BYTE[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
                                       0x08, 0x09, 0x0a, 0x0b, 0x1c, 0x1d, 0x1e};
  for (unsigned i = 0; i < sizeof THREE_BYTE; i++) {
    snprintf(text, sizeof text, "mmx 0f 38 %02x", THREE_BYTE[i]);
    snprintf(bytes, sizeof bytes, "0f 38 %02x /r", THREE_BYTE[i]);
    add(text, bytes, MM, 8, true, true, 0);
  }
  add("mmx palignr", "0f 3a 0f /r ib", MM, 8, true, true, 0);
  add("mmx pshufw", "0f 70 /r ib", MM, 8, true, true, 0);
  add("mmx pinsrw", "0f c4 /r ib", OPT_MMX_REG, 2, true, true, 0);
  add("mmx pextrw", "0f c5 /r ib", OPT_MMX_RM, 2, true, false, 0);
  add("mmx pmovmskb", "0f d7 /r", OPT_MMX_RM, 8, true, false, 0);
  add("mmx movd P,Ed", "0f 6e /r", OPT_MMX_REG, 4, true, true, 32);
  add("mmx movq P,Eq", "0f 6e /r", OPT_MMX_REG, 8, true, true, 64);
  add("mmx movd Ed,P", "0f 7e /r", OPT_MMX_REG | OPT_WRITES, 4, true, true, 32);
  add("mmx movq Eq,P", "0f 7e /r", OPT_MMX_REG | OPT_WRITES, 8, true, true, 64);
  add("mmx movq P,Q", "0f 6f /r", MM, 8, true, true, 0);
  add("mmx movq Q,P", "0f 7f /r", MM | OPT_WRITES, 8, true, true, 0);
  add("mmx movntq", "0f e7 /r", MM | OPT_WRITES, 8, false, true, 0);
  static const char *SHIFTS[][2] = {{"psrlw", "71 /2"}, {"psraw", "71 /4"}, {"psllw", "71 /6"}, {"psrld", "72 /2"},
                                    {"psrad", "72 /4"}, {"pslld", "72 /6"}, {"psrlq", "73 /2"}, {"psllq", "73 /6"}};
  for (int i = 0; i < 8; i++) {
    snprintf(text, sizeof text, "mmx %s Ib", SHIFTS[i][0]);
    snprintf(bytes, sizeof bytes, "0f %s ib", SHIFTS[i][1]);
    add(text, bytes, OPT_MMX_RM, 8, true, false, 0);
  }
  add("mmx maskmovq", "0f f7 /r", MM, 8, true, false, 0)->prepare = maskedStore;
  struct form *emms = addForm(64, "emms", "0f 77", 0, NO_RM);
  emms->profile = PACKED;
  emms->count = 20;
}
