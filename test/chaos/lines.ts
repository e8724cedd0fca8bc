/** Check that every line of every service is in the files. */
import { type Break, checkStream, countChunks, type ExpectedRun, type StreamCheck } from './continuity.ts';
import type { Member } from './fleet.ts';
import type { KillList } from './kill-list.ts';
import type { LedgerRun } from './ledger.ts';
import { readLines } from './log-lines.ts';

/** Result of the check of one service. */
export interface LineCheck {
  readonly service: string;
  readonly runs: number;
  readonly lines: number;
  readonly lost: number;
  readonly doubled: number;
  readonly torn: number;
  /** On their way when a daemon was killed: at most a chunk of each stream each time. */
  readonly inFlight: number;
  /** Of runs whose pipes were deleted. */
  readonly outOfReach: number;
  /** Descriptions of lost and torn lines. */
  readonly faults: readonly string[];
  /** Descriptions of lines that were in flight. */
  readonly excuses: readonly string[];
}

/** Number of daemons killed while they wrote logs. A log thread that dies alone must lose nothing. */
export interface DaemonDeaths {
  readonly usual: number;
  /** While much waited in the pipes, or could not be written: a chunk is full then. */
  readonly withBacklog: number;
}

/** Events that excuse losses. */
interface LineCheckOptions {
  /** Folders with log files, the oldest first. */
  readonly logDirs: readonly string[];
  readonly deaths: DaemonDeaths;
  readonly kills: KillList;
}

type Stream = 'stdout' | 'stderr';

/** Counts the lines of a service. @param ledger null for a VM */
export function checkLines(
  { service, character }: Member,
  ledger: readonly LedgerRun[] | null,
  options: LineCheckOptions,
): LineCheck {
  const check = { lines: 0, lost: 0, doubled: 0, torn: 0, inFlight: 0, outOfReach: 0 };
  const faults: string[] = [];
  const excuses: string[] = [];
  let runs = 0;
  for (const stream of ['stdout', 'stderr'] as const) {
    const lines = readLines(options.logDirs, service.name, stream);
    const found = checkStream(lines, ledger && expectedRuns(service.name, ledger, stream, options.kills));
    runs = Math.max(runs, found.runs.length);
    check.lines += found.lines;
    check.doubled += found.doubledLines;
    if (found.doubledLines > 0) faults.push(`${service.name}.${stream}: ${found.doubledLines} lines came again`);
    const { reachable, outOfReach } = divide(service.name, found, ledger, options.kills);
    const { excused, faulty } = excuse(reachable, options.deaths, character.burst);
    check.inFlight += countMissing(excused);
    check.outOfReach += countMissing(outOfReach);
    excuses.push(...excused.map((one) => describe(`${service.name}.${stream}`, one)));
    for (const one of faulty) {
      check.lost += one.missingLines;
      check.torn += one.tornLines;
      faults.push(describe(`${service.name}.${stream}`, one));
    }
  }
  return { service: service.name, runs, ...check, faults, excuses };
}

/** The last lines of a killed run may be lost with the process that held its pipes. */
function expectedRuns(service: string, ledger: readonly LedgerRun[], stream: Stream, kills: KillList): ExpectedRun[] {
  return ledger.map(({ run, pids, end }) => {
    const isKnown = end !== null && !kills.wasKilled(service, pids);
    return { run, count: isKnown ? (stream === 'stdout' ? end.stdoutLines : end.stderrLines) : null };
  });
}

function divide(
  service: string,
  { breaks }: StreamCheck,
  ledger: readonly LedgerRun[] | null,
  kills: KillList,
): { reachable: Break[]; outOfReach: Break[] } {
  const isOutOfReach = ({ run }: Break): boolean => {
    if (!ledger) return kills.wasEverFolderless(service);
    const known = ledger.find((candidate) => candidate.run === run);
    return known !== undefined && kills.wasFolderless(service, known.pids);
  };
  return { reachable: breaks.filter((one) => !isOutOfReach(one)), outOfReach: breaks.filter(isOutOfReach) };
}

/** Lines that a service prints at once and that are read at once; twice that where the reader is a little late. */
const USUAL_BURSTS = 2;

/**
 * As many breaks as daemons were killed may be, the small ones first. A chunk has what was printed since the last one was
 * read, and only after a backlog all that fits into it. Daemons that died one after the other, before any of them had
 * written, leave one break for all their chunks.
 */
export function excuse(
  breaks: readonly Break[],
  { usual, withBacklog }: DaemonDeaths,
  burst: number,
): { excused: Break[]; faulty: Break[] } {
  const sorted = breaks.toSorted((a, b) => a.missingLines - b.missingLines);
  const small = sorted.filter(({ missingLines }) => missingLines <= USUAL_BURSTS * burst).slice(0, usual + withBacklog);
  let chunks = withBacklog;
  const large = sorted.filter((one) => {
    if (small.includes(one) || countChunks(one) > chunks) return false;
    chunks -= countChunks(one);
    return true;
  });
  const excused = [...small, ...large];
  return { excused, faulty: breaks.filter((one) => !excused.includes(one)) };
}

function countMissing(breaks: readonly Break[]): number {
  return breaks.reduce((sum, { missingLines }) => sum + missingLines, 0);
}

function describe(stream: string, { run, before, missingLines, tornLines }: Break): string {
  const where = before === null ? 'at its end' : `before line ${before}`;
  return `${stream}: run ${run} ${where}: ${missingLines} lines missing, ${tornLines} torn`;
}
