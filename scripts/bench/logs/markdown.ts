/** The figures as one table for the manual: a row for each contender, a column for each load. */
import type { Figures } from './figures.ts';
import { MAIN_LOAD } from './loads.ts';

/** A table in Markdown. `figures` has every contender under every load, as from `summarize`. */
export function renderMarkdown(figures: readonly Figures[]): string {
  const loads = [...new Set(figures.map(({ load }) => load))];
  const contenders = [...new Set(figures.map(({ contender }) => contender))];
  const head = ['', 'times', 'rolls', ...loads, 'CPU s/GB', 'target'];
  const rows = contenders.map((contender) => {
    const own = figures.filter((row) => row.contender === contender);
    const main = own.find(({ load }) => load === MAIN_LOAD);
    return [
      contender.name,
      contender.stamps ? 'yes' : 'no',
      contender.rolls,
      ...own.map(({ mbPerSecond, ratio }) => `${round(mbPerSecond)} (${round(ratio)}×)`),
      main ? round(main.cpuSecondsPerGb) : '',
      main?.target ? `${main.target}×` : '',
    ];
  });
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Two digits that mean something are enough: other digits change from run to run. */
function round(value: number): string {
  return value >= 10 ? value.toFixed(0) : `${Number(value.toPrecision(2))}`;
}
