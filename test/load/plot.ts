/** Curves over the number of services, as SVG. */
import type { LoadResult } from './report.ts';

const WIDTH = 720;
const HEIGHT = 300;
const MARGIN = { left: 60, right: 190, top: 40, bottom: 45 };
const COLOURS = ['#1f77b4', '#d62728', '#2ca02c', '#9467bd'];
const GRID_LINES = 5;

/** A curve: a value for each load, null where there is none. */
interface Series {
  readonly name: string;
  readonly values: readonly (number | null)[];
}

/** Two charts, one above the other: how long starts took, and how late the main thread ran. */
export function renderPlot(results: readonly LoadResult[], title: string): string {
  const counts = results.map(({ figures }) => figures.services);
  const of = (name: string, value: (result: LoadResult) => number | null): Series => ({
    name,
    values: results.map(value),
  });
  const peers = Object.keys(results[0]?.peers ?? {});
  const starts = [
    of('all first lines', ({ figures }) => figures.firstLinesSeconds),
    of('all started', ({ figures }) => figures.startSeconds),
    ...peers.map((peer) => of(peer, (result) => result.peers[peer] ?? null)),
  ];
  const delays = [
    of('main thread, p99', ({ figures }) => figures.mainDelayMs.p99),
    of('main thread, max', ({ figures }) => figures.mainDelayMs.max),
    of('idle process, p99', ({ figures }) => figures.idleDelayMs.p99),
    of('idle process, max', ({ figures }) => figures.idleDelayMs.max),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${2 * HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="100%" height="100%" fill="white"/>`,
    renderChart(`${title}: seconds to start`, counts, starts, 0),
    renderChart(`${title}: event loop late, ms`, counts, delays, HEIGHT),
    '</svg>\n',
  ].join('\n');
}

function renderChart(title: string, counts: readonly number[], series: readonly Series[], top: number): string {
  const mostX = Math.max(...counts);
  const mostY = niceLimit(Math.max(...series.flatMap(({ values }) => values.filter((value) => value !== null))));
  const x = (count: number) => MARGIN.left + (count / mostX) * (WIDTH - MARGIN.left - MARGIN.right);
  const y = (value: number) => top + HEIGHT - MARGIN.bottom - (value / mostY) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const ticks = Array.from({ length: GRID_LINES + 1 }, (_, index) => (index / GRID_LINES) * mostY);
  return [
    `<text x="${MARGIN.left}" y="${top + 22}" font-size="14">${escapeText(title)}</text>`,
    ...ticks.flatMap((tick) => [
      `<line x1="${MARGIN.left}" x2="${x(mostX)}" y1="${y(tick)}" y2="${y(tick)}" stroke="#ddd"/>`,
      `<text x="${MARGIN.left - 6}" y="${y(tick) + 4}" text-anchor="end">${Number(tick.toPrecision(3))}</text>`,
    ]),
    ...counts.map((count) => `<text x="${x(count)}" y="${y(0) + 18}" text-anchor="middle">${count}</text>`),
    `<text x="${x(mostX / 2)}" y="${y(0) + 36}" text-anchor="middle">services</text>`,
    ...series.flatMap((one, index) => renderSeries(one, index, counts, x, y, top)),
  ].join('\n');
}

function renderSeries(
  { name, values }: Series,
  index: number,
  counts: readonly number[],
  x: (count: number) => number,
  y: (value: number) => number,
  top: number,
): string[] {
  const colour = COLOURS[index % COLOURS.length]!;
  const points = counts.flatMap((count, at) => {
    const value = values[at];
    return value == null ? [] : [[x(count).toFixed(1), y(value).toFixed(1)] as const];
  });
  const legendY = top + MARGIN.top + 8 + index * 20;
  return [
    `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${points.map((point) => point.join(',')).join(' ')}"/>`,
    ...points.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3" fill="${colour}"/>`),
    `<rect x="${WIDTH - MARGIN.right + 16}" y="${legendY - 9}" width="12" height="12" fill="${colour}"/>`,
    `<text x="${WIDTH - MARGIN.right + 34}" y="${legendY + 1}">${escapeText(name)}</text>`,
  ];
}

/** The next 1, 2 or 5 of a power of ten. */
function niceLimit(most: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1e-3)));
  return [1, 2, 5, 10].map((step) => step * power).find((limit) => limit >= most)!;
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
