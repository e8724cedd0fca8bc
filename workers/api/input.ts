/** Validation of HTTP input, which the rest of the worker trusts. */
import * as v from 'valibot';
import { errorText, MonocoreError } from '../../src/lib/errors.ts';
import { formatSize, parseTimeMs } from '../../src/lib/units.ts';
import { findUnknownKey, Line, listOf, MAX_BYTES } from '../../src/protocol/input.ts';
import { STREAM_NAMES } from '../../src/protocol/log-files/names.ts';
import { compilePattern } from '../../src/protocol/log-files/queries.ts';

const BODY = "the request's body";

/** Maximum number of faults in a message; the details contain all of them. */
const FAULTS_IN_MESSAGE = 3;

const once = v.pipe(
  v.array(v.string()),
  v.length(1, 'Given more than once'),
  v.transform((values) => values[0]!),
);
const names = v.optional(
  v.pipe(
    listOf(Line),
    v.transform((values) => [...new Set(values)]),
  ),
  [],
);

/** `GET /v1/services`. */
export const ServicesQuerySchema = v.pipe(
  v.strictObject({ name: names, group: v.optional(once), project: v.optional(once), folder: v.optional(once) }),
  v.check(
    ({ project, folder }) => (project === undefined) === (folder === undefined),
    'project and folder go together',
  ),
);

const flag = v.optional(
  v.pipe(
    once,
    v.picklist(['true', 'false']),
    v.transform((value) => value === 'true'),
  ),
  ['false'],
);

/** Last millisecond of the year 9999: later times cannot be written in RFC 3339. */
const MAX_TIME_MS = 253_402_300_799_999;
/** Longer than anybody types; a request line is limited to 16 KiB anyway. */
const MAX_PATTERN_CHARS = 4096;

const time = v.pipe(
  once,
  v.transform((text) => (/^\d{1,15}$/.test(text) ? Number(text) : parseTimeMs(text))),
  v.number('Neither RFC 3339 with a zone nor milliseconds since the epoch'),
  v.minValue(0, 'Before 1970'),
  v.maxValue(MAX_TIME_MS, 'After the year 9999'),
);

/** `GET /v1/logs`. Without `name`: all services. Without `stream`: stdout and stderr. */
export const LogsQuerySchema = v.pipe(
  v.strictObject({
    name: names,
    stream: v.optional(v.array(v.picklist(STREAM_NAMES)), ['stdout', 'stderr']),
    tail: v.optional(v.pipe(once, v.regex(/^\d{1,15}$/, 'Not a number of records'), v.transform(Number))),
    follow: flag,
    since: v.optional(time),
    until: v.optional(time),
    grep: v.optional(
      v.pipe(once, v.nonEmpty('Empty pattern'), v.maxLength(MAX_PATTERN_CHARS, 'Too long for a pattern')),
    ),
    ignore_case: flag,
  }),
  v.check(({ since = 0, until = MAX_TIME_MS }) => since <= until, 'since is after until'),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed || dataset.value.grep === undefined) return;
    try {
      // Compiled here to validate it; only a job runs it.
      compilePattern({ source: dataset.value.grep, ignoreCase: dataset.value.ignore_case });
    } catch (error) {
      addIssue({ message: `grep: ${errorText(error)}` });
    }
  }),
);

/**
 * Reads a JSON body; an empty one counts as `{}`.
 *
 * A body larger than {@link MAX_BYTES.request} is read to its end and discarded: a client may miss the answer if the
 * connection is closed while it is still sending.
 *
 * @throws MonocoreError `Usage` listing the faults, such as keys that the schema does not know
 */
export async function readBody<Schema extends v.GenericSchema>(
  schema: Schema,
  body: AsyncIterable<Buffer>,
): Promise<v.InferOutput<Schema>> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.length;
    if (sizeBytes <= MAX_BYTES.request) chunks.push(chunk);
  }
  if (sizeBytes > MAX_BYTES.request) {
    throw new MonocoreError('Usage', `the request's body is larger than ${formatSize(MAX_BYTES.request)}`);
  }
  const text = Buffer.concat(chunks).toString();
  let value: unknown;
  try {
    value = text === '' ? {} : JSON.parse(text);
  } catch (error) {
    throw new MonocoreError('Usage', `the request's body is not JSON: ${errorText(error)}`, { cause: error });
  }
  const request = check(schema, value, BODY);
  const unknown = findUnknownKey(value, request);
  if (unknown) throw notValid(BODY, [{ path: unknown.join('.'), message: 'is not known' }]);
  return request;
}

/** Parses query parameters, each of which may occur several times. @throws MonocoreError `Usage` listing the faults */
export function parseQuery<Schema extends v.GenericSchema>(
  schema: Schema,
  query: Record<string, string[]>,
): v.InferOutput<Schema> {
  return check(schema, query, "the request's query");
}

function check<Schema extends v.GenericSchema>(schema: Schema, value: unknown, what: string): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  throw notValid(
    what,
    result.issues.map((issue) => ({ path: v.getDotPath(issue), message: issue.message })),
  );
}

function notValid(what: string, faults: readonly { readonly path: string | null; readonly message: string }[]) {
  const named = faults.slice(0, FAULTS_IN_MESSAGE).map(({ path, message }) => (path ? `${path}: ${message}` : message));
  return new MonocoreError('Usage', `${what} is not valid: ${named.join('; ')}`, { details: faults });
}
