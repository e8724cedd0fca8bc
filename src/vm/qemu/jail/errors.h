/* Messages of a step that failed: what failed, why, and what to try where that is known. */
#include <linux/errno.h>

enum { FAILED = 126 };

/* Words of errno(3) for the errors that a host without faults can cause; others are told by their numbers. */
static const struct { int number; const char *words; } errors[] = {
    {EPERM, "not permitted"},
    {ENOENT, "it does not exist"},
    {EIO, "input/output error"},
    {ENXIO, "no such device"},
    {ENOEXEC, "it is not a program of this machine"},
    {EBADF, "bad descriptor"},
    {EAGAIN, "a limit on processes is reached"},
    {ENOMEM, "out of memory"},
    {EACCES, "permission denied"},
    {EBUSY, "it is in use"},
    {EEXIST, "it exists already"},
    {ENODEV, "no such device"},
    {ENOTDIR, "it is not a folder"},
    {EISDIR, "it is a folder"},
    {EINVAL, "not valid"},
    {ENFILE, "the host has too many open files"},
    {EMFILE, "too many open files"},
    {ETXTBSY, "it is being written"},
    {ENOSPC, "no space is left, or a limit is reached"},
    {EROFS, "read-only file system"},
    {ELOOP, "too many links"},
    {ENAMETOOLONG, "the name is too long"},
    {ENOSYS, "this kernel does not have it"},
    {EUSERS, "too many nested namespaces"},
    {EADDRINUSE, "the address is in use"},
    {EADDRNOTAVAIL, "the host does not have the address"},
    {ENETDOWN, "the network is down"},
    {ECONNREFUSED, "nothing listens there"},
};

static void print_number(unsigned long number) {
  char text[24];
  char *at = text + sizeof text;
  *--at = 0;
  do *--at = '0' + number % 10;
  while (number /= 10);
  print(at);
}

/* Ends the jail. `hint` says what to try; null where nothing is known. */
static _Noreturn void give_up(const char *what, const char *which, long error, const char *hint) {
  print("monocore-jail: ");
  print(what);
  print(which);
  print(": ");
  unsigned long at = 0, count = sizeof errors / sizeof *errors;
  while (at < count && errors[at].number != -error) at++;
  if (at < count) print(errors[at].words);
  else {
    print("error ");
    print_number(-error);
  }
  if (hint) {
    print("; ");
    print(hint);
  }
  print("\n");
  end(FAILED);
}

static _Noreturn void fail(const char *what, const char *which, long error) { give_up(what, which, error, 0); }

static long check(long result, const char *what, const char *which) {
  if (result < 0) fail(what, which, result);
  return result;
}

/* As `check`, with a hint. */
static long check_or_try(long result, const char *what, const char *which, const char *hint) {
  if (result < 0) give_up(what, which, result, hint);
  return result;
}
