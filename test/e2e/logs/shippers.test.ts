/** Real log shippers, run with the package's configs, follow files that are rolled while they read. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { eventually } from '../../helpers/eventually.ts';
import { findTestProgram } from '../../helpers/processes/test-program.ts';
import { findShipper, readSelection } from '../../helpers/shippers/configs.ts';
import { rsyslog, syslogNg } from '../../helpers/shippers/programs.ts';
import { startRollingLog } from '../../helpers/shippers/rolling-log.ts';
import { makeShipper, type ShippedRecord } from '../../helpers/shippers/shipper.ts';
import { makeTempDir } from '../../helpers/temp.ts';

/** Files that are begun before the shipper is first started, before and after its stop, and while it is stopped. */
const FILES_BEFORE_START = 10;
const FILES_READ_PER_RUN = 60;
const FILES_WHILE_STOPPED = 15;
const DELIVERY_DEADLINE_MS = 30_000;

/** Every kind of character that a log folder may have in a config. */
const HOME = 'größe 1 _+@=~-.d';
const RECORD = '2026-11-23T08:00:00.123Z INFO [web] [x] text';
/** Other files in a log folder, which must not be shipped. */
const OTHER_FILES = ['monocore.1.log', 'web.console.000001.log', 'old.stdout.000001.log.gz', 'notes.log'];

for (const program of [rsyslog, syslogNg]) {
  test(`${program.name} accepts its config`, async (t) => {
    const logDir = join(await makeTempDir(t), HOME, 'log');
    mkdirSync(logDir, { recursive: true });
    const shipper = await makeShipper(t, program, logDir);
    const { code, stderr } = await shipper.check();
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stderr, /error|warning/i);
  });

  test(`${program.name} delivers each line once from rolled files, over a restart of its own`, async (t) => {
    const logDir = join(await makeTempDir(t), HOME, 'log');
    mkdirSync(logDir, { recursive: true });
    for (const name of OTHER_FILES) writeFileSync(join(logDir, name), `${RECORD}\n`);
    const log = await startRollingLog(t, logDir);
    const rolled = (files: number): Promise<unknown> => {
      const end = log.countFiles('stdout') + files;
      return eventually(`${files} more files`, () => log.countFiles('stdout') >= end);
    };
    const shipper = await makeShipper(t, program, logDir);
    const delivering = (): Promise<unknown> => {
      const before = shipper.countDelivered();
      return eventually('more records', () => shipper.countDelivered() > before, DELIVERY_DEADLINE_MS);
    };

    await rolled(FILES_BEFORE_START);
    shipper.start();
    await delivering();
    await rolled(FILES_READ_PER_RUN);
    await shipper.stop();
    await rolled(FILES_WHILE_STOPPED);
    shipper.start();
    await delivering();
    await rolled(FILES_READ_PER_RUN);
    const records = await log.finish();
    if (program.needsReload) shipper.reload();

    const written = [...records].flatMap(([stream, lines]) => lines.map((line) => `${stream}: ${line}`));
    await eventually('all records', () => shipper.countDelivered() >= written.length, DELIVERY_DEADLINE_MS);
    // What it has read twice it delivers before it ends.
    await shipper.stop();
    const delivered = shipper.readDelivered().map(renderRecord);
    assert.deepEqual(compare(written, delivered), { lost: [], doubled: [], strange: [] });
  });
}

test('the configs that are not run match the files of the streams alone, and take their names and records apart', async (t) => {
  const dir = await makeTempDir(t);
  const streamFiles = ['web.stderr.000001.log', 'web.stdout.000001.log', 'web.stdout.1000000.log'];
  for (const name of [...OTHER_FILES, ...streamFiles]) writeFileSync(join(dir, name), '');
  symlinkSync('web.stdout.1000000.log', join(dir, 'web.stdout.log'));
  for (const name of ['vector', 'fluent-bit', 'filebeat', 'alloy', 'promtail']) {
    const { globs, expressions } = readSelection(findShipper(name));
    const matched = execFileSync('sh', ['-c', `printf '%s\\n' ${globs.join(' ')}`], { cwd: dir, encoding: 'utf8' });
    assert.deepEqual(matched.trimEnd().split('\n').sort(), streamFiles, name);
    for (const expression of expressions) {
      const isOfPath = expression.source.includes('<service>');
      const { groups } = expression.exec(isOfPath ? `/a/log/web.stdout.000001.log` : RECORD) ?? {};
      const { service, stream, level, ...others } = groups ?? {};
      if (isOfPath) assert.deepEqual([service, stream], ['web', 'stdout'], name);
      else assert.deepEqual([level, ...Object.values(others)], ['INFO', '2026-11-23T08:00:00.123Z', '[x] text'], name);
    }
    // Filebeat has patterns of its own kind.
    assert.equal(expressions.length, name === 'filebeat' ? 0 : 2, name);
  }
});

test('a shipper that is not there is an error that says what to run', () => {
  assert.throws(
    () => findTestProgram('rsyslogd', { MONOCORE_HOME: '/nowhere', PATH: '' }, []),
    /npm run test:programs/,
  );
});

/** The record as it stands in its file, its stream before it. */
function renderRecord({ time, level, service, stream, message }: ShippedRecord): string {
  return `${stream}: ${time} ${level} [${service}] ${message}`;
}

function compare(written: readonly string[], delivered: readonly string[]) {
  const known = new Set(written);
  const seen = new Set<string>();
  const doubled: string[] = [];
  for (const record of delivered) {
    if (seen.has(record)) doubled.push(record);
    seen.add(record);
  }
  return {
    lost: written.filter((record) => !seen.has(record)),
    doubled,
    strange: [...seen].filter((record) => !known.has(record)),
  };
}
