/** Log worker: captures the output of every VM from its FIFOs into rolling files, and serves readers of those files. */
import type { MessagePort } from 'node:worker_threads';
import { systemClock } from '../src/lib/clock.ts';
import type { LogEvent, LogsApi, LogsBoot, SearchEvent } from '../src/protocol/logs.ts';
import { serve } from '../src/threads/entry.ts';
import { createLogs } from './logs/api.ts';

await serve<LogsApi, LogsBoot>(({ data, events }) => {
  let pages = 0;
  const post = (event: LogEvent | SearchEvent, ports: MessagePort[] = []) => events.postMessage(event, ports);
  return createLogs({
    ...data,
    post,
    clock: systemClock,
    atExit: (run) => process.once('exit', run),
    startPage(page, port) {
      pages += 1;
      const id = pages;
      post({ type: 'search-wanted', id, page, port }, [port]);
      return () => post({ type: 'search-over', id });
    },
  });
});
