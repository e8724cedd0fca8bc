import assert from 'node:assert/strict';
import test from 'node:test';
import { blobRow, createPlainDownloads, RateMeter, shortDigest } from '../../../src/cli/progress/downloads.ts';
import { createTerminalDownloads } from '../../../src/cli/progress/downloads-terminal.ts';
import { renderImages } from '../../../src/cli/render/images-table.ts';
import { NO_COLORS } from '../../../src/cli/render/terminal-text.ts';
import { defer } from '../../helpers/temp.ts';

const MIB = 2 ** 20;
const digest = (digit: string) => `sha256:${digit.repeat(64)}`;
const image = { name: 'docker.io/library/app:1', digest: digest('f'), unchanged: false };

const ESC = '\x1b';
const ERASE_UP = new RegExp(`${ESC}\\[(\\d+)A\\r${ESC}\\[J`);

/** What a screen shows after all that was written: cursor-up and erase are the only sequences. */
function screenOf(written: string): string[] {
  const lines: string[] = [];
  for (const part of written.split(ERASE_UP)) {
    // Every second part is the number of lines that were erased.
    if (/^\d+$/.test(part)) lines.splice(lines.length - Number(part));
    else lines.push(...part.split('\n').filter((line) => line !== ''));
  }
  return lines;
}

function makeTerminal(t: Parameters<typeof defer>[0], columns = 100, rows = 24) {
  let written = '';
  const write = (text: string) => {
    written += text;
    return true;
  };
  const out = { columns, rows, write };
  const downloads = createTerminalDownloads(out);
  defer(t, () => downloads.close());
  return { downloads, screen: () => screenOf(written) };
}

test('a row has a bar, the sizes, the rate and the time that is left', () => {
  const blob = { digest: digest('a'), sizeBytes: 30 * MIB, doneBytes: 15 * MIB, bytesPerSecond: 5 * MIB } as const;
  const bar = '█'.repeat(12) + '░'.repeat(12);
  assert.equal(blobRow({ ...blob, phase: 'running' }), `aaaaaaaaaaaa  ${bar}  15 MiB of 30 MiB  5 MiB/s  3s left`);
  assert.match(blobRow({ ...blob, phase: 'running', bytesPerSecond: 0 }), /0 B\/s$/);
  assert.match(blobRow({ ...blob, phase: 'running', bytesPerSecond: null }), /of 30 MiB$/);
  assert.match(blobRow({ ...blob, phase: 'kept' }), /█{24} {2}30 MiB$/);
  assert.match(blobRow({ ...blob, sizeBytes: 0, doneBytes: 0, phase: 'running' }), /█{24}/);
  assert.equal(blobRow({ ...blob, phase: 'present' }), 'aaaaaaaaaaaa  30 MiB, is here already');
  assert.equal(shortDigest(digest('b')), 'b'.repeat(12));
});

test('the rate follows the download, falls while it stands still and starts anew with it', () => {
  const meter = new RateMeter();
  meter.update(1000, 0);
  assert.equal(meter.bytesPerSecond, null);
  meter.update(2000, 1000);
  assert.equal(meter.bytesPerSecond, 1000);
  meter.update(2000, 1000);
  assert.equal(meter.bytesPerSecond, 1000);
  meter.update(2000, 21_000);
  assert.ok(meter.bytesPerSecond! < 10);
  meter.update(0, 22_000);
  assert.equal(meter.bytesPerSecond, null);
});

test('a terminal keeps a row per layer, lines for the rest above them, and the last state when it ends', (t) => {
  const { downloads, screen } = makeTerminal(t);
  downloads.handle({ type: 'image', name: image.name });
  downloads.handle({ type: 'blob', digest: digest('a'), size_bytes: MIB, present: false });
  downloads.handle({ type: 'blob', digest: digest('b'), size_bytes: MIB, present: true });
  downloads.handle({ type: 'bytes', digest: digest('a'), done_bytes: MIB / 2 });
  downloads.handle({ type: 'retry', what: digest('a'), reason: 'bad \x1b[2J', delay_ms: 2000 });
  assert.deepEqual(screen().slice(0, 2), [`${image.name}: pulling`, 'aaaaaaaaaaaa: bad �[2J; trying again in 2s']);
  assert.match(screen()[2]!, /^a{12} {2}█{12}░{12} {2}512 KiB of 1 MiB/);
  assert.equal(screen().length, 4);
  downloads.handle({ type: 'kept', digest: digest('a') });
  downloads.handle({ type: 'stored', image });
  downloads.close();
  assert.match(screen()[2]!, /█{24} {2}1 MiB$/);
  assert.equal(screen().at(-1), `${image.name}: stored, ${image.digest}`);
  assert.equal(screen().length, 5);
});

test('a terminal that is too small shows what runs, and no line is wrapped', (t) => {
  const { downloads, screen } = makeTerminal(t, 40, 6);
  for (const digit of '0123456789') {
    downloads.handle({ type: 'blob', digest: digest(digit), size_bytes: MIB, present: digit < '3' });
  }
  downloads.handle({ type: 'bytes', digest: digest('9'), done_bytes: 1 });
  downloads.close();
  assert.equal(screen().at(-1), '3 of 10 layers are here');
  assert.match(screen()[0]!, /^9{12}/);
  assert.ok(screen().every((line) => line.length < 40));
});

test('without a terminal there is a line for each thing, and none for bytes', () => {
  const lines: string[] = [];
  const downloads = createPlainDownloads((text) => lines.push(text));
  downloads.handle({ type: 'waiting' });
  downloads.handle({ type: 'blob', digest: digest('a'), size_bytes: MIB, present: false });
  downloads.handle({ type: 'bytes', digest: digest('a'), done_bytes: 1 });
  downloads.handle({ type: 'kept', digest: digest('a') });
  downloads.handle({ type: 'notice', text: 'a notice' });
  downloads.handle({ type: 'stored', image: { ...image, unchanged: true } });
  downloads.close();
  assert.deepEqual(lines, [
    'waiting for another change of the images\n',
    'aaaaaaaaaaaa: 1 MiB\n',
    'aaaaaaaaaaaa: done\n',
    'a notice\n',
    `${image.name}: is up to date, ${image.digest}\n`,
  ]);
});

test('the table of images is aligned, and says what is not known', () => {
  const row = {
    digest: digest('a'),
    size_bytes: 3 * MIB,
    layers: 12,
    created_at: null,
    root_bytes: null,
    exposed_ports: [],
  };
  const images = [
    { ...row, name: image.name, platform: 'linux/amd64', pulled_at: '2026-11-23T08:00:00.000Z' },
    { ...row, name: null, platform: null, pulled_at: null },
  ];
  const now = Date.parse('2026-11-23T10:30:00Z');
  assert.equal(
    renderImages(images, { colors: NO_COLORS, now }),
    [
      'Image                    Digest        Platform     Layers   Size  Root  Pulled',
      'docker.io/library/app:1  aaaaaaaaaaaa  linux/amd64      12  3 MiB     -  2h 30m ago',
      '-                        aaaaaaaaaaaa  -                12  3 MiB     -  -',
      '',
    ].join('\n'),
  );
  assert.match(renderImages([], { colors: NO_COLORS, now }), /no images/);
});
