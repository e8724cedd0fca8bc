/** A daemon played by the test: an HTTP server on the home's socket that answers what the test says. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { selectFromConfig } from '../../../src/cli/selection.ts';
import type { WireError } from '../../../src/lib/errors.ts';
import { packageVersion } from '../../../src/lib/package-info.ts';
import type { ControlEvent, StartRequest } from '../../../src/protocol/api.ts';
import type { DaemonStatus } from '../../../src/protocol/http.ts';
import { HomePaths } from '../../../src/state/paths.ts';

/** A request as it came. */
interface ReceivedRequest {
  readonly method: string;
  readonly url: string;
  /** Parsed JSON; null without body. */
  readonly body: unknown;
}

/** Answers one route. */
export type Handler = (response: ServerResponse, request: ReceivedRequest) => void;

/** Controls of a fake daemon. */
export interface FakeDaemon {
  readonly requests: readonly ReceivedRequest[];
  /** Reports a change to everybody who listens to `/v1/events`. */
  emit(event: ControlEvent): void;
}

/** Status of the daemon. */
export function makeDaemonStatus(home: string, differences: Partial<DaemonStatus> = {}): DaemonStatus {
  const threads = [{ name: 'logs', state: 'ready', restarts: 0 }] as const;
  const started_at = '2026-11-23T08:00:00.000Z';
  return { pid: process.pid, version: packageVersion(), started_at, home, threads, services: 0, ...differences };
}

/**
 * Listens on the home's socket until the test has ended.
 *
 * @param handlers by `METHOD /path`; `GET /v1/daemon`, `GET /v1/events` and `plan` have answers already
 * @param known services that `GET /v1/events` begins with
 */
export async function startFakeDaemon(
  t: TestContext,
  home: string,
  handlers: Readonly<Record<string, Handler>> = {},
  known: readonly ControlEvent[] = [],
): Promise<FakeDaemon> {
  const requests: ReceivedRequest[] = [];
  const listeners = new Set<ServerResponse>();
  const routes: Record<string, Handler> = {
    'GET /v1/daemon': (response) => sendJson(response, makeDaemonStatus(home)),
    'GET /v1/events': (response) => {
      response.writeHead(200).flushHeaders();
      for (const event of known) response.write(`${JSON.stringify(event)}\n`);
      listeners.add(response);
    },
    'POST /v1/services/plan': (response, { body }) => {
      const { config, ...selection } = body as StartRequest;
      const actions = selectFromConfig(config, selection).map((name) => ({ name, action: 'create', reason: null }));
      sendJson(response, { actions });
    },
    ...handlers,
  };

  const server = createServer(async (incoming: IncomingMessage, response) => {
    const { method = '', url = '' } = incoming;
    const body = await text(incoming);
    const request = { method, url, body: body === '' ? null : JSON.parse(body) };
    requests.push(request);
    const route = routes[`${method} ${url.split('?')[0]}`];
    if (route) route(response, request);
    else sendError(response, 404, { code: 'Internal', message: `no route ${url}`, details: null, cause_code: null });
  });
  server.listen(new HomePaths(home).socket);
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    requests,
    emit(event) {
      for (const listener of listeners) listener.write(`${JSON.stringify(event)}\n`);
    },
  };
}

export function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

export function sendError(response: ServerResponse, statusCode: number, error: WireError): void {
  response.writeHead(statusCode, { 'content-type': 'application/json' }).end(JSON.stringify({ error }));
}
