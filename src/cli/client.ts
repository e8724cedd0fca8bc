/**
 * HTTP client of the daemon: one method per route of `workers/api/routes.ts`, each a request over the daemon's unix
 * socket.
 */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { ImageRequests, RequestOptions } from '../images/image-jobs.ts';
import { isoTime } from '../lib/clock.ts';
import { errorCode, errorTextWithPath, fromWireError, MonocoreError, type WireError } from '../lib/errors.ts';
import type {
  CommandReply,
  ControlEvent,
  DaemonStopRequest,
  PlanReply,
  Selection,
  StartRequestInput,
  StopRequestInput,
} from '../protocol/api.ts';
import { type DaemonStatus, ERROR_TRAILER, type ErrorReply, type ServicesReply } from '../protocol/http.ts';
import type { ImageReply, ImagesReply, StoredImage } from '../protocol/images.ts';
import type { LogQuery } from '../protocol/log-files/queries.ts';

/**
 * Deadline of queries, which the daemon answers from memory. Commands have none, because a stop takes as long as its
 * services need.
 */
const QUERY_DEADLINE_MS = 10_000;

/** System errors of a socket without a listener. */
const ABSENT = ['ENOENT', 'ENOTDIR', 'ECONNREFUSED'];
const FORBIDDEN = ['EACCES', 'EPERM'];
const BROKEN = ['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'];

interface RequestParts {
  /** Sent as JSON with POST; without it the request is a GET. */
  readonly body?: unknown;
  /** Cancels the request and stops reading its answer. */
  readonly signal?: AbortSignal | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Time from the request to the headers of the answer. */
  readonly deadlineMs?: number;
}

/**
 * Client of one daemon.
 *
 * Every method throws a MonocoreError: the error that the daemon sent; `DaemonUnreachable` if nothing listens on the
 * socket (the system error is its cause) or if the daemon ends before its answer is complete; `CallTimeout` if a query
 * is not answered in time; `Aborted` if a signal cancels it.
 */
