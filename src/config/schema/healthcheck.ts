/** The keys of `healthcheck` in a service; see `schema.ts` for how they are written down. */
import * as v from 'valibot';
import { formatDuration } from '../../lib/units.ts';
import { compilePattern } from '../../protocol/log-files/queries.ts';
import type { HealthCheck, Probe } from '../../protocol/supervision.ts';
import type { Values } from './config.ts';
import * as field from './fields.ts';

const MIN_DURATION_MS = 100;
const MAX_TIMEOUT_MS = 3600e3;
const DAY_MS = 86_400e3;
const MAX_PORT = 65_535;
const MAX_RETRIES = 1000;
const DEFAULT_HTTP_PORT = 80;

/** `http://localhost:8080/health`, or `:8080/health`; the host is always the guest itself. */
const HTTP_TARGET = /^(?:http:\/\/(?:localhost|127\.0\.0\.1))?(?::(\d{1,5}))?(\/[!-~]*)?$/;

const HttpTarget = v.pipe(
  field.Text,
  v.check((text) => parseHttpTarget(text) !== null, 'is not the address of a page in the guest'),
  v.transform((text) => parseHttpTarget(text)!),
);

function parseHttpTarget(text: string): { port: number; path: string } | null {
  const match = text === '' ? null : HTTP_TARGET.exec(text);
  if (!match) return null;
  const port = Number(match[1] ?? DEFAULT_HTTP_PORT);
  return port >= 1 && port <= MAX_PORT ? { port, path: match[2] ?? '/' } : null;
}

const ShellLine = v.pipe(
  field.Command,
  v.transform((line) => ['/bin/sh', '-c', line]),
);

const ExecArguments = v.pipe(
  v.array(field.Argument, field.mustBe('an array or a string')),
  v.nonEmpty('must not be empty'),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed || dataset.value[0] !== '') return;
    const input = dataset.value;
    addIssue({ message: 'must not be empty', path: [{ type: 'array', origin: 'value', input, key: 0, value: '' }] });
  }),
);

/** Not a union, whose one issue would stand for those of the elements. */
const ExecCommand = v.lazy((input) => (typeof input === 'string' ? ShellLine : ExecArguments));

const LinePattern = v.pipe(
  field.Text,
  v.nonEmpty('must not be empty'),
  v.rawCheck(({ dataset, addIssue }) => {
    const reason = dataset.typed ? findPatternProblem(dataset.value) : null;
    if (reason !== null) addIssue({ message: `is not a regular expression: ${reason}` });
  }),
);

/** Why `text` is no pattern, in the engine's words without the pattern itself; null when it is one. */
function findPatternProblem(text: string): string | null {
  try {
    compilePattern({ source: text, ignoreCase: false });
    return null;
  } catch (error) {
    return (error as SyntaxError).message.replace(/^.*: /s, '');
  }
}

/** Names of the keys that say how it is checked; one of them must be there. */
export const PROBE_KEYS = ['tcp', 'http', 'exec', 'log_line'] as const;

/** Keys of `healthcheck`. */
export function healthCheckEntries() {
  const range = (minMs: number, maxMs: number) =>
    `seconds or a duration such as "10s", from ${minMs === 0 ? 0 : `${minMs}ms`} to ${formatDuration(maxMs)}`;
  return {
    tcp: v.pipe(v.optional(field.integer(1, MAX_PORT)), v.description(`a port in the guest, from 1 to ${MAX_PORT}`)),
    http: v.pipe(
      v.optional(HttpTarget),
      v.description('an address such as "http://localhost:80/health" or ":80/health"'),
    ),
    exec: v.pipe(
      v.optional(ExecCommand),
      v.description('an array such as ["/bin/check", "-q"], or a line for /bin/sh'),
    ),
    log_line: v.pipe(v.optional(LinePattern), v.description('a regular expression such as "ready$"')),
    interval: v.pipe(
      v.optional(field.durationMs(MIN_DURATION_MS, DAY_MS), 10),
      v.description(range(MIN_DURATION_MS, DAY_MS)),
    ),
    timeout: v.pipe(
      v.optional(field.durationMs(MIN_DURATION_MS, MAX_TIMEOUT_MS), 5),
      v.description(range(MIN_DURATION_MS, MAX_TIMEOUT_MS)),
    ),
    retries: v.pipe(
      v.optional(field.integer(1, MAX_RETRIES), 3),
      v.description(`a number of failures in a row, from 1 to ${MAX_RETRIES}`),
    ),
    start_period: v.pipe(v.optional(field.durationMs(0, DAY_MS), 10), v.description(range(0, DAY_MS))),
  };
}

export type HealthCheckValues = Values<ReturnType<typeof healthCheckEntries>>;

/** The check that the valid keys of `healthcheck` are. */
export function toHealthCheck(values: HealthCheckValues): HealthCheck {
  return {
    probe: toProbe(values),
    interval_ms: values.interval,
    timeout_ms: values.timeout,
    retries: values.retries,
    start_period_ms: values.start_period,
  };
}

function toProbe({ tcp, http, exec, log_line }: HealthCheckValues): Probe {
  if (tcp !== undefined) return { type: 'tcp', port: tcp };
  if (http !== undefined) return { type: 'http', ...http };
  if (exec !== undefined) return { type: 'exec', command: exec };
  return { type: 'log_line', pattern: log_line ?? '' };
}
