/** How the daemon comes to be told to end. */
import type { Report } from '../lib/report.ts';

/** How it is to end. */
export interface End {
  /**
   * What becomes of the services: `stop` as the user's own stop; `suspend` likewise, but they count as wanted up, so
   * that the next daemon starts them again where their policy says so; `leave` lets them run on.
   */
  readonly services: 'stop' | 'suspend' | 'leave';
}

/** What signals do. */
export interface EndingOptions {
  /** What a signal means for the services. */
  readonly onSignal: End;
  /** Shortens the stop of everything to its last rungs. */
  readonly hurry: (end: End) => void;
  readonly report: Report;
}

/** The end that is asked for first, by whomever. */
export interface Ending {
  readonly requested: Promise<End>;
  request(end: End): void;
  /** Gives the signals their usual meaning back. */
  release(): void;
}

/**
 * Listens to the signals of this process: the first SIGTERM or SIGINT asks for the end, each further one hurries it.
 * SIGHUP is ignored: a terminal that is closed ends neither the daemon nor the services. Main thread.
 */
export function listenForEnd({ onSignal, hurry, report }: EndingOptions): Ending {
  let isSignalled = false;
  let decided: End | null = null;
  let resolve: (end: End) => void = () => {};
  const requested = new Promise<End>((settle) => {
    resolve = settle;
  });
  const request = (end: End): void => {
    decided ??= end;
    resolve(decided);
  };
  const listener = (signal: NodeJS.Signals): void => {
    report('info', `got ${signal}`);
    // Services that are left running are no hurry.
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
