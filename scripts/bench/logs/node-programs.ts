/** Contenders that are programs for Node: monocore itself, and two ways to do without a log worker. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Contender, Cost, Run } from './contender.ts';
import { ended, nowSeconds, openPipe, startProducer } from './processes.ts';

/** Last message of a fixture; its first message, of any content, says that it is ready. */
export interface FixtureDone {
  /** Used since `ready`. */
  readonly cpuSeconds: number;
}

interface NodeProgram extends Pick<Contender, 'name' | 'rolls' | 'share'> {
  /** Gets the path of the FIFO and the output folder; the FIFO is its standard input, too. */
  readonly fixture: string;
}

const PROGRAMS: readonly NodeProgram[] = [
  { name: 'monocore', fixture: 'log-thread.ts', rolls: 'yes', share: 1 },
  { name: 'readline', fixture: 'readline.ts', rolls: 'yes', share: 1 / 4 },
  { name: 'seed-loop', fixture: 'seed-loop.ts', rolls: 'drops old', share: 1 / 64 },
];

/** The contenders of this kind; monocore is the first. */
export const nodePrograms: readonly Contender[] = PROGRAMS.map(({ name, rolls, share, fixture }) => ({
  name,
  stamps: true,
  rolls,
  share,
  prepare: async () => null,
  measure: (run) => measure(fixture, run),
}));

async function measure(fixture: string, run: Run): Promise<Cost> {
  const { path, readFd, writeFd } = await openPipe(run.dir);
  const child = fork(fileURLToPath(new URL(`fixtures/${fixture}`, import.meta.url)), [path, run.outDir], {
    execArgv: ['--import', import.meta.resolve('tsx')],
    stdio: [readFd, 'inherit', 'inherit', 'ipc'],
  });
  const end = ended(child, fixture);
  const failed = end.then(() => Promise.reject(new Error(`${fixture} ended before its work was done`)));
  failed.catch(() => {});
  await Promise.race([once(child, 'message'), failed]);
  closeSync(readFd);
  const done = once(child, 'message') as Promise<[FixtureDone]>;
  const startedAt = nowSeconds();
  const produced = startProducer(run.producer, writeFd);
  const [{ cpuSeconds }] = await Promise.race([done, failed]);
  const seconds = nowSeconds() - startedAt;
  await Promise.all([produced, end]);
  return { seconds, cpuSeconds };
}
