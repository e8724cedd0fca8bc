/** Shutdown requests, from signals to this process and from the API. */
import { deferred } from '../lib/promises.ts';
import type { Report } from '../lib/report.ts';

export interface ShutdownRequest {
  /**
   * `stop`: stops services like a user would. `suspend`: stops services but still counts them as wanted up, so that the
   * next daemon starts them according to their restart policy. `leave`: services keep running.
   */
  readonly services: 'stop' | 'suspend' | 'leave';
}

/**
 * Handles the signals of this process: the first SIGTERM or SIGINT requests the shutdown, each further one hurries it.
 * SIGHUP is ignored: closing a terminal ends neither the daemon nor the services. Main thread.
 *
 * @param onSignal request that a signal stands for
 * @param hurry skips to the last steps of stopping all services
 * @returns `requested` resolves with the first request; `release` restores the default effect of the signals
 */
export function listenForShutdown(
  onSignal: ShutdownRequest,
  hurry: (request: ShutdownRequest) => void,
  report: Report,
) {
  let isSignalled = false;
  let decided: ShutdownRequest | null = null;
  const { promise: requested, resolve } = deferred<ShutdownRequest>();
  const request = (wanted: ShutdownRequest): void => {
    decided ??= wanted;
    resolve(decided);
  };
  const listener = (signal: NodeJS.Signals): void => {
    report('info', `got ${signal}`);
    // There is nothing to hurry if services keep running.
    if (isSignalled && decided && decided.services !== 'leave') hurry(decided);
    isSignalled = true;
    request(onSignal);
  };
  const listeners = { SIGTERM: listener, SIGINT: listener, SIGHUP: () => {} };
  for (const [signal, listen] of Object.entries(listeners)) process.on(signal, listen);
  const release = (): void => {
    for (const [signal, listen] of Object.entries(listeners)) process.off(signal, listen);
  };
  return { requested, request, release };
}
