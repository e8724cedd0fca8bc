import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import test from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { createTerminalProgress, rowTitle } from '../../../src/cli/progress/terminal.ts';
import { makeOutcome, makeService } from '../../helpers/fakes/listed-services.ts';

/** A terminal of 80 × 24 whose output can be read. */
function makeTerminal() {
  return Object.assign(new PassThrough(), { isTTY: true, columns: 80, rows: 24 }) as unknown as NodeJS.WriteStream &
    PassThrough;
}

/** The lines that stay on the terminal: what was written after the last time that rows were erased. */
async function finalLines(terminal: PassThrough): Promise<string[]> {
  terminal.end();
  const written = (await buffer(terminal)).toString();
  const kept = written.slice(written.lastIndexOf('\x1b[2K'));
  return stripVTControlCharacters(kept)
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '' && line !== '\r');
}

test('at the end each service has one row with its outcome', async () => {
  const terminal = makeTerminal();
  const progress = createTerminalProgress('start', ['web', 'cache', 'db'], terminal, makeTerminal());
  const web = makeService({ addresses: ['http://127.0.0.2:8080'] });
  progress.update(makeService({ status: 'Starting', detail: 'booting' }));
  progress.finish(makeOutcome(web));
  progress.finish(makeOutcome(makeService({ name: 'cache' }), { outcome: 'unchanged' }));
  progress.finish(makeOutcome(makeService({ name: 'db' }), { outcome: 'failed', error: 'no' }));
  await progress.close();
  const lines = await finalLines(terminal);
  assert.equal(lines.length, 3, lines.join('\n'));
  assert.match(lines[0]!, / web {4}running, http:\/\/127\.0\.0\.2:8080 0\.\d s$/);
  assert.match(lines[1]!, / cache {2}running \(unchanged\)$/);
  assert.match(lines[2]!, / db {5}failed$/);
});

test('services without outcome stay as they are when the command ends early', async () => {
  const terminal = makeTerminal();
  const progress = createTerminalProgress('start', ['web', 'db'], terminal, makeTerminal());
  progress.update(makeService({ status: 'Starting', detail: 'booting' }));
  await progress.close();
  const lines = await finalLines(terminal);
  assert.match(lines[0]!, / web {2}booting 0\.\d s$/);
  assert.match(lines[1]!, / db {3}waiting$/);
});

test('a row shows tenths of a second, and whole ones after a minute', () => {
  assert.equal(rowTitle('web', 'booting', 1234), 'web  booting 1.2 s');
  assert.equal(rowTitle('web', 'booting', 75_400), 'web  booting 1m 15s');
  assert.equal(rowTitle('web', 'waiting', null), 'web  waiting');
});
