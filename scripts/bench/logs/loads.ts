/** Loads: numbered lines of one length, in a file made beforehand, and the programs that print them. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** A way to print. */
export interface Load {
  readonly name: string;
  /** Length of each line, its newline included. */
  readonly lineBytes: number;
  /** Blocks as full as a pipe takes them, or a write(2) for each line. */
  readonly writes: 'blocks' | 'lines';
  /** Part of `--mb` that is written: some loads take longer per byte. */
  readonly share: number;
}

/** The load that the targets are about. */
export const MAIN_LOAD = 'blocks-100';

/** Every load, by rising length of the line. */
export const LOADS: readonly Load[] = [
  { name: 'blocks-20', lineBytes: 20, writes: 'blocks', share: 1 / 4 },
  { name: MAIN_LOAD, lineBytes: 100, writes: 'blocks', share: 1 },
  { name: 'blocks-1000', lineBytes: 1000, writes: 'blocks', share: 1 },
  { name: 'lines-100', lineBytes: 100, writes: 'lines', share: 1 / 4 },
];

/** A program that writes `lines` lines to its standard output and ends. */
export interface Producer {
  readonly command: readonly string[];
  readonly lines: number;
  readonly lineBytes: number;
}

/** Digits at the start of each line: its number, from 0. */
export const NUMBER_DIGITS = 10;
const BLOCK_BYTES = 65_536;
const FILLER = ' the quick brown fox jumps over the lazy dog';

/** Number of lines in `mb` megabytes (10^6 bytes) of this load; `share` is the contender's part. */
export function countLines(load: Load, mb: number, share: number): number {
  return Math.max(1, Math.floor((mb * 1e6 * load.share * share) / load.lineBytes));
}

/** Makes the file that producers of lines this long read from. */
export function writeInput(dir: string, lineBytes: number, lines: number): void {
  const rest = FILLER.repeat(Math.ceil(lineBytes / FILLER.length)).slice(0, lineBytes - NUMBER_DIGITS - 1);
  const fd = openSync(inputPath(dir, lineBytes), 'w');
  const linesAtOnce = Math.ceil(1e6 / lineBytes);
  for (let at = 0; at < lines; at += linesAtOnce) {
    let text = '';
    for (let number = at; number < Math.min(lines, at + linesAtOnce); number += 1) {
      text += `${String(number).padStart(NUMBER_DIGITS, '0')}${rest}\n`;
    }
    writeSync(fd, text);
  }
  closeSync(fd);
}

/** The program that plays the first `lines` lines of the file from {@link writeInput} in `dir`. */
export function producerOf(load: Load, dir: string, lines: number): Producer {
  const path = inputPath(dir, load.lineBytes);
  const command =
    load.writes === 'blocks'
      ? ['dd', `if=${path}`, `bs=${BLOCK_BYTES}`, `count=${lines * load.lineBytes}`, 'iflag=count_bytes', 'status=none']
      : // Of the programs that every Debian has, the fastest with a write for each line.
        ['grep', '--line-buffered', '--text', `--max-count=${lines}`, '', path];
  return { command, lines, lineBytes: load.lineBytes };
}

function inputPath(dir: string, lineBytes: number): string {
  return join(dir, `input-${lineBytes}`);
}
