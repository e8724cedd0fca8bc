/** Lines of a stream, from its files; the parts of split lines are joined again. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { formatOf } from '../../src/protocol/log-files/formats.ts';
import { parseFileName, type StreamName } from '../../src/protocol/log-files/names.ts';

/**
 * Yields the lines of a stream, oldest first. A line that is not a record comes as it is.
 *
 * @param dirs folders with its files, the oldest first
 */
export function* readLines(dirs: readonly string[], service: string, stream: StreamName): Generator<string> {
  let line: string | null = null;
  let isPartial = false;
  for (const record of readRecords(dirs, service, stream)) {
    const parsed = formatOf(record)?.parse(record);
    if (line !== null && !isPartial && !parsed?.isContinued) {
      yield line;
      line = null;
    }
    line = (line ?? '') + (parsed?.text ?? record);
    isPartial = parsed?.isPartial ?? false;
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
      // An interrupted compression leaves the plain file beside the compressed one.
      if (parsed!.number === before) continue;
      before = parsed!.number;
      const bytes = readFileSync(join(dir, name));
      const text = (parsed!.form === 'compressed' ? gunzipSync(bytes) : bytes).toString('latin1');
      const records = text.split('\n');
      // The last piece is empty, unless a record is torn.
      if (records.at(-1) === '') records.pop();
      yield* records;
    }
  }
}
