/** Serves `GET /v1/logs`: passes on the log worker's chunks as fast as the client reads them. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { MonocoreError, toWireError, type WireError } from '../../src/lib/errors.ts';
import { ERROR_TRAILER } from '../../src/protocol/http.ts';
import type { LogQuery, LogReadEvent } from '../../src/protocol/log-files/queries.ts';
import type { LogsApi } from '../../src/protocol/logs.ts';
import { type Remote, transfer } from '../../src/threads/rpc.ts';
import type { OpenAnswers } from './open-answers.ts';

/**
 * Sends the records of `query`. A later failure is reported in a trailer; if the client does not support trailers, the
 * connection is cut.
 *
 * @throws the error of the log worker; then nothing has been sent
 */
export async function streamLogs(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  logs: Remote<LogsApi>,
  query: LogQuery,
  answers: OpenAnswers,
): Promise<void> {
  const { port1: port, port2: readerPort } = new MessageChannel();
  // Closing the port ends the reader.
  outgoing.once('close', () => port.close());
  try {
    await logs.read(query, transfer(readerPort, [readerPort]));
  } catch (error) {
    port.close();
    throw error;
  }
  if (outgoing.destroyed) return port.close();
  const takesTrailers = /(^|,)\s*trailers\s*(,|$)/i.test(String(incoming.headers.te ?? ''));
  if (takesTrailers) outgoing.setHeader('trailer', ERROR_TRAILER);
  answers.startStream(outgoing, 'text/plain; charset=utf-8');
  pipeChunks(port, outgoing, (error) => {
    if (!takesTrailers) return void outgoing.destroy();
    outgoing.addTrailers({ [ERROR_TRAILER]: encodeURIComponent(JSON.stringify(error)) });
    outgoing.end();
  });
}

/** Writes the chunks and ends the answer; `fail` ends an incomplete answer. */
function pipeChunks(port: MessagePort, outgoing: ServerResponse, fail: (error: WireError) => void): void {
  let isOver = false;
  port.on('message', (event: LogReadEvent) => {
    if (outgoing.writableEnded) return;
    if (event.type === 'chunk') {
      const { buffer } = event.bytes;
      // Once the kernel has taken all of it, the buffer can be refilled with the next chunk.
      outgoing.write(event.bytes, () => port.postMessage(buffer, [buffer]));
      return;
    }
    isOver = true;
    if (event.type === 'end') outgoing.end();
    else fail(event.error);
  });
  port.once('close', () => {
    if (isOver || outgoing.writableEnded || outgoing.destroyed) return;
    fail(toWireError(new MonocoreError('ThreadDied', 'the log worker ended during the read; try again')));
  });
}
