import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import test from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { createTerminalDownloads, createTerminalProgress, rowTitle } from '../../../src/cli/progress/terminal.ts';
import { makeOutcome, makeService } from '../../helpers/fakes/listed-services.ts';

/** A terminal whose output can be read. */
function makeTerminal(columns = 80, rows = 24) {
  return Object.assign(new PassThrough(), { isTTY: true, columns, rows }) as unknown as NodeJS.WriteStream &
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
  progress.finish(makeOutcome(makeService({ name: 'db', status: 'Failed' }), { outcome: 'failed', error: 'no' }));
  await progress.close();
  const lines = await finalLines(terminal);
  assert.equal(lines.length, 3, lines.join('\n'));
  assert.match(lines[0]!, / web {4}running, http:\/\/127\.0\.0\.2:8080 \d+\.\d s$/);
  assert.match(lines[1]!, / cache {2}running \(unchanged\)$/);
  assert.match(lines[2]!, / db {5}failed$/);
});

test('services without outcome stay as they are when the command ends early', async () => {
  const terminal = makeTerminal();
  const progress = createTerminalProgress('start', ['web', 'db'], terminal, makeTerminal());
  progress.update(makeService({ status: 'Starting', detail: 'booting' }));
  await progress.close();
  const lines = await finalLines(terminal);
  assert.match(lines[0]!, / web {2}booting \d+\.\d s$/);
  assert.match(lines[1]!, / db {3}waiting$/);
});

test('a row shows tenths of a second, and whole ones after a minute', () => {
  assert.equal(rowTitle('web', 'booting', 1234), 'web  booting 1.2 s');
  assert.equal(rowTitle('web', 'booting', 75_400), 'web  booting 1m 15s');
  assert.equal(rowTitle('web', 'waiting', null), 'web  waiting');
});

const MIB = 2 ** 20;
const digest = (digit: string) => `sha256:${digit.repeat(64)}`;
const image = { name: 'docker.io/library/app:1', digest: digest('f'), unchanged: false };

test('at the end of a pull each layer has its row, between the lines on the image', async () => {
  const terminal = makeTerminal(120);
  const downloads = createTerminalDownloads(terminal, makeTerminal());
  downloads.handle({ type: 'image', name: image.name });
  downloads.handle({ type: 'blob', digest: digest('a'), size_bytes: MIB, present: false });
  downloads.handle({ type: 'blob', digest: digest('b'), size_bytes: MIB, present: true });
  downloads.handle({ type: 'bytes', digest: digest('a'), done_bytes: MIB / 2 });
  downloads.handle({ type: 'retry', what: digest('a'), reason: 'bad \x1b[2J', delay_ms: 2000 });
  downloads.handle({ type: 'kept', digest: digest('a') });
  downloads.handle({ type: 'stored', image });
  await downloads.close('done');
  const lines = (await finalLines(terminal)).map((line) => line.trim().replace(/^✔ /, ''));
  assert.equal(lines[0], `${image.name}: pulling`);
  assert.equal(lines[1], 'aaaaaaaaaaaa: bad �[2J; trying again in 2s');
  assert.match(lines[2]!, /^a{12} {2}█{24} {2}1 MiB$/);
  assert.equal(lines[3], 'bbbbbbbbbbbb  1 MiB, already present');
  assert.equal(lines.slice(4).join(' '), `${image.name}: stored, ${image.digest}`);
});

test('a terminal that is too small shows the running layers and counts the others, and no line is wrapped', async () => {
  const terminal = makeTerminal(40, 6);
  const downloads = createTerminalDownloads(terminal, makeTerminal());
  for (const digit of '0123456789') {
    downloads.handle({ type: 'blob', digest: digest(digit), size_bytes: MIB, present: digit < '3' });
  }
  downloads.handle({ type: 'bytes', digest: digest('9'), done_bytes: 1 });
  await downloads.close('failed');
  const lines = await finalLines(terminal);
  assert.match(lines[0]!, /^\S 9{12}/);
  assert.equal(lines[1]?.trim(), '3 of 10 layers are present');
  assert.ok(lines.every((line) => line.length <= 40));
});
