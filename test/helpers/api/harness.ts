/** An api server on a real socket, between fakes of the main thread and of the log worker. */
import { once } from 'node:events';
import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { ApiThreadApi, CommandReply, ControlApi } from '../../../src/protocol/api.ts';
import type { DaemonStatus } from '../../../src/protocol/http.ts';
import type { LogsApi } from '../../../src/protocol/logs.ts';
import { NO_METRICS, type ServiceStatus } from '../../../src/protocol/service.ts';
import { expose } from '../../../src/threads/rpc.ts';
import { createApi } from '../../../workers/api/server.ts';
import { makeService } from '../fakes/listed-services.ts';
import { makeTempDir } from '../temp.ts';

/** Behaviour of the fakes. By default two services are known: `db`, and `web` in group `front`. */
interface Fakes {
  readonly control?: Partial<ControlApi>;
  readonly logs?: Partial<LogsApi>;
}

/** A server under test. */
interface Harness {
  readonly socketPath: string;
  readonly api: ApiThreadApi;
  /** The main thread's end of the control port and the log worker's end of its port. */
  readonly controlPort: MessagePort;
  readonly logsPort: MessagePort;
  /** A whole answer. */
  ask(method: string, path: string, body?: unknown, options?: RequestOptions): Promise<Answer>;
  /** An answer whose headers have come; its body is for the test to read, and cut off when the test has ended. */
  open(path: string): Promise<IncomingMessage>;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly json: unknown;
}

/** Starts a server that listens, to be closed when the test has ended. */
export async function startApi(t: TestContext, fakes: Fakes = {}): Promise<Harness> {
  const socketPath = join(await makeTempDir(t), 'daemon.sock');
  const [control, logs] = [new MessageChannel(), new MessageChannel()];
  expose({ ...idleControl, ...fakes.control }, control.port2);
  expose({ ...fakes.logs }, logs.port2);
  const api = createApi({ socketPath, control: control.port1, logs: logs.port1 });
  await api.listen();
  const opened: IncomingMessage[] = [];
  t.after(async () => {
    for (const message of opened) message.destroy();
    await api.close();
  });
  return {
    socketPath,
    api,
    controlPort: control.port2,
    logsPort: logs.port2,
    ask: (method, path, body, options) => ask(socketPath, method, path, body, options),
    async open(path) {
      const message = await send({ socketPath, path });
      opened.push(message);
      return message;
    },
  };
}

/** Sends a request, `body` as it is when it is text, else as JSON, and reads the answer. */
export async function ask(
  socketPath: string,
  method: string,
  path: string,
  body?: unknown,
  options: RequestOptions = {},
): Promise<Answer> {
  const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  const message = await send({ socketPath, method, path, ...options }, payload);
  const answer = await text(message);
  const isJson = message.headers['content-type']?.startsWith('application/json');
  return { status: message.statusCode!, body: answer, json: isJson ? JSON.parse(answer) : null };
}

async function send(options: RequestOptions, payload?: string): Promise<IncomingMessage> {
  const outgoing = request({ agent: false, ...options });
  outgoing.end(payload);
  const [message] = (await once(outgoing, 'response')) as [IncomingMessage];
  // A connection that is cut is for the reader of the answer to see, if it cares.
  for (const end of [outgoing, message]) end.on('error', () => {});
  return message;
}

/** A service that has not been started. */
export function makeStatus(name: string, changes: Partial<ServiceStatus> = {}): ServiceStatus {
  return makeService({
    name,
    group: null,
    isolation: 'none',
    status: 'Unstarted',
    desired: 'down',
    pid: null,
    group_ip: null,
    started_at: null,
    metrics: NO_METRICS,
    ...changes,
  });
}

export const DAEMON_STATUS: DaemonStatus = {
  pid: 1,
  version: '0.1.0',
  started_at: '2026-01-01T00:00:00.000Z',
  home: '/home',
  threads: [],
  services: 2,
};

const EMPTY_REPLY: CommandReply = { services: [] };

const idleControl: ControlApi = {
  start: async () => EMPTY_REPLY,
  plan: async () => ({ actions: [] }),
  stop: async () => EMPTY_REPLY,
  restart: async () => EMPTY_REPLY,
  remove: async () => EMPTY_REPLY,
  images: async () => [],
  pullImages: async (_request, replies) => replies.close(),
  loadImages: async (_request, replies) => replies.close(),
  removeImages: async () => ({ removed: [], freed_bytes: 0 }),
  pruneImages: async () => ({ removed: [], freed_bytes: 0 }),
  services: async () => [makeStatus('db'), makeStatus('web', { group: 'front' })],
  daemon: async () => DAEMON_STATUS,
  stopDaemon: async () => {},
};
