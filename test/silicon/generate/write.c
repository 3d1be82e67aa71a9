/* Writes a group of vectors as one file: header, then one record per vector, holding what differs. See ../FORMAT.md. */
#include "vector.h"
#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  ITEM_END, ITEM_RIP, ITEM_FLAGS16, ITEM_FLAGS32, ITEM_UNDEFINED, ITEM_TRAP, ITEM_CR2, ITEM_CR2_64, ITEM_MEMORY,
  ITEM_MXCSR, ITEM_FCW, ITEM_FSW, ITEM_FTW, ITEM_SEGMENT, ITEM_IGNORED,
  ITEM_XMM = 0x10, ITEM_XMM_LOW8 = 0x20, ITEM_XMM_LOW4 = 0x30, ITEM_GPR = 0x40, ITEM_ST = 0x80
};

static FILE *file;
static char *header;
static size_t headerLength, headerRoom;
static uint8_t *body;
static size_t bodyLength, bodyRoom;
static char path[512];
static int formsInFile;

static void put(const void *from, size_t length) {
  if (bodyLength + length > bodyRoom) {
    bodyRoom = bodyRoom * 2 + length + 4096;
    body = realloc(body, bodyRoom);
  }
  memcpy(body + bodyLength, from, length);
  bodyLength += length;
}
static void put8(uint32_t x) { put(&(uint8_t){(uint8_t)x}, 1); }
static void put16(uint32_t x) { put(&(uint16_t){(uint16_t)x}, 2); }
static void put32(uint32_t x) { put(&x, 4); }
static void put64(uint64_t x) { put(&x, 8); }

static void text(const char *line) {
  size_t length = strlen(line);
  if (headerLength + length + 1 > headerRoom) {
    headerRoom = headerRoom * 2 + length + 4096;
    header = realloc(header, headerRoom);
  }
  memcpy(header + headerLength, line, length + 1);
  headerLength += length;
}

static void cpuName(char *name) {
  unsigned *words = (unsigned *)name;
  for (unsigned i = 0; i < 3; i++)
    __get_cpuid(0x80000002 + i, words + 4 * i, words + 4 * i + 1, words + 4 * i + 2, words + 4 * i + 3);
  name[48] = 0;
  for (size_t n = strlen(name); n && name[n - 1] == ' '; n--) name[n - 1] = 0;
}

void openFile(const char *directory, const char *name) {
  char cpu[49] __attribute__((aligned(4))), line[256];
  unsigned eax = 0, rest;
  cpuName(cpu);
  __get_cpuid(1, &eax, &rest, &rest, &rest);
  snprintf(path, sizeof path, "%s/%s.bin", directory, name);
  headerLength = bodyLength = 0;
  formsInFile = 0;
  snprintf(line, sizeof line, "{\"format\":1,\"cpu\":\"%s\",\"signature\":\"%08x\",\"forms\":[", cpu, eax);
  text(line);
}

static size_t countAt;

void beginForm(const struct form *f) {
  static const char *PROFILES[] = {"integer", "float32", "float64", "packed", "x87"};
  char line[512];
  snprintf(line, sizeof line, "%s\n{\"name\":\"%s\",\"mode\":%d,\"profile\":\"%s\",\"undefined\":%u,\"undefinedStatus\":%u,\"repeats\":%s%s%s%s,\"count\":",
           formsInFile++ ? "," : "", f->name, f->mode, PROFILES[f->profile], f->undefined, f->undefinedStatus,
           f->options & OPT_REP ? "true" : "false", f->tolerance ? ",\"tolerance\":\"" : "",
           f->tolerance ? f->tolerance : "", f->tolerance ? "\"" : "");
  text(line);
  snprintf(line, sizeof line, "%05d}", 0);
  countAt = headerLength;
  text(line);
}

static void putGpr(int reg, uint64_t value, int mode) {
  int64_t x = mode == 64 ? (int64_t)value : (int32_t)value;
  int size = x == (int8_t)x ? 0 : x == (int16_t)x ? 1 : x == (int32_t)x ? 2 : 3;
  put8((uint32_t)(ITEM_GPR | size << 4 | reg));
  put(&x, (size_t)1 << size);
}

static void putFlags(uint32_t flags) {
  put8(flags > 0xffff ? ITEM_FLAGS32 : ITEM_FLAGS16);
  if (flags > 0xffff) put32(flags);
  else put16(flags);
}

static void putFx(const uint8_t *from, const uint8_t *to) {
  if (memcmp(from, to, 2)) put8(ITEM_FCW), put(to, 2);
  if (memcmp(from + 2, to + 2, 2)) put8(ITEM_FSW), put(to + 2, 2);
  if (from[4] != to[4]) put8(ITEM_FTW), put(to + 4, 1);
  if (memcmp(from + 24, to + 24, 4)) put8(ITEM_MXCSR), put(to + 24, 2);
  for (uint32_t i = 0; i < 8; i++)
    if (memcmp(from + 32 + 16 * i, to + 32 + 16 * i, 10)) put8(ITEM_ST + i), put(to + 32 + 16 * i, 10);
  for (uint32_t i = 0; i < 16; i++) {
    const uint8_t *a = from + 160 + 16 * i, *b = to + 160 + 16 * i;
    if (memcmp(a + 8, b + 8, 8)) put8(ITEM_XMM + i), put(b, 16);
    else if (memcmp(a + 4, b + 4, 4)) put8(ITEM_XMM_LOW8 + i), put(b, 8);
    else if (memcmp(a, b, 4)) put8(ITEM_XMM_LOW4 + i), put(b, 4);
  }
}

