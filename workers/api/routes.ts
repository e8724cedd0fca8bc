/**
 * The HTTP interface of the daemon, over its unix socket. JSON in and out; an error answers with a
 * `WireError` in `{"error": …}`.
 *
 * | route | request | answer |
 * |---|---|---|
 * | `GET /v1/daemon` | | `DaemonStatus` |
 * | `POST /v1/daemon/stop` | `DaemonStopRequest` | `{}` |
 * | `GET /v1/services?name=…&name=…&group=…&project=…&folder=…` | | `ServicesReply` |
 * | `POST /v1/services/start` | `StartRequest` | `CommandReply` |
 * | `POST /v1/services/plan` | `StartRequest` | `PlanReply` |
 * | `POST /v1/services/stop`, `/restart`, `/remove` | `StopRequest` | `CommandReply` |
 * | `GET /v1/images` | | `ImagesReply` |
 * | `POST /v1/images/pull`, `/load` | `PullRequest`, `LoadRequest` | newline-delimited JSON: an `ImageReply` a line |
 * | `POST /v1/images/remove` | `RemoveImagesRequest` | `RemovedImages` |
 * | `POST /v1/images/prune` | | `RemovedImages` |
 * | `GET /v1/events` | | newline-delimited JSON: a `ControlEvent` for each service known, then each change |
 * | `GET /v1/logs?name=…&stream=stdout&stream=stderr&tail=100&follow=true&since=…&until=…&grep=…&ignore_case=true` | | text: the records, as in the files |
 *
 * `since` and `until` are RFC 3339 with a zone, or milliseconds since the epoch, both included. `grep` is a JavaScript
 * regular expression, see `LogPattern`; `tail` counts the records that match. With `follow` they apply to new records as
 * well, and the answer ends when `until` has passed.
 *
 * Closing the connection cancels a pull or load. An error before the first line is an ordinary error answer; a later one is
 * the last line.
 *
 * The logs' answer may fail after its status was sent. For a client that sent `TE: trailers` (RFC 9110, section 10.1.4) it
 * ends with the trailer `ERROR_TRAILER`. Any other client's connection is reset, so that an incomplete answer is not
 * taken for a complete one.
 */
import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { Hono } from 'hono';
import type * as v from 'valibot';
import { type ErrorCode, MonocoreError, toWireError } from '../../src/lib/errors.ts';
import {
  type ControlApi,
  DaemonStopRequestSchema,
  NoRequestSchema,
  StartRequestSchema,
  StopRequestSchema,
} from '../../src/protocol/api.ts';
import type { ErrorReply, ServicesReply } from '../../src/protocol/http.ts';
import {
  type ImagesReply,
  LoadRequestSchema,
  PullRequestSchema,
  RemoveImagesRequestSchema,
} from '../../src/protocol/images.ts';
import { filterOf } from '../../src/protocol/log-files/queries.ts';
import type { LogsApi } from '../../src/protocol/logs.ts';
import { select } from '../../src/protocol/selection.ts';
import type { Remote } from '../../src/threads/rpc.ts';
import type { EventHub } from './event-hub.ts';
import { streamImages } from './image-stream.ts';
import { LogsQuerySchema, parseQuery, readBody, ServicesQuerySchema } from './input.ts';
import { streamLogs } from './log-stream.ts';
import type { OpenAnswers } from './open-answers.ts';

const STATUS_OF_CODE: Readonly<Record<ErrorCode, number>> = {
  ConfigInvalid: 400,
  Usage: 400,
  ServiceUnknown: 404,
  ImageUnknown: 404,
  DaemonRunning: 409,
  Aborted: 409,
  ImageInUse: 409,
  NameTaken: 409,
  HomeUnusable: 500,
  ToolMissing: 500,
  StartFailed: 500,
  StopFailed: 500,
  Internal: 500,
  ImageInvalid: 502,
  ImageUnavailable: 502,
  DaemonUnreachable: 503,
  ThreadDied: 503,
  CallTimeout: 504,
};

/**
 * Builds the response to a request that threw `error`.
 *
 * @param status overrides the status of the error's code
 */
export function errorResponse(error: unknown, status?: number): Response {
  const wire = toWireError(error);
  return Response.json({ error: wire } satisfies ErrorReply, { status: status ?? STATUS_OF_CODE[wire.code] });
}

interface RouteContext {
  readonly control: Remote<ControlApi>;
  /** Returns the current log worker. */
  readonly logs: () => Remote<LogsApi>;
  readonly events: EventHub;
  readonly answers: OpenAnswers;
}

/** Builds the application, which ignores the host that a request names. */
export function createRoutes({ control, logs, events, answers }: RouteContext): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>();
  app.onError((error) => errorResponse(error));
  app.notFound(({ req }) => errorResponse(new MonocoreError('Usage', `no route ${req.method} ${req.path}`), 404));
  /** Answers requests whose body matches `schema` with the result of `execute`. */
  const post = <Schema extends v.GenericSchema>(
    path: string,
    schema: Schema,
    execute: (request: v.InferOutput<Schema>) => Promise<object>,
  ): void => {
    app.post(path, async (c) => c.json(await execute(await readBody(schema, c.env.incoming))));
  };
  app.get('/v1/daemon', async (c) => c.json(await control.daemon()));
  post('/v1/daemon/stop', DaemonStopRequestSchema, async (request) => {
    await control.stopDaemon(request);
    return {};
  });

  app.get('/v1/services', async (c) => {
    const { name, group = null, project, folder } = parseQuery(ServicesQuerySchema, c.req.queries());
    const owner = project === undefined || folder === undefined ? null : { name: project, folder };
    const services = select(await control.services(), { names: name, group, project: owner }, 'the daemon');
    return c.json({ services } satisfies ServicesReply);
  });
  for (const command of ['start', 'plan'] as const)
    post(`/v1/services/${command}`, StartRequestSchema, (request) => control[command](request));
  for (const command of ['stop', 'restart', 'remove'] as const)
    post(`/v1/services/${command}`, StopRequestSchema, (request) => control[command](request));

  app.get('/v1/images', async (c) => c.json({ images: await control.images() } satisfies ImagesReply));
  app.post('/v1/images/pull', async (c) => {
    const request = await readBody(PullRequestSchema, c.env.incoming);
    await streamImages(c.env.outgoing, (port) => control.pullImages(request, port), answers);
    return RESPONSE_ALREADY_SENT;
  });
  app.post('/v1/images/load', async (c) => {
    const request = await readBody(LoadRequestSchema, c.env.incoming);
    await streamImages(c.env.outgoing, (port) => control.loadImages(request, port), answers);
    return RESPONSE_ALREADY_SENT;
  });
  post('/v1/images/remove', RemoveImagesRequestSchema, (request) => control.removeImages(request));
  post('/v1/images/prune', NoRequestSchema, () => control.pruneImages());

  app.get('/v1/events', async (c) => {
    await events.add(c.env.outgoing, () => control.services());
    return RESPONSE_ALREADY_SENT;
  });
  app.get('/v1/logs', async (c) => {
    const {
      name,
      stream,
      tail = null,
      follow,
      since,
      until,
      grep,
      ignore_case,
    } = parseQuery(LogsQuerySchema, c.req.queries());
    const selected = select(await control.services(), { names: name, group: null }, 'the daemon');
    const services = selected.map((service) => service.name);
    const query = {
      services,
      streams: [...new Set(stream)],
      tail,
      follow,
      ...filterOf(since, until, grep, ignore_case),
    };
    await streamLogs(c.env.incoming, c.env.outgoing, logs(), query, answers);
    return RESPONSE_ALREADY_SENT;
  });
  return app;
}
