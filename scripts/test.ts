/**
 * Runs tests: `npm test -- [option]... [folder or file]...`, by default all of `test`.
 *
 * A failed test fails the run. So does a skipped test, a todo, a file without a test, and a process or file that the tests
 * leave behind. Node 20 expands neither folders nor globs and takes a run of no tests for a success, so the files are
 * found here.
 */
import { readdirSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { groupFiles } from './test/groups.ts';
import { findProblems, runProcesses, type TestResult } from './test/run.ts';
import { Workspace } from './test/workspace.ts';

const USAGE = `usage: npm test -- [options] [folder or file]...
  --unit       leave test/e2e out: no virtual machine is booted
  --long       all rounds of the tests with random input, four times as many
  --slowest N  print the N files that took longest`;

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const E2E = join(ROOT, 'test', 'e2e') + sep;

const { unit, long, slowest, paths } = readOptions();
const files = paths.flatMap(findTests).filter((file) => !unit || !file.startsWith(E2E));
if (files.length === 0) {
  console.error('no *.test.ts file found');
  process.exit(1);
}

const workspace = new Workspace();
const results: TestResult[] = [];
const complaints: string[] = [];
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    workspace.remove();
    process.kill(process.pid, signal);
  });
}
process.chdir(ROOT);
process.env.TMPDIR = workspace.dir;
if (long) process.env.MONOCORE_TEST_LONG = '1';
try {
  const isE2e = (file: string) => file.startsWith(E2E);
  // Most unit tests wait for other processes now and then. Those of e2e boot VMs, which would starve each other.
  const runs = [
    {
      processes: groupFiles(
        files.filter((file) => !isE2e(file)),
        workspace.dir,
      ),
      concurrency: 2 * availableParallelism(),
    },
    { processes: files.filter(isE2e).map((file) => ({ entry: file, files: [file] })), concurrency: 1 },
  ];
  for (const { processes, concurrency } of runs) {
    if (processes.length === 0) continue;
    const ended = await runProcesses(processes, concurrency);
    results.push(...ended);
    complaints.push(...findProblems(processes, ended));
  }
  if (results.length === 0) complaints.push('no test ran');
  complaints.push(...(await workspace.leftovers()));
} finally {
  workspace.remove();
}

if (slowest > 0) printSlowest(slowest);
for (const complaint of complaints) console.error(complaint);
const passed = results.filter(({ outcome }) => outcome === 'passed').length;
const failed = results.length - passed;
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || complaints.length > 0 ? 1 : 0;

function readOptions(): { unit: boolean; long: boolean; slowest: number; paths: string[] } {
  try {
    const { values, positionals } = parseArgs({
      options: {
        unit: { type: 'boolean', default: false },
        long: { type: 'boolean', default: false },
        slowest: { type: 'string', default: '0' },
      },
      allowPositionals: true,
    });
    const slowest = Number(values.slowest);
    if (!Number.isInteger(slowest)) throw new Error(`--slowest ${values.slowest} is not a number of files`);
    return {
      unit: values.unit,
      long: values.long,
      slowest,
      paths: positionals.length > 0 ? positionals : [join(ROOT, 'test')],
    };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${USAGE}`);
    process.exit(2);
  }
}

/** The test files at or below `path`, sorted. Throws ENOENT where there is nothing. */
function findTests(path: string): string[] {
  const absolute = resolve(path);
  if (statSync(absolute).isFile()) return [absolute];
  return readdirSync(absolute, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join(absolute, name))
    .sort();
}

/** Prints the time that the tests of each file took, without the start of its process. */
function printSlowest(most: number): void {
  const milliseconds = new Map<string, number>();
  for (const { file, nesting, durationMs } of results) {
    if (nesting === 0) milliseconds.set(file, (milliseconds.get(file) ?? 0) + durationMs);
  }
  const sorted = [...milliseconds].sort((one, other) => other[1] - one[1]).slice(0, most);
  for (const [file, ms] of sorted) console.log(`${(ms / 1000).toFixed(1).padStart(7)} s ${relative(ROOT, file)}`);
}
