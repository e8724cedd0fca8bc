import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { MessagePort } from 'node:worker_threads';
import { readLines, readLogs } from '../../src/logs/log-reading.ts';
import { LogThread } from '../../src/logs/logs-thread.ts';
import { readStoredLogs } from '../../src/logs/stored-logs.ts';
import { fileName } from '../../src/protocol/log-files/names.ts';
import {
  CHUNK_BYTES,
  EVERY_RECORD,
  type LogFilter,
  type LogQuery,
  type LogReadEvent,
  READ_WINDOW,
} from '../../src/protocol/log-files/queries.ts';
import type { LogsApi } from '../../src/protocol/logs.ts';
import { JobPool } from '../../src/threads/job-pool.ts';
import type { Remote } from '../../src/threads/rpc.ts';
import { defer, makeTempDir } from '../helpers/temp.ts';

/** Contents that take turns, see the fixture. */
const VARIANTS = 5;

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

/** Reads all of a log and checks every byte of it. */
async function readAll(t: TestContext, files: number, filter?: LogFilter): Promise<void> {
  const { logDir, variants, totalBytes } = await makeLog(t, files);
  const pool = new JobPool();
  defer(t, () => pool.close());
  const logs = new LogThread(logDir, () => {}, { runSearch: (job, options) => pool.run(job, options) });
  defer(t, () => logs.stop());
  await logs.start();
  const comparison = new Comparison(variants);
  const query: LogQuery = {
    services: [],
    streams: ['stdout'],
    tail: null,
    follow: false,
    ...(filter ? { filter } : {}),
  };
  await readLogs(await logs.thread.ready(), query, (bytes) => comparison.push(bytes));
  assert.equal(comparison.bytes, totalBytes);
}

test('many files, half of them compressed, are read byte for byte', (t) => readAll(t, 12));

test('a search that finds everything delivers them byte for byte', (t) =>
  readAll(t, 12, { ...EVERY_RECORD, grep: { source: 'line', ignoreCase: false } }));

test('a long record is cut to 4 KiB and marked, wherever the chunks divide it', async () => {
  const limit = 4096;
  const linesOf = (chunks: readonly string[]): Promise<string[]> => {
    const read = async (_query: LogQuery, port: MessagePort): Promise<void> => {
      const post = (event: LogReadEvent) => port.postMessage(event);
      for (const chunk of chunks) post({ type: 'chunk', bytes: new Uint8Array(Buffer.from(chunk)) });
      post({ type: 'end' });
    };
    const query: LogQuery = { services: [], streams: ['stdout'], tail: null, follow: false };
    return readLines({ read } as unknown as Remote<LogsApi>, query);
  };
  const record = 'x'.repeat(limit);
  for (const at of [1, limit - 1, limit, limit + 1]) {
    const divide = (text: string) => [text.slice(0, at), text.slice(at)];
    assert.deepEqual(await linesOf(divide(`${record}\n`)), [record], `${at}`);
    for (const more of ['y', 'y'.repeat(limit)])
      assert.deepEqual(await linesOf(divide(`${record}${more}\nnext\n`)), [`${record}…`, 'next'], `${at}`);
  }
});

test('the log of a home without a daemon is read at the pace of its reader', async (t) => {
  const logDir = join(await makeTempDir(t), 'log');
  mkdirSync(logDir);
  const line = `2020-01-01T08:00:00.000Z INFO [web] ${'x'.repeat(1000)}\n`;
  const content = line.repeat(Math.ceil((10 * READ_WINDOW * CHUNK_BYTES) / line.length));
  writeFileSync(join(logDir, fileName({ service: 'web', stream: 'stdout' }, 1)), content);
  const chunks: Buffer[] = [];
  const query: LogQuery = { services: ['web'], streams: ['stdout'], tail: null, follow: false };
  let pending: (() => void)[] = [];
  let mostPending = 0;
  const onChunk = (bytes: Uint8Array): Promise<void> => {
    chunks.push(Buffer.from(bytes));
    return new Promise((resolve) => {
      pending.push(resolve);
      mostPending = Math.max(mostPending, pending.length);
      if (pending.length < READ_WINDOW) return;
      setTimeout(() => {
        for (const release of pending) release();
        pending = [];
      }, 10);
    });
  };
  await readStoredLogs(logDir, query, onChunk, new AbortController().signal);
  assert.ok(Buffer.concat(chunks).equals(Buffer.from(content)));
  assert.equal(mostPending, READ_WINDOW);
});
