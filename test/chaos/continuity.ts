/** Check that a stream has every line of its runs, once, whole and in order. Pure. */
import { countBytes, type ProgramLine, parseProgramLine } from './program.ts';

/** Lines that a run is known to have printed, in the order of the runs. */
export interface ExpectedRun {
  readonly run: string;
  /** Numbered lines; null where it was killed, so that nobody knows. */
  readonly count: number | null;
}

/** A place where the stream is not whole. */
export interface Break {
  readonly run: string;
  /** Number of the line behind it; null at the end of the run. */
  readonly before: number | null;
  readonly missingLines: number;
  /** Without what is missing of torn lines. */
  readonly missingBytes: number;
  readonly tornLines: number;
}

/** Contents of a stream. */
export interface StreamCheck {
  /** Whole lines. */
  readonly lines: number;
  readonly breaks: readonly Break[];
  /** Lines that came again, or behind later ones. */
  readonly doubledLines: number;
  /** Runs with at least one line, in order. */
  readonly runs: readonly string[];
  /** Runs whose last line is there. */
  readonly endedRuns: readonly string[];
}

/** The most that may be on its way between a pipe and its file, see `INPUT_BYTES` of the log worker. */
const CHUNK_BYTES = 64 * 1024;

/** Number of chunks that the missing bytes fill, at least one. */
export function countChunks({ missingBytes }: Break): number {
  return Math.max(1, Math.ceil(missingBytes / CHUNK_BYTES));
}

/**
 * Checks the lines of a stream.
 *
 * @param expected runs that are known from elsewhere; null where there is no such source
 */
export function checkStream(lines: Iterable<string>, expected: readonly ExpectedRun[] | null): StreamCheck {
  const checker = new StreamChecker(new Map(expected?.map(({ run, count }) => [run, count])));
  for (const line of lines) checker.take(line);
  return checker.finish();
}

class StreamChecker {
  readonly #counts: Map<string, number | null>;
  readonly #breaks: Break[] = [];
  readonly #runs = new Set<string>();
  readonly #endedRuns: string[] = [];
  #lines = 0;
  #doubledLines = 0;
  #run: string | null = null;
  /** Number of the last line of the run. */
  #last = 0;
  #hasEnded = false;
  /** Bytes since the last whole line. */
  #torn = '';
  #tornLines = 0;

  constructor(counts: Map<string, number | null>) {
    this.#counts = counts;
  }

  take(text: string): void {
    const line = parseProgramLine(text);
    if (line) {
      this.#takeWhole(line);
      return;
    }
    this.#torn += text;
    this.#tornLines += 1;
    // Both halves may be there, one in each of two records.
    const joined = parseProgramLine(this.#torn);
    if (joined) this.#takeWhole(joined);
  }

  finish(): StreamCheck {
    this.#leaveRun();
    for (const [run, count] of this.#counts) {
      if (this.#runs.has(run) || count === null) continue;
      this.#last = 0;
      this.#note(run, null, count + 2);
    }
    return {
      lines: this.#lines,
      breaks: this.#breaks,
      doubledLines: this.#doubledLines,
      runs: [...this.#runs],
      endedRuns: this.#endedRuns,
    };
  }

  #takeWhole(line: ProgramLine): void {
    this.#lines += 1;
    if (line.run !== this.#run) {
      this.#leaveRun();
      this.#enterRun(line);
    } else if (line.type === 'begin') {
      this.#doubledLines += 1;
    }
    if (line.type === 'line') this.#takeNumber(line.run, line.number);
    if (line.type === 'end') this.#takeEnd(line.run, line.count);
    this.#torn = '';
    this.#tornLines = 0;
  }

  #enterRun({ run, type }: ProgramLine): void {
    if (this.#runs.has(run)) this.#doubledLines += 1;
    this.#runs.add(run);
    this.#run = run;
    this.#last = 0;
    this.#hasEnded = false;
    if (type !== 'begin') this.#note(run, 0, 1);
  }

  #takeNumber(run: string, number: number): void {
    if (number <= this.#last || this.#hasEnded) {
      this.#doubledLines += 1;
      return;
    }
    this.#note(run, number, number - this.#last - 1);
    this.#last = number;
  }

  #takeEnd(run: string, count: number): void {
    if (this.#hasEnded) this.#doubledLines += 1;
    else this.#endedRuns.push(run);
    this.#note(run, null, count - this.#last);
    this.#last = count;
    this.#hasEnded = true;
  }

  #leaveRun(): void {
    const run = this.#run;
    const count = run === null ? null : (this.#counts.get(run) ?? null);
    // Of a run that was killed the last line may be torn, and nobody knows what else there was.
    if (run !== null && !this.#hasEnded && count !== null) this.#note(run, null, count - this.#last + 1);
    else if (this.#hasEnded && run !== null) this.#note(run, null, 0);
    this.#torn = '';
    this.#tornLines = 0;
  }

  /** Lines are missing behind the last one that was there. */
  #note(run: string, before: number | null, missing: number): void {
    if (missing <= 0 && this.#tornLines === 0) return;
    const missingLines = Math.max(0, missing);
    const missingBytes = countBytes(this.#last + 1, this.#last + missingLines);
    this.#breaks.push({ run, before, missingLines, missingBytes, tornLines: this.#tornLines });
    this.#tornLines = 0;
  }
}
