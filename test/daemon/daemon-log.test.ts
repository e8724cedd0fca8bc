import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { openDaemonLog } from '../../src/daemon/daemon-log.ts';
import { MonocoreError } from '../../src/lib/errors.ts';
import { listDescriptors } from '../../src/lib/proc.ts';
import { eventually } from '../helpers/eventually.ts';
import { TYPESCRIPT_OPTIONS } from '../helpers/processes/typescript.ts';
import { makeTempDir } from '../helpers/temp.ts';

interface LogLine {
  readonly level: number;
  readonly time: string;
  readonly pid: number;
  readonly msg: string;
  readonly line?: number;
  readonly lost_lines?: number;
  readonly err?: { readonly message: string; readonly code?: string };
}

function readLog(path: string): LogLine[] {
  return parseLines(readFileSync(path, 'utf8'));
}

function parseLines(content: string): LogLine[] {
  return content
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** The line with the count of lost lines; undefined while there is none. */
function findReport(path: string): LogLine | undefined {
  if (!existsSync(path) || !readFileSync(path, 'utf8').endsWith('\n')) return undefined;
  return readLog(path).find(({ lost_lines }) => lost_lines !== undefined);
}

/** Paths of the files that this process has open. */
function openFiles(): string[] {
  return listDescriptors('self').map(({ target }) => target);
}

/** Runs a program of test/fixtures on the log file `file`. */
function runFixture(name: string, file: string) {
  const path = fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
  return spawnSync(process.execPath, [...TYPESCRIPT_OPTIONS, path, file], { encoding: 'utf8' });
}

test('after close every line is in the file, in order', async (t) => {
  const dir = await makeTempDir(t);
  const { logger, close } = await openDaemonLog({ file: join(dir, 'log', 'monocore'), level: 'info' });
  for (let line = 0; line < 1000; line += 1) logger.info({ line }, 'a line');
  logger.debug('below the level');
  await close();
  const lines = readLog(join(dir, 'log', 'monocore.1.log'));
  assert.deepEqual(
    lines.map(({ line }) => line),
    Array.from({ length: 1000 }, (_, line) => line),
  );
  assert.match(lines[0]!.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.equal(lines[0]!.pid, process.pid);
});

test('a line after close is dropped without an error, and close may come twice', async (t) => {
  const dir = await makeTempDir(t);
  const { logger, close } = await openDaemonLog({ file: join(dir, 'monocore'), level: 'info' });
  await close();
  logger.info('too late');
  await close();
  assert.deepEqual(readLog(join(dir, 'monocore.1.log')), []);
});

test('close resolves when nothing else keeps the process alive', async (t) => {
  const dir = await makeTempDir(t);
  const { status, stdout } = runFixture('idle-log.ts', join(dir, 'monocore'));
  assert.deepEqual({ status, stdout }, { status: 0, stdout: 'closed\n' });
  assert.equal(readLog(join(dir, 'monocore.1.log')).length, 1);
});

test('a fatal line and all before it are in the file when the process dies at once', async (t) => {
  const dir = await makeTempDir(t);
  const { signal } = runFixture('fatal-log.ts', join(dir, 'monocore'));
  assert.equal(signal, 'SIGKILL');
  const lines = readLog(join(dir, 'monocore.1.log'));
  assert.equal(lines.length, 101);
  assert.equal(lines.at(-1)!.level, 60);
  assert.equal(lines.at(-1)!.err!.message, 'the end');
});

test('a fatal line of a broken log goes to stderr', async (t) => {
  const dir = await makeTempDir(t);
  symlinkSync('/dev/full', join(dir, 'monocore.1.log'));
  const { signal, stderr } = runFixture('fatal-log.ts', join(dir, 'monocore'));
  assert.equal(signal, 'SIGKILL');
  assert.match(stderr, /"msg":"the end"/);
});

test('errors are logged with their code', async (t) => {
  const dir = await makeTempDir(t);
  const { logger, close } = await openDaemonLog({ file: join(dir, 'monocore'), level: 'info' });
  logger.error({ err: new MonocoreError('StartFailed', 'no kernel') }, 'web');
  await close();
  const [line] = readLog(join(dir, 'monocore.1.log'));
  assert.deepEqual([line!.msg, line!.err!.code, line!.err!.message], ['web', 'StartFailed', 'no kernel']);
});

test('lines are lost and counted while the disk is full, and later lines are written', async (t) => {
  const dir = await makeTempDir(t);
  const file = join(dir, 'monocore');
  symlinkSync('/dev/full', `${file}.1.log`);
  const { logger, close } = await openDaemonLog({ file, level: 'info', reopenDelayMs: 20 });
  await eventually('the full disk in use', () => openFiles().includes('/dev/full'));
  logger.info('to a full disk');
  rmSync(`${file}.1.log`);
  const report = await eventually('the report of the loss', () => {
    logger.info('is there space again?');
    return findReport(`${file}.1.log`);
  });
  assert.ok(report.lost_lines! > 0);
  logger.info('the last one');
  await close();
  assert.equal(readLog(`${file}.1.log`).at(-1)!.msg, 'the last one');
});

test('a log whose folder was deleted for a while resumes, and leaves no file open', async (t) => {
  const dir = join(await makeTempDir(t), 'log');
  const { logger, close } = await openDaemonLog({ file: join(dir, 'monocore'), level: 'info', reopenDelayMs: 20 });
  const ownFiles = () => openFiles().filter((path) => path.startsWith(`${dir}/`));
  await eventually('the first file', () => ownFiles().length === 1);
  rmSync(dir, { recursive: true });
  writeFileSync(dir, 'no folder can be made here');
  const text = 'x'.repeat(2 ** 20);
  await eventually('the next file to fail, and the first to be closed', () => {
    logger.info(text);
    return ownFiles().length === 0;
  });
  rmSync(dir);
  await eventually('the report of the loss', () => {
    logger.info('is there a folder again?');
    return findReport(join(dir, 'monocore.1.log'));
  });
  assert.deepEqual(ownFiles(), [join(dir, 'monocore.1.log')]);
  await close();
  assert.deepEqual(
    openFiles().filter((path) => path.startsWith(dir)),
    [],
  );
});

test('a log that gets no thread for lack of descriptors ends nothing, and opens when there are some', async (t) => {
  const fixture = fileURLToPath(new URL('../fixtures/starved-log.ts', import.meta.url));
  const words = [process.execPath, ...TYPESCRIPT_OPTIONS, fixture, await makeTempDir(t)];
  const { stdout, stderr } = spawnSync('/bin/sh', ['-c', 'ulimit -n 100; exec "$@"', 'sh', ...words], {
    encoding: 'utf8',
  });
  const [starved, later] = JSON.parse(stdout || `["${stderr}"]`);
  assert.notEqual(starved, 'open');
  assert.equal(later, 'open');
});

test('the folder may have any character in its name', async (t) => {
  const dir = join(await makeTempDir(t), `a :?*"'<>|%25`);
  const { logger, close } = await openDaemonLog({ file: join(dir, 'monocore'), level: 'info' });
  logger.info('a line');
  await close();
  assert.equal(readLog(join(dir, 'monocore.1.log')).length, 1);
});

test('a log that cannot be opened is a HomeUnusable error', async (t) => {
  const dir = await makeTempDir(t);
  writeFileSync(join(dir, 'log'), 'a file where the folder should be');
  await assert.rejects(openDaemonLog({ file: join(dir, 'log', 'monocore'), level: 'info' }), { code: 'HomeUnusable' });
});

test('files are rolled at some 10 MB without a loss, five are kept, and others are left alone', async (t) => {
  const dir = await makeTempDir(t);
  const others = ['monocore.stdout.000001.log', 'monocore.stdout.log', 'web.stderr.000001.log'];
  for (const name of others) writeFileSync(join(dir, name), '');
  const { logger, close } = await openDaemonLog({ file: join(dir, 'monocore'), level: 'info' });
  const text = 'x'.repeat(2 ** 20);
  const ownNumbers = () =>
    readdirSync(dir)
      .map((name) => Number(/^monocore\.(\d+)\.log$/.exec(name)?.[1]))
      .filter(Boolean)
      .sort((a, b) => a - b);
  let line = 0;
  const sizes = new Map<number, number>();
  await eventually('eight files', () => {
    for (const number of ownNumbers()) sizes.set(number, statSync(join(dir, `monocore.${number}.log`)).size);
    const writtenMib = [...sizes.values()].reduce((sum, size) => sum + size, 0) / 2 ** 20;
    // More than 20 MiB on their way would be lost.
    if (line - writtenMib < 8) logger.info({ line: line++ }, text);
    return ownNumbers().at(-1) === 8;
  });
  // pino-roll removes while it opens the next file, so that one may or may not be among the five.
  await eventually('the oldest files to be removed', () => ownNumbers().length <= 6);
  await close();
  const kept = ownNumbers();
  assert.ok(kept.length >= 5, `kept are ${kept}`);
  // A line may be split between two files; the first half of the first one may be in a file that was removed.
  const content = kept.map((number) => readFileSync(join(dir, `monocore.${number}.log`), 'utf8')).join('');
  const lines = parseLines(content.slice(content.indexOf('\n') + 1));
  // Four files are full, and each holds ten lines but for the one at either end that another file has a part of.
  assert.ok(lines.length >= 38, `${lines.length} lines`);
  assert.deepEqual(
    lines.map((entry) => entry.line),
    Array.from({ length: lines.length }, (_, index) => line - lines.length + index),
  );
  assert.deepEqual(
    readdirSync(dir).filter((name) => !/^monocore\.\d+\.log$/.test(name)),
    others,
  );
});
