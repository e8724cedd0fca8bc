/** Tables without borders, for terminals and pipes. */
import Table from 'cli-table3';
import stringWidth from 'string-width';

const NO_BORDERS = Object.fromEntries(
  [
    ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
    ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'],
  ].map((name) => [name, '']),
);

/** Columns of a table. */
interface TableLayout {
  /** Indexes of the columns that are aligned to the right. */
  readonly right?: ReadonlySet<number>;
  /** Spaces between columns. */
  readonly gap?: number;
  /** Most characters of a line; cells are wrapped to fit where words allow it. */
  readonly columns?: number;
}

/** Lines of the table, the head first. Cells may be coloured. */
export function renderTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { right = new Set(), gap = 2, columns = Number.POSITIVE_INFINITY }: TableLayout = {},
): string[] {
  const widths = fitColumns([head, ...rows], columns - gap * (head.length - 1));
  const table = new Table({
    head: [...head],
    chars: { ...NO_BORDERS, middle: ' '.repeat(gap) },
    colAligns: head.map((_, column) => (right.has(column) ? 'right' : 'left')),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0, compact: true },
    colWidths: widths,
    wordWrap: true,
  });
  table.push(...rows.map((row) => [...row]));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
}

/** Widths of the columns in `room` characters: the widest give way, but none below its longest word. */
function fitColumns(rows: readonly (readonly string[])[], room: number): number[] {
  const longest = (measure: (cell: string) => number): number[] =>
    rows[0]!.map((_, column) => Math.max(1, ...rows.map((row) => measure(row[column] ?? ''))));
  const wanted = longest(stringWidth);
  const words = longest((cell) => Math.max(...cell.split(/\s+/).map((word) => stringWidth(word))));
  const fit = (cap: number): number[] => wanted.map((width, column) => Math.max(words[column]!, Math.min(width, cap)));
  let cap = Math.max(...wanted);
  while (cap > 1 && fit(cap).reduce((sum, width) => sum + width, 0) > room) cap -= 1;
  return fit(cap);
}
