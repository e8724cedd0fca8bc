/*
 * Parts of the agent that need no guest, for tests on the host:
 *
 *   frames PIECE       reads frames from standard input, PIECE bytes at a time; prints `type session bytes sum` for each message
 *   user SPEC PASSWD GROUP   prints `uid:gid:groups… home`, or the reason
 *   hosts NAMES        prints the content of /etc/hosts for the names; the old one is standard input
 *   exec PATH          executes a program; prints the status and the reason where that fails
 *   fuzz SEED COUNT    sends COUNT changes of standard input through all of them
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../../../../src/vm/guest/agent/explain.h"
#include "../../../../src/vm/guest/agent/files.h"
#include "../../../../src/vm/guest/agent/frames.h"
#include "../../../../src/vm/guest/agent/hosts.h"
#include "../../../../src/vm/guest/agent/user.h"
#include "../../../../src/vm/guest/agent/words.h"

static unsigned long state, messages;
static int is_quiet;

static unsigned long next(unsigned long below) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state % below;
}

static void on_message(const struct message *message) {
  unsigned long sum = 0;
  for (size_t at = 0; at < message->bytes; at++) sum = sum * 31 + message->body[at];
  messages++;
  if (!is_quiet) printf("%u %u %zu %lu\n", message->type, message->session, message->bytes, sum & 0xffffffff);
  /* Words are read from what has come, and only where they are whole. */
  struct words words = {(const char *)message->body, message->bytes};
  if (!are_words(words)) return;
  for (const char *value = NULL; (value = next_value(words, "arg", value));) sum += strlen(value);
}

static void feed(const char *bytes, size_t count, size_t piece) {
  struct frame_reader *reader = calloc(1, sizeof *reader);
  for (size_t at = 0; at < count; at += piece) {
    size_t taken = count - at < piece ? count - at : piece;
    /* A copy of its own, so that the sanitizer sees each byte that is read beyond. */
    unsigned char *part = malloc(taken);
    memcpy(part, bytes + at, taken);
    read_frames(reader, part, taken, on_message);
    free(part);
  }
  free(reader->parts);
  free(reader);
}

static char *read_all(size_t *count) {
  size_t room = 1 << 20;
  char *bytes = malloc(room + 1);
  *count = 0;
  for (ssize_t taken; (taken = read(0, bytes + *count, room - *count)) > 0;) {
    *count += (size_t)taken;
    if (*count == room) bytes = realloc(bytes, (room *= 2) + 1);
  }
  bytes[*count] = 0;
  return bytes;
}

static void print_user(const char *spec, const char *passwd, const char *group) {
  static struct user user;
  struct text why = {0};
  if (!find_user(spec, passwd, group, &user, &why)) {
    if (!is_quiet) puts(why.at);
    return;
  }
  if (is_quiet) return;
  printf("%u:%u", user.uid, user.gid);
  for (size_t at = 1; at < user.group_count; at++) printf(":%u", user.groups[at]);
  printf(" %s\n", user.home);
}

static void fuzz(const char *seed, size_t bytes, unsigned long count) {
  is_quiet = 1;
  for (unsigned long round = 0; round < count; round++) {
    size_t length = next(bytes + 1);
    char *input = malloc(length + 64 + 1);
    memcpy(input, seed, length);
    for (unsigned long changes = next(8); changes > 0 && length > 0; changes--) {
      size_t at = next(length);
      switch (next(4)) {
        case 0: input[at] = (char)next(256); break;
        case 1: input[at] ^= (char)(1 << next(8)); break;
        case 2: memmove(input + at, input + at + 1, --length - at); break;
        case 3: if (length < bytes + 64) { memmove(input + at + 1, input + at, length++ - at); input[at] = "\0\n:,=\xff" [next(6)]; } break;
      }
    }
    input[length] = 0;
    feed(input, length, 1 + next(5000));
    /* Texts in memory of just their size. */
    size_t half = length / 2;
    char *first = strndup(input, half), *second = strdup(input + strnlen(input, half) + (strnlen(input, half) < length));
    print_user(second, first, second);
    print_user("web:log", first, first);
    free(render_hosts(first, second));
    unsigned long number;
    read_number(first, 65535, &number);
    free(first);
    free(second);
    free(input);
  }
  printf("%lu messages\n", messages);
}

int main(int argc, char **argv) {
  size_t count = 0;
  if (argc < 3) return 2;
  if (strcmp(argv[1], "user") == 0) {
    char *passwd = read_text(AT_FDCWD, argv[3], 1 << 20), *group = read_text(AT_FDCWD, argv[4], 1 << 20);
    print_user(argv[2], passwd, group);
    free(passwd);
    free(group);
    return 0;
  }
  if (strcmp(argv[1], "exec") == 0) {
    struct text why = {0};
    char *words[] = {argv[2], NULL};
    execve(argv[2], words, words + 1);
    int status = explain_exec(argv[2], "it", errno, &why);
    printf("%d %s\n", status, why.at);
    return 0;
  }
  char *input = read_all(&count);
  if (strcmp(argv[1], "frames") == 0) feed(input, count, strtoul(argv[2], NULL, 10));
  if (strcmp(argv[1], "hosts") == 0) {
    char *content = render_hosts(argv[2], input);
    fputs(content, stdout);
    free(content);
  }
  if (strcmp(argv[1], "fuzz") == 0) {
    state = strtoul(argv[2], NULL, 10) | 1;
    fuzz(input, count, strtoul(argv[3], NULL, 10));
  }
  free(input);
  return 0;
}
