/** The figures of a load as people read them. */
import Table from 'cli-table3';
import type { LoadFigures } from './run.ts';

/** A load and its peers: seconds until all had started. */
export interface LoadResult {
  readonly figures: LoadFigures;
  /** By what started them; null where it could not take part. */
  readonly peers: Readonly<Record<string, number | null>>;
}

/** Lists violated requirements that do not depend on the host: one fails the run. */
export function complaints({ figures }: LoadResult): string[] {
  const { services, failed, printedLines, writtenLines, misplacedLines, leftovers } = figures;
  const all = [...failed.map((text) => `failed: ${text}`), ...leftovers.map((text) => `left behind: ${text}`)];
  if (printedLines !== writtenLines) all.push(`${printedLines} lines printed, ${writtenLines} written`);
  if (misplacedLines > 0) all.push(`${misplacedLines} lines are not where they should be`);
  return all.map((text) => `${services} services: ${text}`);
}

/** A row for each figure, a column for each load; then what is wrong. */
export function renderReport(results: readonly LoadResult[]): string {
  const table = new Table({
    style: { head: [], border: [] },
    chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
    head: ['services', ...results.map(({ figures }) => String(figures.services))],
    colAligns: ['left', ...results.map(() => 'right' as const)],
  });
  const row = (title: string, of: (result: LoadResult) => string) => table.push([title, ...results.map(of)]);
  row('all started, s', ({ figures }) => figures.startSeconds.toFixed(2));
  row('all first lines, s', ({ figures }) => figures.firstLinesSeconds.toFixed(2));
  for (const peer of Object.keys(results[0]?.peers ?? {})) {
    row(`${peer}, s`, ({ peers }) => peers[peer]?.toFixed(2) ?? '-');
    row(`  monocore against it`, (result) => renderRatio(result, peer));
  }
  row(
    'launch to first line, ms, p50 / p99',
    ({ figures: { firstLineMs } }) => `${firstLineMs.p50.toFixed(0)} / ${firstLineMs.p99.toFixed(0)}`,
  );
  row('lines written / printed', ({ figures }) => `${figures.writtenLines} / ${figures.printedLines}`);
  row('main thread late, ms, p50 / p99 / max', ({ figures }) => renderDelay(figures.mainDelayMs));
  row('idle process beside it', ({ figures }) => renderDelay(figures.idleDelayMs));
  row('daemon CPU per start, ms', ({ figures }) => figures.daemonCpuMsPerStart.toFixed(1));
  row('daemon CPU while they print, %', ({ figures }) => figures.daemonCpuPercent.toFixed(1));
  row(
    'daemon memory, MiB',
    ({ figures: { daemonMib } }) => `${daemonMib.before.toFixed(0)} → ${daemonMib.after.toFixed(0)}`,
  );
  row('  per service, MiB', ({ figures }) => figures.daemonMib.perService.toFixed(2));
  row('all stopped, s', ({ figures }) => figures.stopSeconds.toFixed(2));
  row('left behind', ({ figures }) => String(figures.leftovers.length));
  return [table.toString(), ...results.flatMap(complaints)].join('\n');
}

/** VMs are compared by their first lines, which the loop waits for; processes by what was spawned. */
function renderRatio({ figures, peers }: LoadResult, peer: string): string {
  const seconds = peers[peer];
  if (seconds == null) return '-';
  return `${((peer === QEMU_LOOP ? figures.firstLinesSeconds : figures.startSeconds) / seconds).toFixed(2)}×`;
}

/** Names of the peers. */
export const QEMU_LOOP = 'QEMU in a shell loop';
export const SPAWN_LOOP = 'spawn in a loop';
export const PM2 = 'pm2';

function renderDelay({ p50, p99, max }: LoadFigures['mainDelayMs']): string {
  return [p50, p99, max].map((ms) => ms.toFixed(1)).join(' / ');
}
