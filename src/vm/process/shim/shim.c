/*
 * monocore-shim RECORD PROGRAM [ARGUMENT…]
 *
 * The parent of a plain process and the leader of its process group. It writes `started <pid>` to RECORD and executes
 * PROGRAM by its path, with the environment unchanged. When PROGRAM has ended, it writes `exit <status>`, as a shell
 * counts it (above 128: the signal, POSIX sh, 2.8.2). It exits when somebody has written to descriptor 3: until then it
 * holds the streams open for their reader. It does not wait for that where the service manager has sent it SIGTERM: the
 * host goes down, or its scope is stopped. PROGRAM does not get descriptor 3. The status is 126 for a program that cannot
 * be executed and 127 for one that does not exist; a file of no known format is a script for /bin/sh, as in execvp(3).
 *
 * It becomes the parent of the processes that PROGRAM leaves, see PR_SET_CHILD_SUBREAPER in prctl(2), so that the daemon
 * finds them, in whatever session they are.
 */
#include <asm/signal.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/signalfd.h>
#include <linux/wait.h>
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

/* Waits for processes that have ended; 1 when `child` is one of them, whose status is noted. */
static int reap(long child, int record) {
  int status = 0, found = 0;
  long ended;
  while ((ended = call(__NR_wait4, -1, (long)&status, WNOHANG, 0)) > 0) {
    if (ended != child) continue;
    int signal = status & 0x7f;
    note(record, "exit ", signal ? 128 + signal : status >> 8 & 0xff);
    found = 1;
  }
  return found;
}

/* A service manager is process 1, or that of a user, which is the parent once the daemon is gone. */
static int is_manager(unsigned pid) { return pid == 1 || pid == (unsigned)call(__NR_getppid, 0, 0, 0, 0); }

static _Noreturn void run(long *stack) {
  long argc = stack[0];
  char **argv = (char **)(stack + 1);
  if (argc < 3) end(2);
  long record = call(__NR_openat, AT_FDCWD, (long)argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (record < 0) {
    say(" cannot be opened", argv[1]);
    end(2);
  }

  /* Signals go to the whole group: the shim reads them, the program gets them. */
  unsigned long all = ~0UL, inherited;
  call(__NR_rt_sigprocmask, SIG_BLOCK, (long)&all, (long)&inherited, sizeof all);
  long signals = call(__NR_signalfd4, -1, (long)&all, sizeof all, SFD_CLOEXEC);
  call(__NR_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0);
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
  }
  int runs = child > 0, asked = 0;
  struct pollfd events[] = {{signals, POLLIN, 0}, {RELEASE, POLLIN, 0}};
  while (runs || !(asked || events[1].revents)) {
    call(__NR_ppoll, (long)events, runs ? 1 : 2, 0, 0);
    struct signalfd_siginfo info;
    if (!events[0].revents || call(__NR_read, signals, (long)&info, sizeof info, 0) != sizeof info) continue;
    if (info.ssi_signo == SIGCHLD && reap(child, record)) runs = 0;
    if (info.ssi_signo == SIGTERM && is_manager(info.ssi_pid)) asked = 1;
  }
  char released;
  if (events[1].revents) call(__NR_read, RELEASE, (long)&released, 1, 0);
  end(0);
}
