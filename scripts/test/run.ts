/** Run of node:test over some files. */
import { finished } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

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

/** Of one file. A test that hangs must not hold up the run for ever; the longest takes a minute on a busy host. */
const TIMEOUT_MS = 300_000;

/**
 * Runs the files, `concurrency` at a time, each in a process of its own with this process's options and environment, and
 * prints what comes.
 */
export async function runFiles(files: readonly string[], concurrency: number): Promise<TestResult[]> {
  const results: TestResult[] = [];
  const events = run({ files: [...files], concurrency, timeout: TIMEOUT_MS });
  events.on('test:pass', (data) => {
    if (data.details.type === 'suite') return;
    // Node reports a file without a test as a test of the file's name that passed.
    const isEmpty = data.nesting === 0 && data.name === data.file;
    add(data, isEmpty ? 'empty' : 'passed');
  });
  events.on('test:fail', (data) => {
    if (data.details.type !== 'suite') add(data, 'failed');
  });
  const output = events.compose(new spec());
  output.pipe(process.stdout, { end: false });
  await finished(output, { writable: false });
  return results;

  function add(data: EndOfTest, outcome: TestResult['outcome']): void {
    const { name, file = name, nesting } = data;
    results.push({ outcome: outcomeOf(data) ?? outcome, name, file, nesting, durationMs: data.details.duration_ms });
  }
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

/** Complaints about tests that neither passed nor failed. */
export function findProblems(results: readonly TestResult[]): string[] {
  return results.flatMap(({ outcome, name }) => {
    if (outcome === 'empty') return [`file without a test: ${name}`];
    return outcome === 'skipped' || outcome === 'todo' ? [`${outcome} test: ${name}`] : [];
  });
}
