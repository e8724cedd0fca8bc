/** One HTTP request over the daemon's unix socket. */
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { errorCode, errorText, MonocoreError } from '../lib/errors.ts';
import { fromWireError, type WireError } from '../lib/wire-error.ts';
import { ERROR_TRAILER, type ErrorReply } from '../protocol/http.ts';

/** A request to the daemon. */
export interface DaemonRequest {
  readonly method: 'GET' | 'POST';
  /** Path with query. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Cancels the request, and the reading of its answer. */
  readonly signal?: AbortSignal | undefined;
  /** The answer may say at its end that it failed, see {@link checkWhole}. */
  readonly takesTrailers?: boolean;
  /** From the request to the answer's headers; without it the daemon may take as long as it needs. */
  readonly deadlineMs?: number;
}

/**
 * Sends a request and waits for the headers of its answer, whose body the caller reads.
 *
 * @throws MonocoreError what the daemon answered; `DaemonUnreachable` when nobody listens, with the system's error as
 * its cause, and when the daemon ends meanwhile; `CallTimeout` after `deadlineMs`; `Aborted` by `signal`
 */
export async function sendRequest(socketPath: string, options: DaemonRequest): Promise<IncomingMessage> {
  const { method, path, body, signal, takesTrailers, deadlineMs } = options;
  const payload = body === undefined ? null : JSON.stringify(body);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request({
      socketPath,
      method,
      path,
      // One connection per request: a kept one would keep the process alive.
      agent: false,
      headers: {
        host: 'monocore',
        // RFC 9110, section 10.1.4: whoever sends TE names it as an option of the connection.
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
            reject(new MonocoreError('CallTimeout', `the daemon did not answer ${path} in ${deadlineMs} ms`));
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

/** Throws the error with which an answer ended that was read to its end. */
export function checkWhole({ trailers }: IncomingMessage): void {
  const failure = trailers[ERROR_TRAILER];
  if (failure !== undefined) throw fromWireError(JSON.parse(decodeURIComponent(failure)) as WireError);
}

/** The whole body; throws `DaemonUnreachable` when the daemon ends before it was complete. */
export async function readText(response: IncomingMessage, socketPath: string): Promise<string> {
  try {
    return await text(response);
  } catch (error) {
    throw toMonocoreError(error, socketPath);
  }
}

/** True for the error of a request to a socket on which nobody listens: no daemon runs. */
export function isDaemonAbsent(error: unknown): boolean {
  if (!(error instanceof MonocoreError) || error.code !== 'DaemonUnreachable') return false;
  const cause = errorCode(error.cause);
  return cause === 'ENOENT' || cause === 'ENOTDIR' || cause === 'ECONNREFUSED';
}

/** Names what went wrong on a connection to the daemon. */
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
      return new MonocoreError('DaemonUnreachable', 'the daemon ended before it had answered', { cause: error });
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
    // Not of the daemon's making: named below.
  }
  if (reply?.error) return fromWireError(reply.error);
  return new MonocoreError(
    'Internal',
    `the daemon answered HTTP ${statusCode} with ${body.slice(0, 200) || 'nothing'}`,
  );
}
