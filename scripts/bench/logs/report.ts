/** The tables, as people read them. */
import Table from 'cli-table3';
import { BASELINE, type Figures } from './figures.ts';
import { type StreamFigures, streamCpuPerGb, streamCpuShare } from './stream-figures.ts';
import type { StreamWindow } from './stream-fixtures.ts';
import { LINES_PER_SECOND, STREAMS } from './streams.ts';
import type { Verdict } from './targets.ts';

// Without lines between the rows.
const STYLE = {
  style: { head: [], border: [] },
  chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
};

/** A row for each contender under each load. */
export function renderFigures(figures: readonly Figures[]): string {
  const table = new Table({
    ...STYLE,
    head: ['load', 'contender', 'times', 'rolls', 'MB/s', 'Mlines/s', 'speed', 'CPU s/GB', 'CPU', 'lines'],
    colAligns: ['left', 'left', 'left', 'left', 'right', 'right', 'right', 'right', 'right', 'right'],
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

/** The table of many streams: their effect on the main thread, and their cost. */
export function renderStreams({ windows, lineP99Ms, lineMaxMs }: StreamFigures): string {
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
      streamCpuShare(window).toFixed(3),
      isBusy ? streamCpuPerGb(window).toFixed(2) : '',
    ]);
  const load = `${STREAMS} producers of ${LINES_PER_SECOND} lines/s`;
  row('idle', windows.idle, false);
  row(load, windows.busy, true);
  row('a process beside it that does nothing', windows.bystander, false);
  row(`${load}, readline on it`, windows.busyReadline, true);
  return `${table.toString()}
from the print of a line to its record: p99 ${lineP99Ms.toFixed(1)} ms, most ${lineMaxMs.toFixed(1)} ms`;
}

/** The targets and whether they were met, a line each. */
export function renderVerdicts(verdicts: readonly Verdict[]): string {
  return verdicts.map(({ text }) => text).join('\n');
}

function wholeShare({ lines, wholeLines }: Figures): string {
  if (wholeLines === lines) return 'all';
  const share = wholeLines / lines;
  return share < 0.9 ? `${(share * 100).toFixed(0)} %` : `all but ${lines - wholeLines}`;
}
