/** Peers that read their standard input: each is its own command. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Contender, type Cost, MAX_FILE_BYTES, type Run } from './contender.ts';
import { ended, isInstalled, nowSeconds, openPipe, readCpuSeconds, startProducer, TIMED } from './processes.ts';

/** More files than any load fills: peers that remove the oldest ones would seem to lose lines. */
const MAX_FILES = 10_000;

interface StdinProgram extends Pick<Contender, 'name' | 'stamps' | 'rolls'> {
  /** Works in the output folder. */
  readonly command: readonly string[];
  /** Where the standard output goes, in the output folder; nowhere by default. */
  readonly output?: string;
  /** Files that must be in the output folder. */
  readonly files?: Readonly<Record<string, string>>;
}

// Of the times that a program can write the cheapest one: TAI64N for multilog, s6-log and svlogd.
const PROGRAMS: readonly StdinProgram[] = [
  { name: 'cat', stamps: false, rolls: 'no', command: ['cat'], output: 'file' },
  { name: 'rotatelogs', stamps: false, rolls: 'yes', command: ['rotatelogs', '-n', `${MAX_FILES}`, 'log', '10M'] },
  {
    name: 'multilog',
    stamps: true,
    rolls: 'yes',
    command: ['multilog', 't', `s${MAX_FILE_BYTES}`, `n${MAX_FILES}`, './log'],
  },
  {
    name: 's6-log',
    stamps: true,
    rolls: 'yes',
    command: ['s6-log', 't', `s${MAX_FILE_BYTES}`, `n${MAX_FILES}`, './log'],
  },
  {
    name: 'svlogd',
    stamps: true,
    rolls: 'yes',
    command: ['svlogd', '-t', '.'],
    files: { config: `s${MAX_FILE_BYTES}\nn0\n` },
  },
];

/** The peers of this kind. */
export const stdinPrograms: readonly Contender[] = PROGRAMS.map((program) => ({
  name: program.name,
  stamps: program.stamps,
  rolls: program.rolls,
  share: 1,
  prepare: async () => (isInstalled(program.name) ? null : 'not installed, see scripts/bench/setup.sh'),
  measure: (run) => measure(program, run),
}));

async function measure({ name, command, output, files = {} }: StdinProgram, run: Run): Promise<Cost> {
  for (const [file, text] of Object.entries(files)) writeFileSync(join(run.outDir, file), text);
  const timesPath = join(run.dir, 'times');
  const { readFd, writeFd } = await openPipe(run.dir);
  const outputFd = openSync(output === undefined ? '/dev/null' : join(run.outDir, output), 'w');
  const child = spawn('bash', ['-c', TIMED, timesPath, ...command], {
    cwd: run.outDir,
    stdio: [readFd, outputFd, 'inherit'],
  });
  closeSync(readFd);
  closeSync(outputFd);
  const startedAt = nowSeconds();
  await Promise.all([startProducer(run.producer, writeFd), ended(child, name)]);
  return { seconds: nowSeconds() - startedAt, cpuSeconds: readCpuSeconds(timesPath) };
}
