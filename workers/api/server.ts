/** HTTP server of the api worker. */
import { rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { MessagePort } from 'node:worker_threads';
import { getRequestListener } from '@hono/node-server';
import { errorText, MonocoreError } from '../../src/lib/errors.ts';
import type { ApiBoot, ApiThreadApi, ControlApi } from '../../src/protocol/api.ts';
import type { LogsApi } from '../../src/protocol/logs.ts';
import { type CallDeadlines, wrap } from '../../src/threads/rpc.ts';
import { EventHub } from './event-hub.ts';
import { OpenAnswers } from './open-answers.ts';
import { createRoutes, errorResponse } from './routes.ts';
import { listenPrivately } from './socket.ts';

/**
 * Deadlines of calls. Commands take as long as services and registries need; everything else is answered from memory.
 */
const CONTROL_DEADLINES: CallDeadlines = {
  defaultMs: null,
  perMethodMs: { services: 10_000, daemon: 10_000, stopDaemon: 10_000 },
};
const LOGS_DEADLINES: CallDeadlines = { defaultMs: 10_000 };

/** Time for pending answers when the API stops, including the answer to the request that stops the daemon. */
const CLOSE_GRACE_MS = 2000;

/** Replaces the host that a client names, because only the path matters. */
const HOST = 'localhost';

/** Builds the server, which does not listen yet. */
export function createApi({ socketPath, control, logs }: ApiBoot): ApiThreadApi {
  const wrappedControl = connect<ControlApi>('main', control, CONTROL_DEADLINES);
  let wrappedLogs = connect<LogsApi>('logs', logs, LOGS_DEADLINES);
  const answers = new OpenAnswers();
  const events = new EventHub(answers);
  const routes = createRoutes({ control: wrappedControl.remote, logs: () => wrappedLogs.remote, events, answers });
  const respond = getRequestListener(routes.fetch, {
    hostname: HOST,
    overrideGlobalObjects: false,
    // Only called for a malformed request line: the routes handle their own errors.
    errorHandler: (error) => errorResponse(new MonocoreError('Usage', `not a valid request: ${errorText(error)}`)),
  });
  const server = createServer({ requireHostHeader: false }, (incoming, outgoing) => {
    answers.track(outgoing);
    incoming.headers.host = HOST;
    void respond(incoming, outgoing);
  });

  return {
    listen: () => listenPrivately(server, socketPath),
    async close() {
      await rm(socketPath, { force: true });
      // Before closing the server, which would cut off answers that have not been sent.
      await answers.end(CLOSE_GRACE_MS);
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      control.close();
      wrappedLogs.port.close();
    },
    async publish(published) {
      for (const event of published) events.publish(event);
    },
    async connectLogs(port) {
      const before = wrappedLogs;
      wrappedLogs = connect('logs', port, LOGS_DEADLINES);
      before.port.close();
    },
  };
}

/** Wraps `port`; calls fail as soon as its other end closes. */
function connect<Api>(name: string, port: MessagePort, deadlines: CallDeadlines) {
  const wrapped = wrap<Api>(name, port, deadlines);
  port.once('close', () => {
    wrapped.fail(new MonocoreError('ThreadDied', `the ${name} thread is not connected; try again`));
  });
  return { ...wrapped, port };
}