export class DaemonClient {
  readonly #socketPath: string;
  readonly #queryDeadlineMs: number;
  readonly images: ImageRequests = {
    list: async () => ((await this.#command('/v1/images', undefined)) as ImagesReply).images,
    pull: (request, options) => this.#follow('/v1/images/pull', request, options),
    load: (request, options) => this.#follow('/v1/images/load', request, options),
    remove: (request) => this.#command('/v1/images/remove', request),
    prune: () => this.#command('/v1/images/prune', {}),
  };

  constructor(socketPath: string, queryDeadlineMs = QUERY_DEADLINE_MS) {
    this.#socketPath = socketPath;
    this.#queryDeadlineMs = queryDeadlineMs;
  }

  async daemon(): Promise<DaemonStatus> {
    return JSON.parse(await this.#readText(await this.#query('/v1/daemon'))) as DaemonStatus;
  }

  async services(selection: Selection): Promise<ServicesReply> {
    return JSON.parse(await this.servicesText(selection)) as ServicesReply;
  }

  /** Body of the answer exactly as the daemon sent it, for `--json`. */
  async servicesText({ names, group, project }: Selection): Promise<string> {
    const query = new URLSearchParams(names.map((name): [string, string] => ['name', name]));
    if (group !== null) query.append('group', group);
    if (project) query.append('project', project.name);
    if (project) query.append('folder', project.folder);
    return this.#readText(await this.#query(`/v1/services?${query}`));
  }

  start(request: StartRequestInput, signal?: AbortSignal): Promise<CommandReply> {
    return this.#command('/v1/services/start', request, signal);
  }

  /** Plan that {@link DaemonClient.start} would carry out. Changes nothing. */
  plan(request: StartRequestInput): Promise<PlanReply> {
    return this.#command('/v1/services/plan', request);
  }

  stop(request: StopRequestInput, signal?: AbortSignal): Promise<CommandReply> {
    return this.#command('/v1/services/stop', request, signal);
  }

  restart(request: StopRequestInput, signal?: AbortSignal): Promise<CommandReply> {
    return this.#command('/v1/services/restart', request, signal);
  }

  remove(request: StopRequestInput, signal?: AbortSignal): Promise<CommandReply> {
    return this.#command('/v1/services/remove', request, signal);
  }

  /** Asks the daemon to end. Returns before it has ended. */
  async stopDaemon(request: DaemonStopRequest): Promise<void> {
    await this.#command('/v1/daemon/stop', request);
  }

  /**
   * Status of every known service, followed by each change. Resolves once the daemon reports changes, so none is
   * missed.
   */
  async events(signal: AbortSignal): Promise<AsyncGenerator<ControlEvent, void>> {
    return this.#parseLines(await this.#query('/v1/events', { signal })) as AsyncGenerator<ControlEvent, void>;
  }

  /**
   * Matching records as bytes; a query without names selects all services. Ends with an error if records are missing.
   */
  async *logs(
    { services, streams, tail, follow, filter }: LogQuery,
    signal?: AbortSignal,
  ): AsyncGenerator<Buffer, void> {
    const parameters = new URLSearchParams([
      ...services.map((name): [string, string] => ['name', name]),
      ...streams.map((stream): [string, string] => ['stream', stream]),
    ]);
    if (tail !== null) parameters.append('tail', String(tail));
    if (follow) parameters.append('follow', 'true');
    const { sinceMs = null, untilMs = null, grep = null } = filter ?? {};
    if (sinceMs !== null) parameters.append('since', isoTime(sinceMs));
    if (untilMs !== null) parameters.append('until', isoTime(untilMs));
    if (grep) parameters.append('grep', grep.source);
    if (grep?.ignoreCase) parameters.append('ignore_case', 'true');
    // RFC 9110, section 10.1.4: a sender of TE lists it as a connection option.
    const headers = { te: 'trailers', connection: 'close, te' };
    const response = await this.#query(`/v1/logs?${parameters}`, { signal, headers });
    try {
      yield* response;
    } catch (error) {
      this.#fail(error);
    }
    const failure = response.trailers[ERROR_TRAILER];
    if (failure !== undefined) throw fromWireError(JSON.parse(decodeURIComponent(failure)) as WireError);
  }

  #query(path: string, parts?: RequestParts): Promise<IncomingMessage> {
    return this.#send(path, { ...parts, deadlineMs: this.#queryDeadlineMs });
  }

  async #command<Reply>(path: string, body: unknown, signal?: AbortSignal): Promise<Reply> {
    return JSON.parse(await this.#readText(await this.#send(path, { body, signal }))) as Reply;
  }

  /** Sends a request that is answered with a line for each event, then with `done` or `error`. */
  async #follow(path: string, body: unknown, options: RequestOptions = {}): Promise<readonly StoredImage[]> {
    const { signal, onEvent = () => {} } = options;
    for await (const line of this.#parseLines(await this.#send(path, { body, signal }))) {
      const reply = line as ImageReply;
      if (reply.type === 'done') return reply.images;
      if (reply.type === 'error') throw fromWireError(reply.error);
      onEvent(reply);
    }
    throw new MonocoreError('DaemonUnreachable', 'the daemon ended before it answered');
  }

  /** Sends a request and waits for the headers of its answer; the caller reads the body. */
  async #send(path: string, { body, signal, headers, deadlineMs }: RequestParts): Promise<IncomingMessage> {
    const payload = body === undefined ? null : JSON.stringify(body);
    const outgoing = request({
      socketPath: this.#socketPath,
      method: payload === null ? 'GET' : 'POST',
      path,
      // One connection per request: an idle one would keep the process alive.
      agent: false,
      headers: { host: 'monocore', ...headers, ...(payload === null ? {} : { 'content-type': 'application/json' }) },
      ...(signal ? { signal } : {}),
    });
    const timer =
      deadlineMs &&
      setTimeout(() => {
        const message = `the daemon did not answer ${path} within ${deadlineMs} ms`;
        outgoing.destroy(new MonocoreError('CallTimeout', message));
      }, deadlineMs);
    // An error after the headers also surfaces from reading the answer.
    outgoing.on('error', () => {}).end(payload);
    const [response] = await once(outgoing, 'response')
      .catch((error: unknown) => this.#fail(error))
      .finally(() => clearTimeout(timer));
    if ((response.statusCode ?? 0) < 400) return response;
    throw toReplyError(await this.#readText(response), response.statusCode);
  }

  #readText(response: IncomingMessage): Promise<string> {
    return text(response).catch((error: unknown) => this.#fail(error));
  }

  /** Values of newline-delimited JSON. */
  async *#parseLines(response: IncomingMessage): AsyncGenerator<unknown, void> {
    response.setEncoding('utf8');
    let rest = '';
    try {
      for await (const chunk of response) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) if (line !== '') yield JSON.parse(line);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(cause: unknown): never {
    if (cause instanceof MonocoreError) throw cause;
    const code = errorCode(cause) ?? '';
    if (code === 'ABORT_ERR') throw new MonocoreError('Aborted', 'the request was cancelled', { cause });
    let message = `the daemon cannot be reached: ${errorTextWithPath(cause)}`;
    if (ABSENT.includes(code)) message = `no daemon listens on ${this.#socketPath}`;
    if (FORBIDDEN.includes(code)) message = `${this.#socketPath} belongs to another user`;
    if (BROKEN.includes(code)) message = 'the daemon ended before it answered';
    throw new MonocoreError('DaemonUnreachable', message, { cause });
  }
}

/** True for the error of a request to a socket without a listener: no daemon is running. */
export function isDaemonAbsent(error: unknown): boolean {
  if (!(error instanceof MonocoreError) || error.code !== 'DaemonUnreachable') return false;
  return ABSENT.includes(errorCode(error.cause) ?? '');
}

function toReplyError(body: string, statusCode: number | undefined): MonocoreError {
  let reply: Partial<ErrorReply> | null = null;
  try {
    reply = JSON.parse(body) as Partial<ErrorReply> | null;
  } catch {
    // Another program may listen on the socket; its answer is quoted below.
  }
  if (reply?.error) return fromWireError(reply.error);
  return new MonocoreError(
    'Internal',
    `the daemon answered HTTP ${statusCode} with ${body.slice(0, 200) || 'nothing'}`,
  );
}
