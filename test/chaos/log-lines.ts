/** The lines of a stream as they are in its files, put together again where the log worker had to cut them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { LogFormat } from '../../src/protocol/log-files/formats.ts';
import type { StreamName } from '../../src/protocol/log-files/names.ts';
import { parseFileName } from '../../src/protocol/log-files/names.ts';

const TEXT_RECORD = /^\S{24} (?:INFO|ERROR)(\+?) \[[^\]]*\] (.*)$/s;

/** Content of a record. */
interface RecordText {
  readonly text: string;
  /** It continues the record before it. */
  readonly isContinued: boolean;
  /** The next record continues it. */
  readonly isPartial: boolean;
}

/**
 * Lines of a stream, oldest first. What is no record comes as it is.
 *
 * @param dirs folders with its files, the oldest first
 */
export function* readLines(
  dirs: readonly string[],
  service: string,
  stream: StreamName,
  format: LogFormat,
): Generator<string> {
  let line: string | null = null;
  let isPartial = false;
  for (const record of readRecords(dirs, service, stream)) {
    const parsed = format === 'json' ? parseJson(record) : parseText(record);
    if (line !== null && !isPartial && !parsed.isContinued) {
      yield line;
      line = null;
    }
    line = (line ?? '') + parsed.text;
    isPartial = parsed.isPartial;
  }
  if (line !== null) yield line;
}

function* readRecords(dirs: readonly string[], service: string, stream: StreamName): Generator<string> {
  for (const dir of dirs) {
    const files = readdirSync(dir)
      .map((name) => ({ name, parsed: parseFileName(name) }))
      .filter(({ parsed }) => parsed?.service === service && parsed.stream === stream && parsed.form !== 'unfinished')
      .sort((a, b) => a.parsed!.number - b.parsed!.number || (a.parsed!.form === 'plain' ? -1 : 1));
    let before = 0;
    for (const { name, parsed } of files) {
      // A compression that was cut off leaves the plain file beside the compressed one.
      if (parsed!.number === before) continue;
      before = parsed!.number;
      const bytes = readFileSync(join(dir, name));
      const text = (parsed!.form === 'compressed' ? gunzipSync(bytes) : bytes).toString('latin1');
      const records = text.split('\n');
      // Behind the last newline there is nothing, unless a record was cut off.
      if (records.at(-1) === '') records.pop();
      yield* records;
    }
  }
}

function parseText(record: string): RecordText {
  const [, continued = '', text = record] = TEXT_RECORD.exec(record) ?? [];
  return { text, isContinued: continued !== '', isPartial: false };
}

function parseJson(record: string): RecordText {
  try {
    const { msg, partial } = JSON.parse(record) as { msg: string; partial?: true };
    return { text: msg, isContinued: false, isPartial: partial === true };
  } catch {
    return { text: record, isContinued: false, isPartial: false };
  }
}
