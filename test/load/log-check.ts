/** Log files of a load: the time of the first line of each service, and a check that every line is there once. */
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fileName, parseFileName } from '../../src/protocol/log-files/names.ts';
import { lineNumber } from './workload.ts';

const RECORD_TIME_CHARACTERS = '2026-11-23T08:00:00.123Z'.length;

/** When the first record of a service was written, milliseconds since the epoch; null while there is none. */
export function firstRecordMs(logDir: string, service: string): number | null {
  const path = join(logDir, fileName({ service, stream: 'stdout' }, 1));
  if (!existsSync(path)) return null;
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(RECORD_TIME_CHARACTERS);
    return readSync(fd, bytes) === bytes.length ? Date.parse(bytes.toString()) : null;
  } finally {
    closeSync(fd);
  }
}

/** Counts the lines of a service in its files, in order. */
export interface LineCount {
  readonly written: number;
  /** Lines that are not the next one of the line before. */
  readonly misplaced: number;
}

/** Reads all files of the stream. */
export function countLines(logDir: string, service: string): LineCount {
  const numbers = readdirSync(logDir)
    .map(parseFileName)
    .filter((parsed) => parsed?.service === service && parsed.stream === 'stdout')
    .map((parsed) => parsed!.number)
    .sort((a, b) => a - b);
  let written = 0;
  let misplaced = 0;
  for (const number of numbers) {
    const text = readFileSync(join(logDir, fileName({ service, stream: 'stdout' }, number)), 'utf8');
    for (const line of text.split('\n').slice(0, -1)) {
      if (lineNumber(line) !== written) misplaced += 1;
      written += 1;
    }
  }
  return { written, misplaced };
}
