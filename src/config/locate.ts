/** Where in the file faults are, for who reads it. */
import { type Fault, formatPath } from './fault.ts';
import { Lines, type Places, type Span } from './positions.ts';
import type { Problem } from './problems.ts';

/**
 * Problems in order of position. A path that the file does not have (a missing key) is reported at the innermost table
 * around it that does.
 */
export function locate(file: string, text: string, places: Places, faults: readonly Fault[]): Problem[] {
  const lines = new Lines(text);
  const problems = faults.map((fault) => {
    const span = places.find(fault.path, fault.at) ?? [0, 0];
    return toProblem(file, lines, span, formatPath(fault.path), fault.message, fault.expected);
  });
  return problems.sort((a, b) => a.line - b.line || a.column - b.column);
}

/** The problem at a span; of a span over several lines, what is on the first one is underlined. */
export function toProblem(
  file: string,
  lines: Lines,
  [start, end]: Span,
  path: string,
  message: string,
  expected: string | null,
): Problem {
  const { line, column } = lines.position(start);
  const source = lines.source(line);
  const length = Math.max(1, Math.min(end - start, source.length - column + 1));
  return { file, line, column, length, path, message, expected, source };
}
