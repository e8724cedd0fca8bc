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

interface ShutdownOptions {
  readonly onSignal: ShutdownRequest;
  /** Shortens the stop of all services to its last steps. */
  readonly hurry: (request: ShutdownRequest) => void;
  readonly report: Report;
}

interface ShutdownListener {
  /** The first request. */
  readonly requested: Promise<ShutdownRequest>;
  request(request: ShutdownRequest): void;
  /** Restores the default effect of the signals. */
  release(): void;
}

/**
 * Listens to the signals of this process: the first SIGTERM or SIGINT requests the shutdown, each further one hurries it.
 * SIGHUP is ignored: a closed terminal ends neither the daemon nor the services. Main thread.
 */
export function listenForShutdown({ onSignal, hurry, report }: ShutdownOptions): ShutdownListener {
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
  const ignore = (): void => {};
  process.on('SIGTERM', listener);
  process.on('SIGINT', listener);
  process.on('SIGHUP', ignore);
  return {
    requested,
    request,
    release() {
      process.off('SIGTERM', listener);
      process.off('SIGINT', listener);
      process.off('SIGHUP', ignore);
    },
  };
}
