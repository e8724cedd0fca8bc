/** Tables without borders, for terminals and pipes. */
import Table from 'cli-table3';
import stringWidth from 'string-width';

const NO_BORDERS = Object.fromEntries(
  [
    ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
    ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'],
  ].map((name) => [name, '']),
);

/** Column of a table of `Row`s: its head, its alignment and a function for the cell of a row; null is shown as `-`. */
export type Column<Row> = readonly [
  head: string,
  side: 'left' | 'right',
  cell: (row: Row, index: number) => string | number | null,
];

interface TableLayout {
  /** Spaces between columns. */
  readonly gap?: number;
  /** Maximum length of a line; cells are wrapped to fit where words allow it. */
  readonly width?: number;
}

/** Lines of the table, starting with the head. Heads and cells may be coloured. */
export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  { gap = 2, width = Number.POSITIVE_INFINITY }: TableLayout = {},
): string[] {
  const head = columns.map(([name]) => name);
  const cells = rows.map((row) => columns.map(([, , cell], index) => String(cell(row, index) ?? '-')));
  const table = new Table({
    head,
    chars: { ...NO_BORDERS, middle: ' '.repeat(gap) },
    colAligns: columns.map(([, side]) => side),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0, compact: true },
    colWidths: fitColumns([head, ...cells], width - gap * (columns.length - 1)),
    wordWrap: true,
  });
  table.push(...cells);
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
}

/** Widths of the columns in `room` characters: the widest shrink first, but none below its longest word. */
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
