/** Report of a run. */
import Table from 'cli-table3';
import type { ExitCheck } from './exits.ts';
import type { Violation } from './findings.ts';
import type { LineCheck } from './lines.ts';
import type { ChaosOptions } from './options.ts';
import type { ActionType } from './schedule.ts';

/** Everything that was found out. */
export interface ChaosReport {
  readonly options: ChaosOptions;
  /** Number of actions by type. */
  readonly actions: Readonly<Partial<Record<ActionType, number>>>;
  /** Kinds of actions that were not possible here, with the reason. */
  readonly leftOut: Readonly<Partial<Record<ActionType, string>>>;
  readonly lines: readonly LineCheck[];
  readonly exits: ExitCheck;
  /** Command lines of processes that outlived everything. */
  readonly orphans: readonly string[];
  readonly staleFiles: readonly string[];
  readonly violations: readonly Violation[];
  /** Where everything is kept to be looked at; null where nothing was wrong. */
  readonly keptIn: string | null;
}

/** The numbers that have to be 0. */
export function countFaults({ lines, exits, orphans, staleFiles, violations }: Omit<ChaosReport, 'keptIn'>): {
  readonly [what: string]: number;
} {
  const sum = (of: (check: LineCheck) => number) => lines.reduce((total, check) => total + of(check), 0);
  return {
    'lost lines': sum(({ lost }) => lost),
    'doubled lines': sum(({ doubled }) => doubled),
    'torn lines': sum(({ torn }) => torn),
    orphans: orphans.length,
    'stale files': staleFiles.length,
    'wrong exit codes': exits.wrong.length,
    'violated invariants': violations.length,
  };
}

/** Returns true if the run found no fault. */
export function isClean(report: Omit<ChaosReport, 'keptIn'>): boolean {
  return Object.values(countFaults(report)).every((count) => count === 0);
}

/** As people read it. */
export function renderReport(report: ChaosReport): string {
  const { options, actions, leftOut, lines, exits, orphans, staleFiles, violations, keptIn } = report;
  const table = new Table({
    style: { head: [], border: [] },
    chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
    head: ['service', 'runs', 'lines', 'lost', 'doubled', 'torn', 'in flight', 'out of reach'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'right', 'right'],
  });
  for (const { service, runs, lines: count, lost, doubled, torn, inFlight, outOfReach } of lines) {
    table.push([service, runs, count, lost, doubled, torn, inFlight, outOfReach]);
  }
  const section = (title: string, entries: readonly string[]) =>
    entries.length === 0 ? [] : [`${title}:`, ...entries.map((entry) => `  ${entry}`)];
  return [
    table.toString(),
    'in flight: in a chunk that a daemon had read when it was killed; out of reach: of runs whose pipes were deleted',
    `actions: ${Object.entries(actions)
      .map(([type, count]) => `${type} ${count}`)
      .join(', ')}`,
    ...Object.entries(leftOut).map(([type, reason]) => `left out: ${type}: ${reason}`),
    `exit codes compared: ${exits.checked}`,
    ...section(
      'lines',
      lines.flatMap(({ faults }) => faults),
    ),
    ...section('wrong exit codes', exits.wrong),
    ...section('orphans', orphans),
    ...section('stale files', staleFiles),
    ...section(
      'violated invariants',
      violations.map(({ atMs, text }) => `${(atMs / 1000).toFixed(1)} s: ${text}`),
    ),
    ...(keptIn === null ? [] : [`kept: ${keptIn}`, `to repeat it: ${renderCommand(options)}`]),
    `seed ${options.seed}: ${Object.entries(countFaults(report))
      .map(([what, count]) => `${count} ${what}`)
      .join(', ')}`,
  ].join('\n');
}

function renderCommand({ seed, minutes, services, vms, fake, without }: ChaosOptions): string {
  const others = [...(fake ? ['--fake'] : []), ...without.map((type) => `--without ${type}`)];
  const words = [`--seed ${seed}`, `--minutes ${minutes}`, `--services ${services}`, `--vms ${vms}`, ...others];
  return `npm run chaos -- ${words.join(' ')}`;
}
