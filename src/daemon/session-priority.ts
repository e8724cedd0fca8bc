/** Gives the daemon priority over its services when all processors are busy. */
import { writeFileSync } from 'node:fs';
import { readStat } from '../lib/proc.ts';

/** Weight 9548, against 1024 for a session at nice 0, see sched_prio_to_weight in kernel/sched/core.c of Linux. */
const NICE = -10;

/**
 * Gives the session of this process a larger share of the processors. Linux divides them among sessions ("The autogroup
 * feature", sched(7)), and each service has its own: beside 48 busy guests, all threads of a daemon together would get
 * one forty-ninth of the time and wait half a second for it (`npm run load`). Child processes have their own sessions.
 *
 * Only for a session that belongs to this process alone: the session of a terminal is shared with the shell. Does
 * nothing if the kernel has no autogroups or the user lacks permission (CAP_SYS_NICE, RLIMIT_NICE). Main thread, at the
 * start of the daemon.
 */
export function raiseSessionPriority(): void {
  try {
    if (readStat('self')?.session === process.pid) writeFileSync('/proc/self/autogroup', String(NICE));
  } catch {
    // The daemon works without a higher priority.
  }
}
