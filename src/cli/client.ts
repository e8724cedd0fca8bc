/** The daemon as the CLI sees it: one method per route of `protocol/http.ts`, each a request over its unix socket. */
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { ImageRequests, RequestOptions } from '../images/image-jobs.ts';
import { isoTime } from '../lib/clock.ts';
import { errorCode, errorText, fromWireError, MonocoreError, type WireError } from '../lib/errors.ts';
import type {
  CommandReply,
  ControlEvent,
  DaemonStopRequest,
  PlanReply,
  Selection,
  StartRequestInput,
  StopRequest,
} from '../protocol/api.ts';
import { type DaemonStatus, ERROR_TRAILER, type ErrorReply, type ServicesReply } from '../protocol/http.ts';
import type { ImageReply, ImagesReply, StoredImage } from '../protocol/images.ts';
import type { LogQuery } from '../protocol/log-files/queries.ts';

/** Deadline of queries, which the daemon answers from memory. Commands have none: a stop takes as long as its services. */
const QUERY_DEADLINE_MS = 10_000;

/**
 * Client of one daemon. Every method throws the daemon's error as a MonocoreError, and `DaemonUnreachable` if none listens
 * or it ended before its answer was complete.
 */
export class DaemonClient {
  readonly #socketPath: string;
  /** Requests on the images of the daemon's home. */
  readonly images: ImageRequests = {
    list: async () => ((await this.#command('/v1/images', undefined)) as ImagesReply).images,
    pull: (request, options) => this.#follow('/v1/images/pull', request, options),
    load: (request, options) => this.#follow('/v1/images/load', request, options),
    remove: (request) => this.#command('/v1/images/remove', request),
    prune: () => this.#command('/v1/images/prune', {}),
  };

  /** @param socketPath the daemon's unix socket */
  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  async daemon(): Promise<DaemonStatus> {
    return JSON.parse(await this.daemonText()) as DaemonStatus;
  }

  /** The answer as the daemon sent it, for `--json`. */
  daemonText(): Promise<string> {
    return this.#query('/v1/daemon');
  }

  async services(selection: Selection): Promise<ServicesReply> {
    return JSON.parse(await this.servicesText(selection)) as ServicesReply;
  }

  /** The answer as the daemon sent it, for `--json`. */
  servicesText(selection: Selection): Promise<string> {
    const query = new URLSearchParams();
    for (const name of selection.names) query.append('name', name);
    if (selection.group !== null) query.append('group', selection.group);
    return this.#query(`/v1/services?${query}`);
  }

  start(request: StartRequestInput, signal?: AbortSignal): Promise<CommandReply> {
    return this.#command('/v1/services/start', request, signal);
  }

  /** Plan of {@link DaemonClient.start}, without doing anything. */
  plan(request: StartRequestInput): Promise<PlanReply> {
    return this.#command('/v1/services/plan', request);
  }

  stop(request: StopRequest, signal?: AbortSignal): Promise<CommandReply> {
    return this.#command('/v1/services/stop', request, signal);
  }

  restart(request: StopRequest, signal?: AbortSignal): Promise<CommandReply> {
    return this.#command('/v1/services/restart', request, signal);
  }

  remove(request: StopRequest, signal?: AbortSignal): Promise<CommandReply> {
    return this.#command('/v1/services/remove', request, signal);
  }

  /** Asks the daemon to end. Returns before it has ended. */
  async stopDaemon(request: DaemonStopRequest): Promise<void> {
    await this.#command('/v1/daemon/stop', request);
  }

  /** Every known service, then each change. Resolves once the daemon reports changes, so that none is missed. */
  async events(signal: AbortSignal): Promise<AsyncGenerator<ControlEvent, void>> {
    const response = await this.#open('/v1/events', signal);
    return parseLines(response, this.#socketPath) as AsyncGenerator<ControlEvent, void>;
  }

  /**
   * The records as bytes; of all services if the query names none. {@link checkWhole} tells, after the last byte, whether
   * they are complete.
   */
  logs(query: LogQuery, signal?: AbortSignal): Promise<IncomingMessage> {
    const parameters = new URLSearchParams();
    for (const name of query.services) parameters.append('name', name);
    for (const stream of query.streams) parameters.append('stream', stream);
    if (query.tail !== null) parameters.append('tail', String(query.tail));
    if (query.follow) parameters.append('follow', 'true');
    const { sinceMs = null, untilMs = null, grep = null } = query.filter ?? {};
    if (sinceMs !== null) parameters.append('since', isoTime(sinceMs));
    if (untilMs !== null) parameters.append('until', isoTime(untilMs));
    if (grep) parameters.append('grep', grep.source);
    if (grep?.ignoreCase) parameters.append('ignore_case', 'true');
    return this.#open(`/v1/logs?${parameters}`, signal, true);
  }

  #open(path: string, signal: AbortSignal | undefined, takesTrailers = false): Promise<IncomingMessage> {
    const deadlineMs = QUERY_DEADLINE_MS;
    return sendRequest(this.#socketPath, { method: 'GET', path, signal, takesTrailers, deadlineMs });
  }

  async #query(path: string): Promise<string> {
    return readText(await this.#open(path, undefined), this.#socketPath);
  }

  async #command<Reply>(path: string, body: unknown, signal?: AbortSignal): Promise<Reply> {
    const method = body === undefined ? 'GET' : 'POST';
    const response = await sendRequest(this.#socketPath, { method, path, body, signal });
    return JSON.parse(await readText(response, this.#socketPath)) as Reply;
  }

  /** Sends a request that is answered with a line for each event, then with `done` or `error`. */
  async #follow(path: string, body: unknown, options: RequestOptions = {}): Promise<readonly StoredImage[]> {
    const { signal, onEvent = () => {} } = options;
    const response = await sendRequest(this.#socketPath, { method: 'POST', path, body, signal });
    for await (const line of parseLines(response, this.#socketPath)) {
      const reply = line as ImageReply;
      if (reply.type === 'done') return reply.images;
      if (reply.type === 'error') throw fromWireError(reply.error);
      onEvent(reply);
    }
    throw new MonocoreError('DaemonUnreachable', 'the daemon ended before it answered');
  }
}

/** Values of newline-delimited JSON. */
async function* parseLines(response: IncomingMessage, socketPath: string): AsyncGenerator<unknown, void> {
  response.setEncoding('utf8');
  let rest = '';
  try {
    for await (const chunk of response) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line !== '') yield JSON.parse(line);
    }
  } catch (error) {
    throw toMonocoreError(error, socketPath);
  }
}

/** HTTP request to the daemon. */
interface DaemonRequest {
  readonly method: 'GET' | 'POST';
  /** Path with query. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Cancels the request and the reading of its answer. */
  readonly signal?: AbortSignal | undefined;
  /** The answer may report a failure in its trailers, see {@link checkWhole}. */
  readonly takesTrailers?: boolean;
  /** From the request to the answer's headers; no limit if it is left out. */
  readonly deadlineMs?: number;
}

/**
 * Sends a request and waits for the headers of its answer; the caller reads the body.
 *
 * @throws MonocoreError the daemon's error; `DaemonUnreachable` if nobody listens, with the system's error as its cause,
 * or the daemon ends meanwhile; `CallTimeout` after `deadlineMs`; `Aborted` by `signal`
 */
export async function sendRequest(socketPath: string, options: DaemonRequest): Promise<IncomingMessage> {
  const { method, path, body, signal, takesTrailers, deadlineMs } = options;
  const payload = body === undefined ? null : JSON.stringify(body);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request({
      socketPath,
      method,
      path,
      // One connection per request: an idle one would keep the process alive.
      agent: false,
      headers: {
        host: 'monocore',
        // RFC 9110, section 10.1.4: a sender of TE lists it as a connection option.
        ...(takesTrailers ? { te: 'trailers', connection: 'close, te' } : {}),
        ...(payload === null
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
      },
      ...(signal ? { signal } : {}),
    });
    const timer =
      deadlineMs === undefined
        ? undefined
        : setTimeout(() => {
            reject(new MonocoreError('CallTimeout', `the daemon did not answer ${path} within ${deadlineMs} ms`));
            outgoing.destroy();
          }, deadlineMs);
    outgoing.on('error', (error) => {
      clearTimeout(timer);
      reject(toMonocoreError(error, socketPath));
    });
    outgoing.on('response', (answer) => {
      clearTimeout(timer);
      resolve(answer);
    });
    outgoing.end(payload);
  });
  if ((response.statusCode ?? 0) < 400) return response;
  throw toReplyError(await readText(response, socketPath), response.statusCode);
}

/** Throws the error that the trailers of a completely read answer report. */
export function checkWhole({ trailers }: IncomingMessage): void {
  const failure = trailers[ERROR_TRAILER];
  if (failure !== undefined) throw fromWireError(JSON.parse(decodeURIComponent(failure)) as WireError);
}

/** The whole body. Throws `DaemonUnreachable` if the daemon ends before it is complete. */
async function readText(response: IncomingMessage, socketPath: string): Promise<string> {
  try {
    return await text(response);
  } catch (error) {
    throw toMonocoreError(error, socketPath);
  }
}

/** True for the error of a request to a socket without a listener: no daemon is running. */
export function isDaemonAbsent(error: unknown): boolean {
  if (!(error instanceof MonocoreError) || error.code !== 'DaemonUnreachable') return false;
  const cause = errorCode(error.cause);
  return cause === 'ENOENT' || cause === 'ENOTDIR' || cause === 'ECONNREFUSED';
}

/** Explains the failure of a connection to the daemon. */
export function toMonocoreError(error: unknown, socketPath: string): MonocoreError {
  switch (errorCode(error)) {
    case 'ABORT_ERR':
      return new MonocoreError('Aborted', 'the request was cancelled', { cause: error });
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ECONNREFUSED':
      return new MonocoreError('DaemonUnreachable', `no daemon listens on ${socketPath}`, { cause: error });
    case 'EACCES':
    case 'EPERM':
      return new MonocoreError('DaemonUnreachable', `${socketPath} belongs to another user`, { cause: error });
    case 'ECONNRESET':
    case 'EPIPE':
    case 'ERR_STREAM_PREMATURE_CLOSE':
      return new MonocoreError('DaemonUnreachable', 'the daemon ended before it answered', { cause: error });
    default:
      return new MonocoreError('DaemonUnreachable', `the daemon cannot be reached: ${errorText(error)}`, {
        cause: error,
      });
  }
}

function toReplyError(body: string, statusCode: number | undefined): MonocoreError {
  let reply: Partial<ErrorReply> | null = null;
  try {
    reply = JSON.parse(body) as Partial<ErrorReply> | null;
  } catch {
    // The answer of some other program, quoted below.
  }
  if (reply?.error) return fromWireError(reply.error);
  return new MonocoreError(
    'Internal',
    `the daemon answered HTTP ${statusCode} with ${body.slice(0, 200) || 'nothing'}`,
  );
}
