/** `GET /v1/logs`: the log worker's chunks, passed on at the pace of the client. */
import type { ServerResponse } from 'node:http';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { LogQuery, LogReadEvent, LogsApi } from '../../src/protocol/logs.ts';
import { type Remote, transfer } from '../../src/threads/comlink.ts';
import type { OpenAnswers } from './open-answers.ts';

/**
 * Answers with the records of `query`. Throws what the log worker throws; nothing has been sent then. A failure later
 * cuts the connection, so that the client does not take the part for the whole.
 */
export async function streamLogs(
  outgoing: ServerResponse,
  logs: Remote<LogsApi>,
  query: LogQuery,
  answers: OpenAnswers,
): Promise<void> {
  const { port1: port, port2: readerPort } = new MessageChannel();
  // Closing the port is what ends the reader.
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
  answers.startStream(outgoing, 'text/plain; charset=utf-8');
  pipeChunks(port, outgoing);
}

function pipeChunks(port: MessagePort, outgoing: ServerResponse): void {
  let ended = false;
  port.on('message', (event: LogReadEvent) => {
    if (outgoing.writableEnded) return;
    switch (event.type) {
      case 'chunk': {
        const askForMore = () => port.postMessage('more');
        // False: the client has not read what was sent before. The next chunk is due when it has.
        if (outgoing.write(event.bytes)) askForMore();
        else outgoing.once('drain', askForMore);
        return;
      }
      case 'end':
        ended = true;
        outgoing.end();
        return;
      case 'error':
        outgoing.destroy();
        return;
      default:
        event satisfies never;
    }
  });
  // The log worker died, unless it has said that this was all.
  port.once('close', () => {
    if (!ended) outgoing.destroy();
  });
}
