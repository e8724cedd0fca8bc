/** Run of node:test over some files. */
import { finished } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import type { TestProcess } from './groups.ts';

/** A test that ended, suites left out. */
export interface TestResult {
  readonly outcome: 'passed' | 'failed' | 'skipped' | 'todo' | 'empty';
  readonly name: string;
  /** Path of the file with the test. */
  readonly file: string;
  /** 0 for a test that is in no other. */
  readonly nesting: number;
  readonly durationMs: number;
}

/** Of one process. A test that hangs must not hold up the run for ever; the longest takes a minute on a busy host. */
const TIMEOUT_MS = 300_000;

/**
 * Runs the processes, `concurrency` at a time, with this process's options and environment, and prints what comes. The
 * result of a file without a test is `empty`.
 */
export async function runProcesses(
  processes: readonly TestProcess[],
  concurrency: number,
  timeoutMs = TIMEOUT_MS,
): Promise<TestResult[]> {
  const results: TestResult[] = [];
  const events = run({ files: processes.map(({ entry }) => entry), concurrency, timeout: timeoutMs });
  events.on('test:pass', (data) => {
    // Node reports a process without a test as a test of its file's name that passed.
    const isProcess = data.nesting === 0 && data.name === data.file;
    if (data.details.type !== 'suite' && !isProcess) add(data, 'passed');
  });
  events.on('test:fail', (data) => {
    if (data.details.type !== 'suite') add(data, 'failed');
  });
  const output = events.compose(new spec());
  output.pipe(process.stdout, { end: false });
  await finished(output, { writable: false });
  return [...results, ...processes.flatMap((process) => findEmpty(process, results))];

  function add(data: EndOfTest, outcome: TestResult['outcome']): void {
    const { name, file = name, nesting } = data;
    results.push({ outcome: outcomeOf(data) ?? outcome, name, file, nesting, durationMs: data.details.duration_ms });
  }
}

/** Results of the files without a test. A process that failed itself may have come to none of its later files. */
function findEmpty({ entry, files }: TestProcess, results: readonly TestResult[]): TestResult[] {
  const known = new Set(results.flatMap(({ name, file }) => [name, file]));
  if (known.has(entry)) return [];
  const empty = files.filter((file) => !known.has(file));
  return empty.map((file) => ({ outcome: 'empty', name: file, file, nesting: 0, durationMs: 0 }));
}

/** Fields that both events have. */
interface EndOfTest {
  readonly name: string;
  readonly file?: string;
  readonly nesting: number;
  readonly skip?: string | boolean;
  readonly todo?: string | boolean;
  readonly details: { readonly duration_ms: number };
}

function outcomeOf({ skip, todo }: EndOfTest): 'skipped' | 'todo' | undefined {
  if (todo !== undefined) return 'todo';
  return skip === undefined ? undefined : 'skipped';
}

/** Complaints about tests that neither passed nor failed, and about processes that failed as a whole. */
export function findProblems(processes: readonly TestProcess[], results: readonly TestResult[]): string[] {
  const groups = new Map(processes.filter(({ files }) => files.length > 1).map(({ entry, files }) => [entry, files]));
  return results.flatMap(({ outcome, name }) => {
    const files = groups.get(name);
    if (files) return [`failed process, by one of its files:${files.map((file) => `\n  ${file}`).join('')}`];
    if (outcome === 'empty') return [`file without a test: ${name}`];
    return outcome === 'skipped' || outcome === 'todo' ? [`${outcome} test: ${name}`] : [];
  });
}
