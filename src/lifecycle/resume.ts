/** Where a service goes on whose daemon has died. Pure. */
import type { Exit } from '../vm/driver.ts';
import type { Transition } from './state.ts';
import { beginStopping, DRAIN_TIMEOUT_MS, START_TIMEOUT_MS, setStopTimer } from './transition.ts';

/**
 * Where a service of an earlier daemon goes on, from what its state file says.
 *
 * @param status the one that was stored
 * @param exit how the command ended, if it had
 */
export function resume(
  status: 'Starting' | 'Started' | 'Stopping',
  { pid, startedAtMs, exit }: { pid: number; startedAtMs: number | null; exit: Exit | null },
  stopTimeoutMs: number,
  nowMs: number,
): Transition {
  switch (status) {
    case 'Starting':
      return {
        state: { status: 'Starting', phase: 'booting', pid },
        effects: [{ type: 'set-timer', timer: 'start', delayMs: START_TIMEOUT_MS }],
      };
    case 'Started':
      return {
        state: { status: 'Started', pid, startedAtMs: startedAtMs ?? nowMs },
        effects: [{ type: 'watch-metrics', pid }],
      };
    case 'Stopping':
      // Which rung it had come to is not known, so it begins with the first that makes sense.
      return exit
        ? beginStopping({ phase: 'draining', pid, startedAtMs, exit }, [
            setStopTimer(DRAIN_TIMEOUT_MS),
            { type: 'drain' },
          ])
        : beginStopping({ phase: 'asking', pid, startedAtMs }, [
            setStopTimer(stopTimeoutMs),
            { type: 'signal-job', signal: 'SIGTERM' },
          ]);
  }
}
