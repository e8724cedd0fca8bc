/** Check of the log files of a load: the first output of each service, and that every line is there once. */
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { recordTime } from '../../src/protocol/log-files/formats.ts';
import { fileName, parseFileName } from '../../src/protocol/log-files/names.ts';
import { EARLIEST, RECORD_TIME_BYTES } from '../../src/protocol/log-files/record.ts';
import { lineNumber } from './workload.ts';

/** Time of the first record of a service, milliseconds since the epoch; null while there is none. */
export function firstRecordMs(logDir: string, service: string): number | null {
  const path = join(logDir, fileName({ service, stream: 'stdout' }, 1));
  if (!existsSync(path)) return null;
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(RECORD_TIME_BYTES);
    readSync(fd, bytes);
    const time = recordTime(bytes, 0, EARLIEST);
    return time === EARLIEST ? null : Date.parse(time);
  } finally {
    closeSync(fd);
  }
}

/** Count of the lines in the files of a service. */
interface LineCount {
  readonly written: number;
  /** Lines that do not follow the line before. */
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
