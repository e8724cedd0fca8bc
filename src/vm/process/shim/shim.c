/*
 * monocore-shim RECORD PROGRAM [ARGUMENT…]
 *
 * The parent of a plain process and the leader of its process group. It writes `started <pid>` to RECORD and executes
 * PROGRAM by its path, with the environment unchanged. When PROGRAM has ended, it writes `exit <status>`, as a shell
 * counts it (above 128: the signal, POSIX sh, 2.8.2). It exits when somebody has written to descriptor 3: until then it
 * holds the streams open for their reader. PROGRAM does not get descriptor 3. The status is 126 for a program that
 * cannot be executed and 127 for one that does not exist; a file of no known format is a script for /bin/sh, as in
 * execvp(3).
 */
#include <asm/signal.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include "freestanding.h"

enum { RELEASE = 3 };

static void say(const char *what, const char *path) {
  print("monocore: ");
  print(path);
  print(what);
  print("\n");
}

/* Appends a line to the record in one write: a concurrent reader sees all of it or none. */
static void note(int record, const char *word, unsigned number) {
  char line[32];
  char *at = line + sizeof line;
  *--at = '\n';
  do *--at = '0' + number % 10;
  while (number /= 10);
  for (long left = length(word); left > 0; left--) *--at = word[left - 1];
  call(__NR_write, record, (long)at, line + sizeof line - at, 0);
}

static _Noreturn void execute(char **words, char **environment) {
  char *program = words[0];
  long error = -call(__NR_execve, (long)program, (long)words, (long)environment, 0);
  if (error == ENOEXEC) {
    words[-1] = "/bin/sh";
    error = -call(__NR_execve, (long)words[-1], (long)(words - 1), (long)environment, 0);
  }
  say(error == ENOENT ? " or its interpreter does not exist" : " cannot be executed", program);
  end(error == ENOENT ? 127 : 126);
}

static _Noreturn void run(long *stack) {
  long argc = stack[0];
  char **argv = (char **)(stack + 1);
  if (argc < 3) end(2);
  long record = call(__NR_openat, AT_FDCWD, (long)argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (record < 0) {
    say(" cannot be opened", argv[1]);
    end(2);
  }

  /* Signals go to the whole group: the shim survives them, the program gets them. */
  unsigned long all = ~0UL, inherited;
  call(__NR_rt_sigprocmask, SIG_BLOCK, (long)&all, (long)&inherited, sizeof all);
  long child = call(__NR_clone, SIGCHLD, 0, 0, 0);
  if (child == 0) {
    note(record, "started ", call(__NR_getpid, 0, 0, 0, 0));
    call(__NR_close, RELEASE, 0, 0, 0);
    call(__NR_rt_sigprocmask, SIG_SETMASK, (long)&inherited, 0, sizeof inherited);
    execute(argv + 2, argv + argc + 1);
  }
  if (child < 0) {
    say(" cannot be started: no process could be created", argv[2]);
    note(record, "exit ", 126);
  } else {
    int status = 0;
    while (call(__NR_wait4, child, (long)&status, 0, 0) == -EINTR) {}
    int signal = status & 0x7f;
    note(record, "exit ", signal ? 128 + signal : status >> 8 & 0xff);
  }
  char released;
  while (call(__NR_read, RELEASE, (long)&released, 1, 0) == -EINTR) {}
  end(0);
}
