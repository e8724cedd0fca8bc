/** From records back to what was printed: the rules of `workers/logs/format/framer.ts`, read from the other side. */
import type { LogFormat } from '../../../src/protocol/log-files/formats.ts';

const TEXT_RECORD = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ([A-Z]+)(\+?) \[[^\]]+\] /;

/** A record in JSON. */
interface JsonRecord {
  readonly level: number;
  readonly time: number;
  readonly service: string;
  readonly stream: string;
  readonly msg: string;
  readonly invalid_utf8?: true;
  readonly raw?: string;
  readonly partial?: true;
  readonly torn?: true;
  readonly json?: object;
}

/** The lines that records are of, each as Latin-1, so that a character is a byte; throws at what is no record. */
export function strip(format: LogFormat, records: string): string[] {
  if (records === '') return [];
  if (!records.endsWith('\n'))
    throw new Error(`the last record has no newline: ${JSON.stringify(records.slice(-100))}`);
  const all = records.slice(0, -1).split('\n');
  return format === 'json' ? stripJson(all) : stripText(all);
}

function stripText(records: readonly string[]): string[] {
  const lines: string[] = [];
  for (const record of records) {
    const [prefix, level, plus] = TEXT_RECORD.exec(record) ?? [];
    if (prefix === undefined) throw new Error(`no record: ${JSON.stringify(record.slice(0, 100))}`);
    if (level === 'WARN') continue;
    const part = record.slice(prefix.length);
    if (plus === '+' && lines.length > 0) lines.push(lines.pop() + part);
    else lines.push(part);
  }
  return lines;
}

function stripJson(records: readonly string[]): string[] {
  const lines: string[] = [];
  let begun = '';
  for (const text of records) {
    const record = parseRecord(text);
    if (record.level === 40) continue;
    const bytes = record.invalid_utf8 ? Buffer.from(record.raw ?? '', 'base64') : Buffer.from(record.msg);
    const line = bytes.toString('latin1');
    // The object is the whole line, byte for byte.
    if (record.json && (begun !== '' || !text.endsWith(`,"json":${line}}`))) throw new Error(`another object: ${text}`);
    begun += line;
    if (record.partial) continue;
    lines.push(begun);
    begun = '';
  }
  if (begun !== '') lines.push(begun);
  return lines;
}

/** A record in JSON; `text` has a character for each byte. */
export function parseRecord(text: string): JsonRecord {
  return JSON.parse(Buffer.from(text, 'latin1').toString('utf8'));
}

/** Expected lines of a stream that printed `bytes` and then ended: without carriage return before a newline. */
export function linesIn(bytes: string): string[] {
  if (bytes === '') return [];
  const text = bytes.replaceAll('\r\n', '\n');
  return (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n');
}
