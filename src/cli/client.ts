/** The daemon as the CLI sees it: one method per route of `protocol/http.ts`. */
import type { IncomingMessage } from 'node:http';
import { isoTime } from '../lib/clock.ts';
import type {
  CommandReply,
  ControlEvent,
  DaemonStatus,
  DaemonStopRequest,
  PlanReply,
  Selection,
  StartRequestInput,
  StopRequest,
} from '../protocol/api.ts';
import type { ServicesReply } from '../protocol/http.ts';
import type { LogQuery } from '../protocol/logs.ts';
import { readText, sendRequest, toMonocoreError } from './http.ts';

/** For questions that the daemon answers from memory. Commands have none: a stop takes as long as its services do. */
const QUERY_DEADLINE_MS = 10_000;

/**
 * Client of one daemon. Every method throws what the daemon answered as a MonocoreError, and `DaemonUnreachable` when
 * none listens or it ended before it had answered.
 */
export class DaemonClient {
  readonly #socketPath: string;

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

  /** What {@link DaemonClient.start} would do. */
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

  /** Returns at once; the daemon ends after its answer. */
  async stopDaemon(request: DaemonStopRequest): Promise<void> {
    await this.#command('/v1/daemon/stop', request);
  }

  /** Every known service, then each change. Resolves when the daemon has begun to report, so that none is missed. */
  async events(signal: AbortSignal): Promise<AsyncGenerator<ControlEvent, void>> {
    const response = await this.#open('/v1/events', signal);
    return parseLines(response, this.#socketPath) as AsyncGenerator<ControlEvent, void>;
  }

  /**
   * The records as bytes. Without services in the query: of all services. Whether they are all is told by `checkWhole`
   * when they have been read.
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
    const response = await sendRequest(this.#socketPath, { method: 'POST', path, body, signal });
    return JSON.parse(await readText(response, this.#socketPath)) as Reply;
  }
}

/** The values of newline-delimited JSON. */
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
