import assert from 'node:assert/strict';
import test from 'node:test';
import {
  END_MARK,
  FRAME_TYPES,
  HEAD_BYTES,
  MAX_BODY_BYTES,
  MAX_MESSAGE_BYTES,
  MORE,
} from '../../../src/vm/guest/agent/protocol.ts';
import { AgentFrameReader, renderMessage, renderWords } from '../../../src/vm/guest/agent-frames.ts';

/** Reads all frames, `piece` bytes at a time. */
function readAll(bytes: Buffer, piece = bytes.length) {
  const reader = new AgentFrameReader();
  const frames: { type: string; session: number; body: string }[] = [];
  let areFrames = true;
  for (let at = 0; at < bytes.length && areFrames; at += piece) {
    areFrames = reader.push(bytes.subarray(at, at + piece), ({ type, session, body }) => {
      frames.push({ type, session, body: body.toString('latin1') });
      return true;
    });
  }
  return { frames, areFrames };
}

test('a frame is a head, a body and an end mark', () => {
  const frame = renderMessage('probed', 0x01020304, Buffer.from('abc'));
  const head = [FRAME_TYPES.probed, 0, 3, 0, 4, 3, 2, 1];
  assert.deepEqual([...frame], [...head, ...Buffer.from('abc'), END_MARK]);
});

test('a long message has several frames, whose last one ends it', () => {
  const body = Buffer.alloc(2 * MAX_BODY_BYTES, 'x');
  const message = renderMessage('job', 0, body);
  const second = HEAD_BYTES + MAX_BODY_BYTES + 1;
  assert.equal(message.length, 2 * second);
  assert.deepEqual([message[1], message[second + 1]], [MORE, 0]);
  assert.throws(() => renderMessage('job', 0, Buffer.alloc(MAX_MESSAGE_BYTES + 1)), RangeError);
});

test('words have a zero byte behind each', () => {
  assert.deepEqual(renderWords(['a=1', 'b=grüße']), Buffer.from('a=1\0b=grüße\0'));
  assert.equal(renderWords([]).length, 0);
});

test('frames are read whole, however they come', () => {
  const frames = [
    { type: 'ready', session: 0, body: '' },
    { type: 'output', session: 4_294_967_295, body: 'y'.repeat(MAX_BODY_BYTES) },
    { type: 'exited', session: 0, body: '\u0089\u0001' },
  ] as const;
  const bytes = Buffer.concat(
    frames.map(({ type, session, body }) => renderMessage(type, session, Buffer.from(body, 'latin1'))),
  );
  for (const piece of [1, 3, 1000, bytes.length]) assert.deepEqual(readAll(bytes, piece), { frames, areFrames: true });
});

test('what is no frame is told, behind the frames before it', () => {
  const good = renderMessage('ready');
  const change = (at: number, value: number, body = Buffer.from('x')) => {
    const frame = renderMessage('probed', 1, body);
    frame[at] = value;
    return frame;
  };
  const bad = {
    'an unknown type': change(0, 200),
    'a type of zero': Buffer.alloc(HEAD_BYTES),
    'a message that has more': change(1, MORE),
    'too long a body': change(3, 0xff),
    'no end mark': change(HEAD_BYTES + 1, 0),
    'text of an earlier protocol': Buffer.from('exit 137 oom\n'),
  };
  for (const [what, bytes] of Object.entries(bad)) {
    const { frames, areFrames } = readAll(Buffer.concat([good, bytes, good]));
    assert.deepEqual([frames.length, areFrames], [1, false], what);
  }
});
