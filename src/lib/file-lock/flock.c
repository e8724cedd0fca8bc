/*
 * monocore-flock [wait]
 *
 * Locks descriptor 3 with flock(2), which Node does not have. The lock belongs to the open file description, so it stays
 * with the parent, who opened the file, when this program has ended, and ends when the parent has. Exits with 0 when it
 * has the lock, with 1 when another process has it and there is no `wait`, else with the number of the error.
 */
#include <asm/signal.h>
#include <linux/errno.h>
#include <linux/prctl.h>
#include "freestanding.h"

/* Of sys/file.h. */
enum { LOCK_EXCLUSIVE = 2, LOCK_NON_BLOCKING = 4 };

static _Noreturn void run(long *stack) {
  int waits = stack[0] > 1;
  /* A wait on behalf of nobody would hold the file open. */
  call(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0);
  long error;
  do error = -call(__NR_flock, 3, LOCK_EXCLUSIVE | (waits ? 0 : LOCK_NON_BLOCKING), 0, 0);
  while (error == EINTR);
  end(error == EAGAIN ? 1 : (int)error);
}
