/** The process of a VM, whether this daemon started it or an earlier one did. */

import { isRunning, type ProcessIdentity } from '../../lib/proc.ts';
import type { Exit } from '../backend.ts';

/** Only a parent is told of an end, so a process that is not our child is looked at this often. */
const POLL_INTERVAL_MS = 250;

/** A process to be watched. */
export interface HostProcess {
  readonly identity: ProcessIdentity;
  /** Calls back once, when the process has ended; never before this returns. To be called once. */
  onExit(callback: (exit: Exit) => void): void;
}

/** A process that an earlier daemon started. How it ends, nobody is told. */
export function adoptedProcess(identity: ProcessIdentity): HostProcess {
  return {
    identity,
    onExit(callback) {
      const timer = setInterval(() => {
        if (isRunning(identity)) return;
        clearInterval(timer);
        callback({ code: null, signal: null });
      }, POLL_INTERVAL_MS);
    },
  };
}
