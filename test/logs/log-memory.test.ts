/** What it costs in memory to read much. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MessageChannel } from 'node:worker_threads';
import { LogThread } from '../../src/logs/logs-thread.ts';
import { fileName } from '../../src/protocol/log-files/names.ts';
import { EVERY_RECORD, type LogFilter, type LogReadEvent } from '../../src/protocol/log-files/queries.ts';
import { JobPool } from '../../src/threads/job-pool.ts';
import { transfer } from '../../src/threads/rpc.ts';
import { defer, makeTempDir } from '../helpers/temp.ts';

const MIB = 2 ** 20;
/** Contents that take turns, see the fixture. */
const VARIANTS = 5;
/** Chunks between two looks at the memory. */
const SAMPLE_CHUNKS = 8;
/** The reader's other work: after so many chunks it takes a rest. */
const CHUNKS_BETWEEN_RESTS = 8;
const REST_MS = 1;

/**
 * How much the process may grow from the first chunk on. Measured: 6 to 11 MiB for plain files, 45 to 55 with compressed
 * ones, whose pieces V8 lets lie for a while. With a new buffer for each chunk it was 90 after the first files.
 */
const MAX_PLAIN_GROWTH_BYTES = 40 * MIB;
const MAX_GROWTH_BYTES = 80 * MIB;

/** A log of so many files, and what is in them: file `index` has the contents `index % VARIANTS`. */
async function makeLog(t: TestContext, files: number) {
  const logDir = join(await makeTempDir(t), 'log');
  const fixture = fileURLToPath(new URL('../fixtures/large-log.js', import.meta.url));
  execFileSync(process.execPath, [fixture, logDir, String(files)]);
  const id = { service: 'web', stream: 'stdout' } as const;
  const variants = Array.from({ length: VARIANTS }, (_, index) => readFileSync(join(logDir, fileName(id, index + 1))));
  const sizes = Array.from({ length: files }, (_, index) => variants[index % VARIANTS]!.length);
  return { logDir, variants, totalBytes: sizes.reduce((sum, bytes) => sum + bytes) };
}

/** Checks that chunks are the files one after the other, byte for byte. */
class Comparison {
  bytes = 0;
  readonly #variants: readonly Buffer[];
  #file = 0;
  #offset = 0;

  constructor(variants: readonly Buffer[]) {
    this.#variants = variants;
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const expected = this.#variants[this.#file % VARIANTS]!;
      const length = Math.min(chunk.length - at, expected.length - this.#offset);
      const difference = expected.compare(chunk, at, at + length, this.#offset, this.#offset + length);
      assert.equal(difference, 0, `file ${this.#file + 1} is another one near byte ${this.#offset}`);
      at += length;
      this.#offset += length;
      if (this.#offset === expected.length) {
        this.#file += 1;
        this.#offset = 0;
      }
    }
    this.bytes += chunk.length;
  }
}

/** Reads all of a log, slowly, and returns how much the process grew at the most, in plain files and in all. */
async function measure(t: TestContext, files: number, filter?: LogFilter) {
  const { logDir, variants, totalBytes } = await makeLog(t, files);
  const pool = new JobPool();
  defer(t, () => pool.close());
  const logs = new LogThread(logDir, () => {}, { runSearch: (job, options) => pool.run(job, options) });
  defer(t, () => logs.stop());
  await logs.start();
  const api = await logs.thread.ready();

  const { port1, port2 } = new MessageChannel();
  defer(t, () => port1.close());
  const comparison = new Comparison(variants);
  let chunks = 0;
  let startBytes = 0;
  let plainPeakBytes = 0;
  let peakBytes = 0;
  const ended = new Promise<void>((resolve, reject) => {
    port1.on('message', (event: LogReadEvent) => {
      if (event.type === 'end') resolve();
      if (event.type === 'error') reject(new Error(event.error.message));
      if (event.type !== 'chunk') return;
      if (chunks % SAMPLE_CHUNKS === 0) {
        peakBytes = Math.max(peakBytes, process.memoryUsage.rss());
        if (chunks === 0) startBytes = peakBytes;
        if (comparison.bytes < totalBytes / 2) plainPeakBytes = peakBytes;
      }
      comparison.push(event.bytes);
      chunks += 1;
      const { buffer } = event.bytes;
      const answer = () => port1.postMessage(buffer, [buffer]);
      if (chunks % CHUNKS_BETWEEN_RESTS === 0) setTimeout(answer, REST_MS);
      else answer();
    });
  });
  const query = {
    services: [],
    streams: ['stdout'] as const,
    tail: null,
    follow: false,
    ...(filter ? { filter } : {}),
  };
  await api.read(query, transfer(port2, [port2]));
  await ended;
  assert.equal(comparison.bytes, totalBytes);
  return { plain: plainPeakBytes - startBytes, all: peakBytes - startBytes };
}

const inMib = (bytes: number) => `grew by ${Math.round(bytes / MIB)} MiB`;

test('a gigabyte of log, half of it compressed, is read in little memory', async (t) => {
  const grown = await measure(t, 100);
  assert.ok(grown.plain < MAX_PLAIN_GROWTH_BYTES, inMib(grown.plain));
  assert.ok(grown.all < MAX_GROWTH_BYTES, inMib(grown.all));
});

test('a search costs no more, however much it finds', async (t) => {
  const grown = await measure(t, 30, { ...EVERY_RECORD, grep: { source: 'line', ignoreCase: false } });
  assert.ok(grown.all < MAX_GROWTH_BYTES, inMib(grown.all));
});
