#define _GNU_SOURCE
#include "explain.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Names the program that executes a script or loads a program, as its file says; 0 for neither. */
static int find_interpreter(const char *path, char *name, size_t room, int *is_foreign) {
  unsigned char head[4096] = {0};
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ssize_t bytes = fd < 0 ? -1 : read(fd, head, sizeof head - 1);
  if (fd >= 0) close(fd);
  *is_foreign = 0;
  *name = 0;
  if (bytes > 2 && head[0] == '#' && head[1] == '!') {
    const char *at = (char *)head + 2;
    at += strspn(at, " \t");
    size_t length = strcspn(at, " \t\n");
    if (length >= room) length = room - 1;
    memcpy(name, at, length);
    name[length] = 0;
    return 1;
  }
  if (bytes < (ssize_t)sizeof(Elf64_Ehdr) || memcmp(head, ELFMAG, SELFMAG) != 0) return 0;
  const Elf64_Ehdr *elf = (const void *)head;
#ifdef __x86_64__
  *is_foreign = elf->e_machine != EM_X86_64 && elf->e_machine != EM_386;
#else
  *is_foreign = elf->e_machine != EM_AARCH64 && elf->e_machine != EM_ARM;
#endif
  if (head[EI_CLASS] != ELFCLASS64) return 0;
  for (int at = 0; at < elf->e_phnum; at++) {
    size_t offset = elf->e_phoff + (size_t)at * sizeof(Elf64_Phdr);
    if (offset > sizeof head - sizeof(Elf64_Phdr)) break;
    Elf64_Phdr part;
    memcpy(&part, head + offset, sizeof part);
    if (part.p_type != PT_INTERP || part.p_offset >= sizeof head) continue;
    strncpy(name, (char *)head + part.p_offset, room - 1);
    name[room - 1] = 0;
    return 1;
  }
  return 0;
}

int is_elf(const char *path) {
  char head[SELFMAG] = {0};
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ssize_t bytes = read(fd, head, sizeof head);
  if (fd >= 0) close(fd);
  return bytes == sizeof head && memcmp(head, ELFMAG, SELFMAG) == 0;
}

int explain_exec(const char *path, const char *name, int error, struct text *why) {
  char interpreter[256];
  int is_foreign, has_interpreter = find_interpreter(path, interpreter, sizeof interpreter, &is_foreign);
  size_t length = strlen(interpreter);
  add(why, "cannot execute ");
  add(why, name);
  if (error == ENOENT && has_interpreter) {
    int is_crlf = length > 0 && interpreter[length - 1] == '\r';
    if (is_crlf) interpreter[length - 1] = 0;
    add(why, ": its interpreter ");
    add(why, interpreter);
    add(why, is_crlf ? " is followed by a carriage return: save it with Unix line ends" : " does not exist in the guest");
  } else if (is_foreign) {
    add(why, ": it is a program for another processor");
  } else if (error == ENOEXEC) {
    add(why, ": it is neither a program nor a script");
  } else if (error == EACCES) {
    add(why, ": its user may not execute it, or not its interpreter");
  } else if (error == E2BIG) {
    add(why, ": its arguments and variables are too long");
  } else {
    add(why, ": ");
    add(why, strerror(error));
  }
  return error == ENOENT ? NOT_FOUND : CANNOT_RUN;
}
