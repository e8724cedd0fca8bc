/** Log worker: takes what every VM prints from its FIFO to rolling files, and serves readers of those files. */
import { systemClock } from '../src/clock.ts';
import type { LogsApi } from '../src/protocol/logs.ts';
import { serve } from '../src/threads/worker-side.ts';
import { createLogs } from './logs/api.ts';

/** What the main thread gives this worker at its start. */
export interface LogsBoot {
  /** Absolute path of the folder of the log files; made when missing. */
  readonly logDir: string;
}

await serve<LogsApi, LogsBoot>(({ data, events }) =>
  createLogs({ logDir: data.logDir, post: (event) => events.postMessage(event), clock: systemClock }),
);
