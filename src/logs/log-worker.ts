/** What the main thread knows of a log worker. */

import type { CallBatch } from '../lib/event-loop-batch.ts';
import type { LogEvent, LogsApi, SearchEvent, StreamSource } from '../protocol/logs.ts';
import type { Remote } from '../threads/rpc.ts';
import type { WorkerThread } from '../threads/worker-thread.ts';

/** One of the threads that share the streams. */
export interface LogWorker {
  readonly thread: WorkerThread<LogsApi, LogEvent | SearchEvent>;
  /** Null while it is not to be called. */
  api: Remote<LogsApi> | null;
  /** Has streams opened by the thread as it runs now; null before it has. */
  opens: CallBatch<StreamSource> | null;
}
