/** A log that is written and rolled while a test looks: a real writer, FIFOs and the log worker in its thread. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { StreamName } from '../../../src/protocol/log-files/names.ts';
import { DEFAULT_LOG_SETTINGS } from '../../../src/protocol/log-settings.ts';
import type { LogEvent, LogsApi } from '../../../src/protocol/logs.ts';
import { WorkerThread } from '../../../src/threads/worker-thread.ts';
import { closeAll, openReadEnd } from '../../../src/vm/host/fifos.ts';
import { contentOf, EventLog, filesOf, linesOf } from '../logs/harness.ts';
import { openStream } from '../logs/open-stream.ts';
import { makeFifos } from '../processes/fifos.ts';
import { defer, makeTempDir } from '../temp.ts';

const writerPath = fileURLToPath(new URL('../../fixtures/steady-writer.js', import.meta.url));

const SERVICE = 'web';
const STREAMS = ['stdout', 'stderr'] as const satisfies readonly StreamName[];
/** Some 70 records. */
const MAX_FILE_BYTES = 4096;

/** Log folder that {@link startRollingLog} writes to. */
interface RollingLog {
  /** Number of files of a stream so far. */
  countFiles(stream: StreamName): number;
  /** Lets the writer end, waits until its last line is in the files, and returns the records in them, by stream. */
  finish(): Promise<ReadonlyMap<StreamName, readonly string[]>>;
}

/** Starts to write into `logDir`, as service `web`, some thousand lines a second. */
export async function startRollingLog(t: TestContext, logDir: string): Promise<RollingLog> {
  const events = new EventLog();
  const thread = new WorkerThread<LogsApi, LogEvent>({
    entry: 'logs',
    data: () => ({ data: { logDir } }),
    deadlines: { defaultMs: 10_000 },
    onEvent: events.post,
  });
  defer(t, () => thread.stop());
  await thread.start();
  const api = await thread.ready();

  const fifoDir = await makeTempDir(t);
  const fifos = STREAMS.map((stream) => join(fifoDir, `${stream}.fifo`));
  makeFifos(fifos);
  const readEnds = fifos.map(openReadEnd);
  // Not open for reading: should this process be killed, the writer ends, too.
  const [stdout, stderr] = fifos.map((fifo) => openSync(fifo, 'w')) as [number, number];
  const writer = spawn(process.execPath, [writerPath], { stdio: ['pipe', stdout, stderr] });
  const exited = once(writer, 'exit');
  defer(t, async () => {
    writer.kill('SIGKILL');
    await exited;
  });
  closeAll([stdout, stderr]);
  await Promise.all(
    STREAMS.map((stream, index) =>
      openStream(api, {
        service: SERVICE,
        stream,
        fd: readEnds[index]!,
        settings: { ...DEFAULT_LOG_SETTINGS, max_size_bytes: MAX_FILE_BYTES },
      }),
    ),
  );

  return {
    countFiles: (stream) => filesOf(logDir, SERVICE, stream).length,
    async finish() {
      writer.stdin?.write('end\n');
      await exited;
      for (const stream of STREAMS) await events.next('stream-ended', stream);
      return new Map(STREAMS.map((stream) => [stream, readRecords(logDir, stream)]));
    },
  };
}

/** The records of a stream; throws when the worker itself has lost or repeated a line, which is no shipper's fault. */
function readRecords(logDir: string, stream: StreamName): string[] {
  const content = Buffer.from(contentOf(logDir, SERVICE, stream), 'latin1').toString('utf8');
  const numbers = linesOf(content).map((line) => /^(?:line|end) (\d+)/.exec(line)?.[1]);
  const count = numbers.length - 1;
  const expected = [...Array.from({ length: count }, (_, index) => index + 1), count];
  if (numbers.join() !== expected.join()) throw new Error(`the files of ${stream} are not what was written`);
  return content.split('\n').slice(0, -1);
}
