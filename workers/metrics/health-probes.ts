/** Asks ports of this host whether a service works: plain connections and HTTP. */
import { request } from 'node:http';
import { connect } from 'node:net';
import { errorCode, errorText } from '../../src/lib/errors.ts';
import { CANCELLED, type NetworkProbe, type ProbeResult } from '../../src/protocol/supervision.ts';

/** Address of the ports of plain processes. */
const HOST = '127.0.0.1';

interface Connection {
  /** Result of the first answer, or of a close without one. */
  readonly answer: Promise<ProbeResult>;
  readonly closed: Promise<void>;
  close(): void;
}

const CLOSED: ProbeResult = { ok: false, detail: 'connection closed without an answer' };

function failure(error: unknown): ProbeResult {
  const code = errorCode(error);
  if (code === 'ECONNREFUSED') return { ok: false, detail: 'connection refused' };
  if (code === 'ECONNRESET') return CLOSED;
  // Codes of Node's HTTP parser: see "HTTP errors" of its documentation.
  if (code?.startsWith('HPE_')) return { ok: false, detail: `not an HTTP response: ${errorText(error)}` };
  return { ok: false, detail: errorText(error) };
}

function openTcp(port: number): Connection {
  const socket = connect({ host: HOST, port });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const answer = new Promise<ProbeResult>((resolve) => {
    socket.once('connect', () => resolve({ ok: true, detail: 'connected' }));
    socket.once('error', (error) => resolve(failure(error)));
    socket.once('close', () => resolve(CLOSED));
  });
  return { answer, closed, close: () => socket.destroy() };
}

/** The status decides, so the body stays unread; a redirection is a success. */
function openHttp(port: number, path: string): Connection {
  const call = request({ host: HOST, port, path, agent: false, headers: { connection: 'close' } });
  const closed = new Promise<void>((resolve) => call.once('close', () => resolve()));
  const answer = new Promise<ProbeResult>((resolve) => {
    call.once('response', ({ statusCode = 0 }) =>
      resolve({ ok: statusCode >= 200 && statusCode <= 399, detail: `status ${statusCode}` }),
    );
    // Later errors come from closing a connection that has answered.
    call.on('error', (error) => resolve(failure(error)));
    call.once('close', () => resolve(CLOSED));
  });
  call.end();
  return { answer, closed, close: () => call.destroy() };
}

export class NetworkProber {
  readonly #cancels = new Map<number, () => void>();

  /** See `MetricsApi.probe`. */
  async probe(id: number, probe: NetworkProbe, timeoutMs: number): Promise<ProbeResult | null> {
    const connection = probe.type === 'tcp' ? openTcp(probe.port) : openHttp(probe.port, probe.path);
    let timer: NodeJS.Timeout | undefined;
    const cut = new Promise<ProbeResult | null>((resolve) => {
      timer = setTimeout(() => resolve(null), timeoutMs);
      this.#cancels.set(id, () => resolve(CANCELLED));
    });
    const result = await Promise.race([connection.answer, cut]);
    clearTimeout(timer);
    this.#cancels.delete(id);
    connection.close();
    await connection.closed;
    return result;
  }

  /** See `MetricsApi.cancelProbe`. */
  cancel(id: number): void {
    this.#cancels.get(id)?.();
  }
}
