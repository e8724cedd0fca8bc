/** Loss by a SIGKILL of the daemon while services print. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { LogFormat } from '../../../src/protocol/log-files/formats.ts';
import { DEFAULT_LOG_SETTINGS } from '../../../src/protocol/log-settings.ts';
import { openChildEnd } from '../../../src/vm/host/fifos.ts';
import { eventually } from '../../helpers/eventually.ts';
import { contentOf, filesOf } from '../../helpers/logs/harness.ts';
import { strip } from '../../helpers/logs/strip.ts';
import { makeFifos } from '../../helpers/processes/fifos.ts';
import { startFixture } from '../../helpers/processes/fixture.ts';
import { defer, makeTempDir } from '../../helpers/temp.ts';

/** The most that is in the hands of the worker: what it read at once. */
const CHUNK_BYTES = 65_536;
const SERVICES = ['one', 'two', 'three'];
const writerPath = fileURLToPath(new URL('../../fixtures/line-writer.js', import.meta.url));

/** A program that prints `line 1`, `line 2` and so on into a FIFO until it is told to stop, then how many there were. */
async function startWriter(t: TestContext, fifo: string) {
  makeFifos([fifo]);
  const fd = openChildEnd(fifo);
  const writer = spawn(process.execPath, [writerPath], { stdio: ['pipe', fd, 'inherit'] });
  closeSync(fd);
  defer(t, () => writer.kill('SIGKILL'));
  return {
    async stop() {
      writer.stdin!.write('stop\n');
      if (writer.exitCode === null) await once(writer, 'exit');
    },
  };
}

/**
 * Compares what is in the files with what was printed. A gap is one run of bytes that are missing: the lines at its two
 * ends may be cut.
 *
 * @returns bytes that are missing, and how many lines were cut
 */
function compare(lines: readonly string[]): { missingBytes: number; cutLines: number } {
  const count = Number(/^end (\d+)$/.exec(lines.at(-1)!)![1]);
  const printed = [...Array.from({ length: count }, (_, index) => `line ${index + 1}`), `end ${count}`];
  let whole = 0;
  while (whole < printed.length && lines[whole] === printed[whole]) whole += 1;
  let wholeAgain = 0;
  while (wholeAgain < lines.length - whole && lines.at(-1 - wholeAgain) === printed.at(-1 - wholeAgain))
    wholeAgain += 1;
  const cut = lines.slice(whole, lines.length - wholeAgain);
  const missing = printed.slice(whole, printed.length - wholeAgain).join('\n');
  return { missingBytes: missing.length - cut.join('\n').length, cutLines: cut.length };
}

for (const format of ['text', 'json'] satisfies LogFormat[]) {
  test(`${format}: a SIGKILL loses at most the chunk in flight of each stream and leaves no torn or duplicate line`, async (t) => {
    const dir = await makeTempDir(t);
    const logDir = join(dir, 'log');
    const fifoOf = (service: string) => join(dir, `${service}.fifo`);
    const writers = await Promise.all(SERVICES.map((service) => startWriter(t, fifoOf(service))));
    const settings = JSON.stringify({ ...DEFAULT_LOG_SETTINGS, format, max_size_bytes: 100_000 });
    const streams = SERVICES.map((service) => `${service}=${fifoOf(service)}`);
    const start = async (continues: boolean) => {
      const holder = startFixture(t, 'log-holder.ts', [logDir, settings, String(continues), ...streams]);
      assert.equal(await holder.readLine(), 'capturing');
      return holder;
    };
    const files = (service: string) => filesOf(logDir, service, 'stdout').length;
    const rolled = (more: number) => {
      const before = SERVICES.map(files);
      return eventually('rolls', () => SERVICES.every((service, index) => files(service) > before[index]! + more));
    };

    const first = await start(false);
    await rolled(3);
    await first.kill();
    const second = await start(true);
    await rolled(3);
    for (const writer of writers) await writer.stop();
    for (const _ of SERVICES) assert.match(await second.readLine(), /^ended /);

    for (const service of SERVICES) {
      const lines = strip(format, contentOf(logDir, service, 'stdout'));
      const { missingBytes, cutLines } = compare(lines);
      // JSON holds the line that has begun besides.
      const most = CHUNK_BYTES + (format === 'json' ? 'line 123456789\n'.length : 0);
      assert.ok(missingBytes >= 0 && missingBytes <= most, `${service}: ${missingBytes} bytes are missing`);
      assert.ok(cutLines <= 2, `${service}: ${cutLines} lines are cut`);
    }
  });
}
