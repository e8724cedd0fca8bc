/** Priority of the daemon over its services where all processors are busy. */
import { writeFileSync } from 'node:fs';
import { readStat } from '../lib/proc.ts';

/** Weight 9548, against 1024 of a session at nice 0, see sched_prio_to_weight in kernel/sched/core.c of Linux. */
const NICE = -10;

/**
 * Gives the session of this process a larger share of the processors. Linux divides them among sessions ("The autogroup
 * feature", sched(7)), and each service has its own: beside 48 guests that compute, all threads of a daemon together would
 * get one forty-ninth, and wait half a second for it (`npm run load`). Its children have sessions of their own.
 *
 * Only for a session that belongs to this process alone: that of a terminal is also the shell's. Does nothing where the
 * kernel has no autogroups, or the user lacks the permission (CAP_SYS_NICE, RLIMIT_NICE). Main thread, at the start of the
 * daemon.
 */
export function raiseSessionPriority(): void {
  try {
    if (readStat('self')?.session === process.pid) writeFileSync('/proc/self/autogroup', String(NICE));
  } catch {
    // The daemon works without it.
  }
}
