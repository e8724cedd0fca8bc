/** Serves `POST /v1/images/pull` and `load`: one line for each event of the main thread, then `done` or `error`. */
import type { ServerResponse } from 'node:http';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { fromWireError, MonocoreError } from '../../src/lib/errors.ts';
import type { ImageReply } from '../../src/protocol/images.ts';
import { transfer } from '../../src/threads/rpc.ts';
import type { OpenAnswers } from './open-answers.ts';

/**
 * Maximum number of bytes that a client may leave unread before it is disconnected. Progress events are dropped long
 * before.
 */
const MAX_UNREAD_BYTES = 2 ** 20;

/**
 * Sends the replies to `request`, which posts them to the port that it is given. The request is cancelled when the
 * client disconnects.
 *
 * @throws MonocoreError an error that occurred before any event, or `ThreadDied` if the main thread closes the port
 * early; then nothing has been sent
 */
export async function streamImages(
  outgoing: ServerResponse,
  request: (port: MessagePort) => Promise<void>,
  answers: OpenAnswers,
): Promise<void> {
  const { port1: port, port2: replies } = new MessageChannel();
  // Closing the port cancels the request.
  outgoing.once('close', () => port.close());
  const begun = new Promise<void>((resolve, reject) => {
    let isBegun = false;
    port.on('message', (reply: ImageReply) => {
      if (!isBegun && reply.type === 'error') {
        reject(fromWireError(reply.error));
        return;
      }
      if (!isBegun) answers.startStream(outgoing, 'application/x-ndjson');
      isBegun = true;
      resolve();
      writeReply(outgoing, reply);
    });
    port.once('close', () => {
      // A client treats an answer without `done` or `error` as cut off.
      if (isBegun || outgoing.destroyed) outgoing.destroy();
      else reject(new MonocoreError('ThreadDied', 'the main thread ended the request; try again'));
      resolve();
    });
  });
  request(transfer(replies, [replies])).catch(() => port.close());
  await begun;
}

function writeReply(outgoing: ServerResponse, reply: ImageReply): void {
  if (outgoing.writableEnded || (reply.type === 'bytes' && outgoing.writableNeedDrain)) return;
  outgoing.write(`${JSON.stringify(reply)}\n`);
  if (reply.type === 'done' || reply.type === 'error') outgoing.end();
  else if (outgoing.writableLength > MAX_UNREAD_BYTES) outgoing.destroy();
}
