import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import test from 'node:test';
import { safeOutput, terminalOf } from '../../../src/cli/render/safe-output.ts';

function makeStream(isTTY: boolean) {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 80 });
  return { stream: stream as unknown as NodeJS.WriteStream, read: () => String((stream as PassThrough).read()) };
}

test('a text on a terminal keeps its colours and loses whatever else could steer it', () => {
  const { stream, read } = makeStream(true);
  const output = safeOutput(stream);
  output.write('\u001b[31mmonocore:\u001b[39m linux\u001b]0;X\u0007\n\tdone\r\n');
  assert.equal(read(), '\u001b[31mmonocore:\u001b[39m linux\ufffd]0;X\ufffd\n\tdone\ufffd\n');
  output.write(Buffer.from('\u001b[2J'));
  assert.equal(read(), '\u001b[2J', 'bytes are escaped by whoever reads logs');
  assert.deepEqual([output.isTTY, output.columns], [true, 80]);
  assert.equal(terminalOf(output), stream);
});

test('a stream is used through it as before', async () => {
  const { stream } = makeStream(true);
  const output = safeOutput(stream);
  const drained = once(output, 'drain');
  while (output.write('x'.repeat(10_000)));
  (stream as unknown as PassThrough).resume();
  await drained;
});

test('files and pipes get every byte', () => {
  const { stream } = makeStream(false);
  assert.equal(safeOutput(stream), stream);
  assert.equal(terminalOf(stream), stream);
});
