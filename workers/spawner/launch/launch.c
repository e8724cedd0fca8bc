/*
 * monocore-launch RECORD DAEMON PROGRAM [ARGUMENT…]
 *
 * Notes who it is in the file RECORD, which it makes, and becomes PROGRAM, given by its path, with the environment
 * unchanged. Pid and start time stay, so the record names the process that PROGRAM is, also for a daemon that was not
 * there. It becomes PROGRAM only if its parent's parent is DAEMON still, a pid: it writes first and asks then, so whoever
 * reads after the end of the daemon, or of the spawner between them, finds the record, or there is no PROGRAM. The status
 * is 125 without a record or a daemon, 126 for a program that cannot be executed, 127 for one that does not exist.
 */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include "freestanding.h"

enum { FAILED = 125, MAX_STAT = 1024, BOOT_ID = 36 };

static const char boot_id_file[] = "/proc/sys/kernel/random/boot_id";

static _Noreturn void give_up(const char *path, const char *why) {
  print("monocore: ");
  print(path);
  print(why);
  end(FAILED);
}

/* Reads the beginning of a file and puts a zero behind it; returns the number of bytes. */
static long read_file(const char *path, char *text, long size) {
  long file = call(__NR_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0);
  long bytes = file < 0 ? file : call(__NR_read, file, (long)text, size - 1, 0);
  if (bytes <= 0) give_up(path, " cannot be read\n");
  call(__NR_close, file, 0, 0, 0);
  text[bytes] = 0;
  return bytes;
}

/* A field of proc_pid_stat(5) from the third on: the second, a name, may hold spaces and parentheses. */
static const char *field(const char *stat, int number) {
  const char *at = stat;
  for (const char *next = stat; *next; next++)
    if (*next == ')') at = next;
  for (int count = 2; count < number && *at; at++)
    if (*at == ' ') count++;
  return at;
}

static int same_number(const char *a, const char *b) {
  while (*a >= '0' && *a <= '9' && *a == *b) a++, b++;
  return !(*a >= '0' && *a <= '9') && !(*b >= '0' && *b <= '9');
}

/* Appends the text up to a space or its end. */
static char *append(char *to, const char *word) {
  while (*word && *word != ' ') *to++ = *word++;
  return to;
}

static void write_record(const char *path, const char *stat) {
  char boot_id[BOOT_ID + 1], line[2 * 20 + BOOT_ID + 3];
  read_file(boot_id_file, boot_id, sizeof boot_id);
  char *at = append(line, stat);
  *at++ = ' ';
  at = append(at, field(stat, 22));
  *at++ = ' ';
  at = append(at, boot_id);
  *at++ = '\n';
  long flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
  long record = call(__NR_openat, AT_FDCWD, (long)path, flags, 0600);
  if (record < 0 || call(__NR_write, record, (long)line, at - line, 0) != at - line)
    give_up(path, " cannot be written\n");
}

static int is_child_of(const char *stat, const char *daemon) {
  char path[32] = "/proc/", parent[MAX_STAT];
  char *at = append(append(path + length(path), field(stat, 4)), "/stat");
  *at = 0;
  read_file(path, parent, sizeof parent);
  return same_number(field(parent, 4), daemon);
}

static _Noreturn void run(long *stack) {
  long argc = stack[0];
  char **argv = (char **)(stack + 1);
  char stat[MAX_STAT];
  if (argc < 4) end(FAILED);
  read_file("/proc/self/stat", stat, sizeof stat);
  write_record(argv[1], stat);
  /* Again: the parent may have ended meanwhile. */
  read_file("/proc/self/stat", stat, sizeof stat);
  if (!is_child_of(stat, argv[2])) give_up(argv[3], " is not started: the daemon has ended\n");
  long error = -call(__NR_execve, (long)argv[3], (long)(argv + 3), (long)(argv + argc + 1), 0);
  print("monocore: ");
  print(argv[3]);
  print(error == ENOENT ? " or its interpreter does not exist\n" : " cannot be executed\n");
  end(error == ENOENT ? 127 : 126);
}
