/** One page of a search of log files. */

import { toWireError } from '../../../src/lib/wire-error.ts';
import type { SearchLogsJob } from '../../../src/protocol/jobs.ts';
import type { SearchPlace, SearchReply, SearchState, TailState } from '../../../src/protocol/log-files/queries.ts';
import { ChunkWindow, ReaderGone } from '../../log-files/chunk-window.ts';
import { searchTail } from '../../log-files/tail-search.ts';
import { deliverFound } from './found-records.ts';
import { makeRecordTest } from './record-filter.ts';

/** How long a page works, from the first thing that it has looked at. */
const PAGE_MS = 1000;
/** How long it waits for a reader that takes nothing: somebody may be reading a screenful in a pager. */
const PATIENCE_MS = 200;
/** How often it says that it is alive, while nothing keeps its event loop. */
const ALIVE_INTERVAL_MS = 1000;

/** When a page ends. In tests it is cut smaller. */
export interface PageLimits {
  readonly isDue: () => boolean;
  readonly patienceMs: number;
}

/** Works on a search for a while. How it ended is said over the port; throws nothing. */
export async function searchLogs(job: SearchLogsJob, limits: PageLimits = makeLimits()): Promise<void> {
  const { port } = job;
  const window = new ChunkWindow(port, 0);
  const say = (reply: SearchReply, buffers: readonly ArrayBuffer[] = []) => port.postMessage(reply, [...buffers]);
  say({ type: 'alive' });
  const alive = setInterval(() => say({ type: 'alive' }), ALIVE_INTERVAL_MS);
  try {
    const state = await goOn(job, window, limits);
    window.flush();
    const unused = window.takeUnused();
    say({ type: 'page', state, unused }, unused);
  } catch (error) {
    if (!(error instanceof ReaderGone)) say({ type: 'error', error: toWireError(error) });
  } finally {
    clearInterval(alive);
    port.close();
  }
}

async function goOn(job: SearchLogsJob, window: ChunkWindow, { isDue, patienceMs }: PageLimits): Promise<SearchState> {
  const { logDir, filter, state } = job;
  const { sinceMs } = filter;
  const wants = makeRecordTest(filter);
  let places: readonly SearchPlace[];
  if (state.phase === 'tail') {
    const { state: tail, isDone } = await searchTail(state.tail, { logDir, wants, sinceMs, isDue });
    if (!isDone) return { phase: 'tail', tail };
    places = placesOf(tail);
  } else {
    places = state.places;
  }
  const rest = await deliverFound(places, { logDir, wants, sinceMs, window, patienceMs, isDue });
  if (rest) return { phase: 'deliver', places: rest };
  return { phase: 'done', places: places.map((place) => ({ ...place, at: place.end, isInRecord: false })) };
}

function placesOf({ streams }: TailState): SearchPlace[] {
  return streams.map(({ id, start, startTime, end }) => ({ id, at: start, end, time: startTime, isInRecord: false }));
}

function makeLimits(): PageLimits {
  let dueMs: number | null = null;
  return {
    // Going to where the page before stopped does not count: in a compressed file it means reading all that is before.
    isDue() {
      const nowMs = performance.now();
      dueMs ??= nowMs + PAGE_MS;
      return nowMs > dueMs;
    },
    patienceMs: PATIENCE_MS,
  };
}
