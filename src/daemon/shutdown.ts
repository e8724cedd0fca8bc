/** Requests to end the daemon: by signals of this process, and by the API. */
import { deferred } from '../lib/promises.ts';
import type { Report } from '../lib/report.ts';

export interface ShutdownRequest {
  /**
   * `stop`: like a stop by the user. `suspend`: stops the services, but they count as wanted up, so the next daemon starts
   * them as their restart policy demands. `leave`: the services run on.
   */
  readonly services: 'stop' | 'suspend' | 'leave';
}

/**
 * Listens to the signals of this process: the first SIGTERM or SIGINT requests the shutdown, each further one hurries it.
 * SIGHUP is ignored: a closed terminal ends neither the daemon nor the services. Main thread.
 *
 * @param onSignal request of a signal
 * @param hurry shortens the stop of all services to its last steps
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
    // There is nothing to hurry where the services run on.
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
