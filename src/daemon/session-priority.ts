/** The daemon's precedence over the services that it looks after, where all processors are taken. */
import { writeFileSync } from 'node:fs';
import { readStat } from '../lib/proc.ts';

/** Weight 9548 against 1024 of a session at 0, see sched_prio_to_weight in kernel/sched/core.c of Linux. */
const NICE = -10;

/**
 * Gives this process's session a larger share of the processors. Linux shares them out among sessions ("The autogroup
 * feature", sched(7)), and each service is one of its own: beside 48 guests that compute, a daemon would get a
 * forty-ninth for all of its threads, and come to its turn half a second late (`npm run load`). What it starts are
 * sessions of their own, and have no part in it.
 *
 * Only for a session that is this process's alone: that of a terminal is also the shell's. Where the kernel has no such
 * groups, or the user may not (CAP_SYS_NICE, RLIMIT_NICE), all stays as it is. Main thread, at the start of the daemon.
 */
export function takePrecedence(): void {
  try {
    if (readStat('self')?.session === process.pid) writeFileSync('/proc/self/autogroup', String(NICE));
  } catch {
    // Nothing depends on it.
  }
}
