/*
 * run-as UID:GID[:GROUP…] PROGRAM [ARGUMENT…]
 *
 * Becomes that user and executes PROGRAM by its path, with the environment unchanged. GID is also one of the
 * supplementary groups, as in container runtimes. Busybox has no program that takes ids which /etc/passwd does not know.
 * Exits with 126 when it cannot become the user or execute PROGRAM, and with 127 when PROGRAM does not exist.
 */
#include <linux/errno.h>
#include "freestanding.h"

enum { MAX_GROUPS = 1024 };

/* Parses the digits at `*text`, advances it to the character after them and returns false without a 32-bit number. */
static int read_id(const char **text, unsigned *id) {
  const char *first = *text;
  unsigned long value = 0;
  for (; **text >= '0' && **text <= '9'; ++*text) {
    value = value * 10 + (unsigned long)(**text - '0');
    if (value >> 32) return 0;
  }
  *id = (unsigned)value;
  return *text > first;
}

/* Reads `user` and switches to it: the groups first, since only root may set them. */
static int become(const char *user) {
  unsigned id, groups[MAX_GROUPS];
  long count = 0;
  if (!read_id(&user, &id)) return 0;
  while (*user == ':') {
    user++;
    if (count == MAX_GROUPS || !read_id(&user, &groups[count++])) return 0;
  }
  return *user == 0 && count > 0 && call(__NR_setgroups, count, (long)groups, 0, 0) == 0 &&
         call(__NR_setgid, groups[0], 0, 0, 0) == 0 && call(__NR_setuid, id, 0, 0, 0) == 0;
}

static _Noreturn void run(long *stack) {
  long argc = stack[0];
  char **argv = (char **)(stack + 1);
  if (argc < 3 || !become(argv[1])) {
    print("monocore: the user of the command cannot be set\n");
    end(126);
  }
  long error = call(__NR_execve, (long)argv[2], (long)(argv + 2), (long)(argv + argc + 1), 0);
  print("monocore: the command cannot be executed by its user\n");
  end(error == -ENOENT ? 127 : 126);
}
