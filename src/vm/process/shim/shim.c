/*
 * monocore-shim RECORD PROGRAM [ARGUMENT…]
 *
 * The parent of a plain process, leader of its own process group. It writes `started <pid>` to RECORD, executes PROGRAM
 * by its path with the environment as it is, writes `exit <status>` as a shell has it (above 128: the signal, POSIX sh,
 * 2.8.2), and ends when somebody has written to descriptor 3: until then it holds the streams open for whoever reads
 * them. PROGRAM does not get descriptor 3. A program that cannot be executed has the status 126, or 127 where it is not
 * there; a file of no known format is a script for /bin/sh, as execvp(3) has it.
 *
 * Without a C library, because loading one would take longer than all that this does. Compiled by
 * scripts/compile-shim.sh.
 */
#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

enum { STDERR = 2, RELEASE = 3 };

/* Of this file: by that a test knows a program that was not compiled after a change. */
__attribute__((used)) static const char source_sha256[] = SOURCE_SHA256;

#ifdef __x86_64__
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall run\n");

static long call(long number, long a, long b, long c, long d) {
  long result;
  register long fourth __asm__("r10") = d;
  register long fifth __asm__("r8") = 0;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth)
                   : "rcx", "r11", "memory");
  return result;
}
#else
__asm__(".globl _start\n_start:\n\tmov x29, xzr\n\tmov x0, sp\n\tbl run\n");

static long call(long number, long a, long b, long c, long d) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = 0;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}
#endif

static _Noreturn void end(int status) {
  for (;;) call(__NR_exit_group, status, 0, 0, 0);
}

static long length(const char *text) {
  long bytes = 0;
  while (text[bytes]) bytes++;
  return bytes;
}

static void say(const char *what, const char *path) {
  const char *parts[] = {"monocore: ", path, what, "\n"};
  for (int part = 0; part < 4; part++) call(__NR_write, STDERR, (long)parts[part], length(parts[part]), 0);
}

/* A line of the record, in one write: who reads it meanwhile sees all of it or nothing. */
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
  say(error == ENOENT ? ", or what interprets it, is not there" : " cannot be executed", program);
  end(error == ENOENT ? 127 : 126);
}

/* The stack of a program at its start: argc, argv and a null, the environment and a null (System V ABI, 3.4.1). */
__attribute__((used)) _Noreturn static void run(long *stack) {
  long argc = stack[0];
  char **argv = (char **)(stack + 1);
  if (argc < 3) end(2);
  long record = call(__NR_openat, AT_FDCWD, (long)argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (record < 0) {
    say(" cannot be opened", argv[1]);
    end(2);
  }

  /* Signals go to the whole group: this outlives them, the program gets them. */
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
    say(": no process for it", argv[2]);
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
