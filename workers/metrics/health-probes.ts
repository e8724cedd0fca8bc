/** Health probes on ports of this host: plain connections and HTTP. */
import type { EventEmitter } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { errorCode, errorText } from '../../src/lib/errors.ts';
import { CANCELLED, type NetworkProbe, type ProbeResult } from '../../src/protocol/supervision.ts';

/** Address on which plain processes listen. */
const HOST = '127.0.0.1';

const CLOSED: ProbeResult = { ok: false, detail: 'connection closed without an answer' };

function failure(error: unknown): ProbeResult {
  const code = errorCode(error);
  if (code === 'ECONNREFUSED') return { ok: false, detail: 'connection refused' };
  if (code === 'ECONNRESET') return CLOSED;
  // Codes of Node's HTTP parser, see "HTTP errors" in its documentation.
  if (code?.startsWith('HPE_')) return { ok: false, detail: `not an HTTP response: ${errorText(error)}` };
  return { ok: false, detail: errorText(error) };
}

/**
 * Opens a connection. The status alone decides about an HTTP answer, so its body is not read; a redirect is a success.
 */
function open(probe: NetworkProbe): Socket | ClientRequest {
  const { port } = probe;
  if (probe.type === 'tcp') return connect({ host: HOST, port });
  return request({ host: HOST, port, path: probe.path, agent: false, headers: { connection: 'close' } }).end();
}

/** Result of the first answer, or of a close without one. */
function answerOf(connection: EventEmitter): Promise<ProbeResult> {
  return new Promise((resolve) => {
    connection.once('connect', () => resolve({ ok: true, detail: 'connected' }));
    connection.once('response', ({ statusCode = 0 }: IncomingMessage) =>
      resolve({ ok: statusCode >= 200 && statusCode <= 399, detail: `status ${statusCode}` }),
    );
    // Later errors result from closing a connection that has answered.
    connection.on('error', (error) => resolve(failure(error)));
    connection.once('close', () => resolve(CLOSED));
  });
}

export class NetworkProber {
  readonly #cancels = new Map<number, () => void>();

  /** Implements `MetricsApi.probe`. */
  async probe(id: number, probe: NetworkProbe, timeoutMs: number): Promise<ProbeResult | null> {
    const connection: EventEmitter & { destroy(): unknown } = open(probe);
    const closed = new Promise((resolve) => connection.once('close', resolve));
    let timer: NodeJS.Timeout | undefined;
    const cut = new Promise<ProbeResult | null>((resolve) => {
      timer = setTimeout(() => resolve(null), timeoutMs);
      this.#cancels.set(id, () => resolve(CANCELLED));
    });
    const result = await Promise.race([answerOf(connection), cut]);
    clearTimeout(timer);
    this.#cancels.delete(id);
    connection.destroy();
    await closed;
    return result;
  }

  /** Implements `MetricsApi.cancelProbe`. */
  cancel(id: number): void {
    this.#cancels.get(id)?.();
  }
}
