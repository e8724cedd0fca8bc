/** Value types of the `healthcheck` keys that select a kind of probe. */
import * as v from 'valibot';
import { MAX_PORT } from '../../protocol/input.ts';
import { compilePattern } from '../../protocol/log-files/queries.ts';
import type { Probe } from '../../protocol/supervision.ts';
import { integerSchema } from './amounts.ts';
import { Argument, mustBe, Printable, type Problem, parsed, scalar, TEXT_OR_TEXTS, Text } from './values.ts';

const DEFAULT_HTTP_PORT = 80;

/** `http://localhost:8080/health`, or `:8080/health`; the host is always the guest itself. */
const HTTP_TARGET = /^(?:http:\/\/(?:localhost|127\.0\.0\.1))?(?::(\d{1,5}))?(\/[!-~]*)?$/;

function parseHttpTarget(text: string): Probe | Problem {
  const match = text === '' ? null : HTTP_TARGET.exec(text);
  const port = Number(match?.[1] ?? DEFAULT_HTTP_PORT);
  if (!match || port < 1 || port > MAX_PORT) return { problem: 'is not a valid address of a page in the guest' };
  return { type: 'http', port, path: match[2] ?? '/' };
}

const ShellLine = parsed(Printable, (line) => ['/bin/sh', '-c', line]);

const ExecArguments = v.pipe(
  v.array(Argument, mustBe('an array or a string')),
  v.nonEmpty('must not be empty'),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed || dataset.value[0] !== '') return;
    const input = dataset.value;
    addIssue({ message: 'must not be empty', path: [{ type: 'array', origin: 'value', input, key: 0, value: '' }] });
  }),
);

/** Command of a probe. Not a union, whose single issue would hide those of the elements. */
const ExecCommand = v.lazy((input) => (typeof input === 'string' ? ShellLine : ExecArguments));

/** Parses a pattern. Reports a problem in the JavaScript engine's words, without repeating the pattern. */
function parsePattern(pattern: string): Probe | Problem {
  try {
    compilePattern({ source: pattern, ignoreCase: false });
    return { type: 'log_line', pattern };
  } catch (error) {
    const reason = (error as SyntaxError).message.replace(/^.*: /s, '');
    return { problem: `is not a regular expression: ${reason}` };
  }
}

export const TcpProbe = scalar(
  parsed(integerSchema(1, MAX_PORT), (port): Probe => ({ type: 'tcp', port })),
  `a port in the guest, from 1 to ${MAX_PORT}`,
  { print: (probe: Probe) => (probe.type === 'tcp' ? probe.port : null) },
);

export const HttpProbe = scalar(
  parsed(Text, parseHttpTarget),
  'an address such as "http://localhost:80/health" or ":80/health"',
  { print: (probe: Probe) => (probe.type === 'http' ? `:${probe.port}${probe.path}` : null) },
);

export const ExecProbe = scalar(
  parsed(ExecCommand, (command): Probe => ({ type: 'exec', command })),
  'an array such as ["/bin/check", "-q"], or a line for /bin/sh',
  { print: (probe: Probe) => (probe.type === 'exec' ? probe.command : null), json: TEXT_OR_TEXTS },
);

export const LogLineProbe = scalar(
  parsed(v.pipe(Text, v.nonEmpty('must not be empty')), parsePattern),
  'a regular expression such as "ready$"',
  { print: (probe: Probe) => (probe.type === 'log_line' ? probe.pattern : null) },
);
