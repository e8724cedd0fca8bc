/** Answers to `GET /v1/logs`: the log worker's chunks at the client's pace. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { MonocoreError } from '../../src/lib/errors.ts';
import { toWireError, type WireError } from '../../src/lib/wire-error.ts';
import { ERROR_TRAILER } from '../../src/protocol/http.ts';
import type { LogQuery, LogReadEvent } from '../../src/protocol/log-files/queries.ts';
import type { LogsApi } from '../../src/protocol/logs.ts';
import { type Remote, transfer } from '../../src/threads/rpc.ts';
import type { OpenAnswers } from './open-answers.ts';

/** A request and its answer. */
export interface Exchange {
  readonly incoming: Pick<IncomingMessage, 'headers'>;
  readonly outgoing: ServerResponse;
}

/** Ends an incomplete answer. */
type Fail = (error: WireError) => void;

/**
 * Answers with the records of `query`. A later failure is sent in a trailer; without support for trailers the connection is
 * cut.
 *
 * @throws what the log worker throws; nothing has been sent then
 */
export async function streamLogs(
  { incoming, outgoing }: Exchange,
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
  if (outgoing.destroyed) {
    port.close();
    return;
  }
  const takesTrailers = /(^|,)\s*trailers\s*(,|$)/i.test(String(incoming.headers.te ?? ''));
  if (takesTrailers) outgoing.setHeader('trailer', ERROR_TRAILER);
  answers.startStream(outgoing, 'text/plain; charset=utf-8');
  pipeChunks(port, outgoing, (error) => {
    if (!takesTrailers) {
      outgoing.destroy();
      return;
    }
    outgoing.addTrailers({ [ERROR_TRAILER]: encodeURIComponent(JSON.stringify(error)) });
    outgoing.end();
  });
}

function pipeChunks(port: MessagePort, outgoing: ServerResponse, fail: Fail): void {
  let isOver = false;
  port.on('message', (event: LogReadEvent) => {
    if (outgoing.writableEnded) return;
    switch (event.type) {
      case 'chunk': {
        const { buffer } = event.bytes;
        // Once the kernel has all of it, the buffer may be refilled with the next chunk.
        outgoing.write(event.bytes, () => port.postMessage(buffer, [buffer]));
        return;
      }
      case 'end':
        isOver = true;
        outgoing.end();
        return;
      case 'error':
        isOver = true;
        fail(event.error);
        return;
      default:
        event satisfies never;
    }
  });
  port.once('close', () => {
    if (isOver || outgoing.writableEnded || outgoing.destroyed) return;
    fail(toWireError(new MonocoreError('ThreadDied', 'the log worker ended during the read; try again')));
  });
}
