/** The tables, as people read them. */
import Table from 'cli-table3';
import { BASELINE, type Figures } from './figures.ts';
import { type StreamFigures, streamCpuPerGb } from './stream-figures.ts';
import type { StreamWindow } from './stream-fixtures.ts';
import { LINES_PER_SECOND, STREAMS } from './streams.ts';
import { DELAY_MS_TARGET, STREAM_MB_TARGET } from './targets.ts';

// Without lines between the rows.
const STYLE = {
  style: { head: [], border: [] },
  chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
};

/** A row for each contender under each load. */
export function renderFigures(figures: readonly Figures[]): string {
  const table = new Table({
    ...STYLE,
    head: ['load', 'contender', 'times', 'rolls', 'MB/s', 'Mlines/s', 'speed', 'target', 'CPU s/GB', 'CPU', 'lines'],
    colAligns: ['left', 'left', 'left', 'left', 'right', 'right', 'right', 'left', 'right', 'right', 'right'],
  });
  for (const row of figures) {
    table.push([
      row.load,
      row.contender.name,
      row.contender.stamps ? 'yes' : 'no',
      row.contender.rolls,
      row.mbPerSecond.toFixed(row.mbPerSecond < 10 ? 1 : 0),
      row.millionLinesPerSecond.toPrecision(3),
      `${row.ratio.toFixed(2)}×`,
      row.target === null ? '' : `≥ ${row.target} ${verdict(row.ratio >= row.target)}`,
      row.cpuSecondsPerGb.toFixed(2),
      `${row.cpuRatio.toFixed(2)}×`,
      wholeShare(row),
    ]);
  }
  return `${table.toString()}
speed: ${BASELINE} is that many times as fast; CPU: the contender takes that many times the CPU time of ${BASELINE}; medians
of ratios within a round. lines: how many are in the files in one piece, neither dropped nor cut in two. Contenders that
would take minutes get a part of the load.`;
}

/** What many streams do to the main thread, and what they cost. */
export function renderStreams({ windows, addedP99Ms, mbPerStream, lostLines }: StreamFigures): string {
  const table = new Table({
    ...STYLE,
    head: ['main thread', 'delay p50 ms', 'p99 ms', 'max ms', 'CPU s/s', 'CPU s/GB'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right'],
  });
  const row = (title: string, window: StreamWindow, isBusy: boolean) =>
    table.push([
      title,
      window.p50Ms.toFixed(2),
      window.p99Ms.toFixed(2),
      window.maxMs.toFixed(2),
      (window.cpuSeconds / window.seconds).toFixed(2),
      isBusy ? streamCpuPerGb(window).toFixed(2) : '',
    ]);
  const load = `${STREAMS} producers of ${LINES_PER_SECOND} lines/s`;
  row('idle', windows.idle, false);
  row(load, windows.busy, true);
  row('a process beside it that does nothing', windows.bystander, false);
  row(`${load}, readline on it`, windows.busyReadline, true);
  return `${table.toString()}
p99 above idle: ${addedP99Ms.toFixed(2)} ms, target ≤ ${DELAY_MS_TARGET} ${verdict(addedP99Ms <= DELAY_MS_TARGET)}
memory per stream: ${mbPerStream.toFixed(3)} MB, target ≤ ${STREAM_MB_TARGET} ${verdict(mbPerStream <= STREAM_MB_TARGET)}
lines lost: ${lostLines}`;
}

function verdict(isMet: boolean): string {
  return isMet ? 'met' : 'NOT MET';
}

function wholeShare({ lines, wholeLines }: Figures): string {
  if (wholeLines === lines) return 'all';
  const share = wholeLines / lines;
  return share < 0.9 ? `${(share * 100).toFixed(0)} %` : `all but ${lines - wholeLines}`;
}
