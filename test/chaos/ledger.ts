/** Ledger that the runs of a plain process write about themselves, see `PROGRAM`. */
import { readFileSync } from 'node:fs';
import { errorCode } from '../../src/lib/errors.ts';

/** A run of a service. */
export interface LedgerRun {
  readonly run: string;
  /** The process, and the one above it that watches it: what was done to either was done to the run. */
  readonly pids: readonly [number, number];
  /** Number of printed lines and exit code; null for a run that did not end by itself. */
  readonly end: { readonly stdoutLines: number; readonly stderrLines: number; readonly code: number } | null;
}

/** Reads the runs in order; returns none while the file does not exist. */
export function readLedger(path: string): LedgerRun[] {
  const runs = new Map<string, LedgerRun>();
  for (const line of readText(path).split('\n').slice(0, -1)) {
    const [verb, run, ...numbers] = line.split(' ');
    if (run === undefined) continue;
    const [first = 0, second = 0, third = 0] = numbers.map(Number);
    const known = runs.get(run);
    if (verb === 'begin') runs.set(run, { run, pids: [first, second], end: null });
    else if (known) runs.set(run, { ...known, end: { stdoutLines: first, stderrLines: second, code: third } });
  }
  return [...runs.values()];
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return '';
    throw error;
  }
}
