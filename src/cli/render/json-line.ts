/** Records in text format as records in JSON, in pino's shape as in the files of services with `format = "json"`. */
import { isUtf8 } from 'node:buffer';
import { parseTextHead, type TextLevel } from '../../protocol/log-record.ts';

/** pino's numbers, and the streams that have the levels. What monocore itself says is about any of them. */
const LEVELS: Record<TextLevel, { readonly level: number; readonly stream: string | null }> = {
  INFO: { level: 30, stream: 'stdout' },
  ERROR: { level: 50, stream: 'stderr' },
  DEBUG: { level: 20, stream: 'console' },
  WARN: { level: 40, stream: null },
};

/**
 * The record as JSON; what is JSON already comes back as it is. Both are binary strings.
 *
 * A part of a long line that continues the record before it has `"continued":true`. (In files in JSON it is the record
 * before that says `"partial":true`; in text that is not known yet when it is printed.) For a line that is no record,
 * everything but `msg` is null.
 */
export function jsonLine(record: string): string {
  if (isJsonObject(record)) return record;
  const head = parseTextHead(record);
  const bytes = Buffer.from(head ? record.slice(head.length) : record, 'latin1');
  const { level, stream } = head ? LEVELS[head.level] : { level: null, stream: null };
  const fields = {
    level,
    time: head && Date.parse(head.time),
    service: head?.service ?? null,
    stream,
    msg: bytes.toString('utf8'),
    ...(isUtf8(bytes) ? {} : { invalid_utf8: true, raw: bytes.toString('base64') }),
    ...(head?.isContinued ? { continued: true } : {}),
  };
  return Buffer.from(JSON.stringify(fields)).toString('latin1');
}

function isJsonObject(record: string): boolean {
  if (!record.startsWith('{')) return false;
  try {
    JSON.parse(record);
    return true;
  } catch {
    return false;
  }
}