static void putMemory(uint32_t address, const uint8_t *bytes, uint32_t length) {
  while (length) {
    uint32_t part = length > 255 ? 255 : length;
    put8(ITEM_MEMORY);
    put32(address);
    put8(part);
    put(bytes, part);
    address += part;
    bytes += part;
    length -= part;
  }
}

/* Changed runs of a window; gaps of up to five equal bytes are cheaper to store than to skip. */
static void putWindow(const struct vector *v, uint32_t base, const uint8_t *pattern, uint32_t bytes) {
  static uint8_t was[2 * PAGE], now[2 * PAGE];
  memcpy(now, (const void *)(uintptr_t)base, bytes);
  memcpy(was, pattern, bytes);
  for (int i = 0; i < v->patches; i++)
    if (v->patch[i].address >= base && v->patch[i].address < base + bytes)
      memcpy(was + (v->patch[i].address - base), v->patch[i].bytes, v->patch[i].length);
  for (int i = 0; i < v->ignores; i++)
    if (v->ignored[i].address >= base && v->ignored[i].address < base + bytes) {
      uint32_t at = v->ignored[i].address - base;
      memcpy(now + at, was + at, v->ignored[i].length);
    }
  if (memcmp(was, now, bytes) == 0) return;
  for (uint32_t i = 0; i < bytes; i++) {
    if (was[i] == now[i]) continue;
    uint32_t last = i;
    for (uint32_t j = i + 1; j < bytes && j <= last + 6; j++)
      if (was[j] != now[j]) last = j;
    putMemory(base + i, now + i, last - i + 1);
    i = last;
  }
}

void writeVector(const struct vector *v) {
  int mode = v->form->mode;
  put8((uint32_t)v->length);
  put(v->bytes, (size_t)v->length);

  if (v->before.rip != v->seeded.rip) put8(ITEM_RIP), put32((uint32_t)v->before.rip);
  if (v->before.flags != v->seeded.flags) putFlags(v->before.flags);
  for (int i = 0; i < 16; i++)
    if (v->before.gpr[i] != v->seeded.gpr[i]) putGpr(i, v->before.gpr[i], mode);
  for (uint32_t i = 0; i < SEGMENTS; i++)
    if (v->before.selector[i] != v->seeded.selector[i]) put8(ITEM_SEGMENT), put8(i), put16(v->before.selector[i]);
  putFx(v->seeded.fx, v->before.fx);
  for (int i = 0; i < v->patches; i++) putMemory(v->patch[i].address, v->patch[i].bytes, v->patch[i].length);
  put8(ITEM_END);

  uint32_t undefined = v->undefined;
  uint64_t fallThrough = v->before.rip + (v->trap.taken ? 0 : (uint64_t)v->length);
  if (v->after.rip != fallThrough) put8(ITEM_RIP), put32((uint32_t)v->after.rip);
  uint32_t flags = (v->after.flags & ~undefined) | (v->before.flags & undefined);
  if (flags != v->before.flags) putFlags(flags);
  if (undefined != v->form->undefined) put8(ITEM_UNDEFINED), put16(undefined);
  if (v->trap.taken) {
    put8(ITEM_TRAP), put8(v->trap.vector), put16(v->trap.error);
    if (v->trap.vector == 14) {
      if (v->trap.cr2 >> 32) put8(ITEM_CR2_64), put64(v->trap.cr2);
      else put8(ITEM_CR2), put32((uint32_t)v->trap.cr2);
    }
  }
  for (int i = 0; i < 16; i++)
    if (v->after.gpr[i] != v->before.gpr[i]) putGpr(i, v->after.gpr[i] ^ v->before.gpr[i], mode);
  for (uint32_t i = 0; i < SEGMENTS; i++)
    if (v->after.selector[i] != v->before.selector[i]) put8(ITEM_SEGMENT), put8(i), put16(v->after.selector[i]);
  if (v->form->profile != INTEGER || memcmp(v->before.fx, v->after.fx, 5)) putFx(v->before.fx, v->after.fx);
  for (int i = 0; i < v->ignores; i++)
    put8(ITEM_IGNORED), put32(v->ignored[i].address), put8(v->ignored[i].length);
  putWindow(v, DATA, dataPattern, WRITABLE_BYTES);
  putWindow(v, STACK, stackPattern, PAGE);
  put8(ITEM_END);

  int count = atoi(header + countAt) + 1;
  char digits[16];
  snprintf(digits, sizeof digits, "%05d", count);
  memcpy(header + countAt, digits, 5);
}

void closeFile(void) {
  text("\n]}\n");
  /* JSON has no leading zeros: turn them into spaces */
  for (char *p = header; (p = strstr(p, "\"count\":")) != NULL;) {
    p += 8;
    while (*p == '0' && p[1] >= '0' && p[1] <= '9') *p++ = ' ';
  }
  file = fopen(path, "wb");
  if (!file) {
    perror(path);
    exit(1);
  }
  uint32_t length = (uint32_t)headerLength;
  fwrite("X2SV", 1, 4, file);
  fwrite(&length, 4, 1, file);
  fwrite(header, 1, headerLength, file);
  fwrite(body, 1, bodyLength, file);
  fclose(file);
  printf("%s: %d forms, %zu bytes\n", path, formsInFile, headerLength + bodyLength);
}
