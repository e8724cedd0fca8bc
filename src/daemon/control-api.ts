/** Main thread's side of the API: answers the calls of the api worker. */
import { followRequest, type Images } from '../images/image-jobs.ts';
import { isoTime } from '../lib/clock.ts';
import { packageVersion } from '../lib/package-info.ts';
import type { Orchestrator } from '../orchestrator/orchestrator.ts';
import type { ControlApi } from '../protocol/api.ts';
import type { DaemonSettings, ThreadStatus } from '../protocol/http.ts';
import { describeHostLimits } from '../vm/host/limits/host-limits.ts';
import type { ShutdownRequest } from './shutdown.ts';

/** Creates the object that the daemon exposes to the api worker. */
export function createControlApi(
  { home, settings }: { readonly home: string; readonly settings: DaemonSettings },
  orchestrator: Orchestrator,
  images: Images,
  threads: () => readonly ThreadStatus[],
  requestShutdown: (request: ShutdownRequest) => void,
): ControlApi {
  const startedAtMs = Date.now();
  return {
    start: ({ config, names, group, take_over: takeOver, ...options }) =>
      orchestrator.start(config, { names, group }, { ...options, takeOver }),
    plan: async ({ config, names, group, prune, take_over: takeOver }) =>
      orchestrator.plan(config, { names, group }, { prune, takeOver }),
    stop: ({ timeout_ms, all: _, ...selection }) => orchestrator.stop(selection, timeout_ms),
    restart: ({ timeout_ms, all: _, ...selection }) => orchestrator.restart(selection, timeout_ms),
    remove: ({ timeout_ms, all: _, ...selection }) => orchestrator.remove(selection, timeout_ms),
    images: () => images.list(),
    pullImages: (request, replies) => followRequest(replies, (options) => images.pull(request, options)),
    loadImages: (request, replies) => followRequest(replies, (options) => images.load(request, options)),
    removeImages: (request) => images.remove(request),
    pruneImages: () => images.prune(),
    services: async () => orchestrator.services(),
    daemon: async () => ({
      pid: process.pid,
      version: packageVersion(),
      started_at: isoTime(startedAtMs),
      home,
      threads: threads(),
      services: orchestrator.services().length,
      settings,
      limits: describeHostLimits(),
    }),
    stopDaemon: async ({ leave_running }) => requestShutdown({ services: leave_running ? 'leave' : 'stop' }),
  };
}
