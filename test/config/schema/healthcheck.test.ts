import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseService, problemsOf, serviceText, shortProblems } from '../../helpers/config/harness.ts';

describe('probes', () => {
  const valid: [keys: string, probe: unknown][] = [
    ['tcp = 1', { type: 'tcp', port: 1 }],
    ['tcp = 65535', { type: 'tcp', port: 65_535 }],
    ['http = "http://localhost:8080/health?deep=1"', { type: 'http', port: 8080, path: '/health?deep=1' }],
    ['http = "http://127.0.0.1/"', { type: 'http', port: 80, path: '/' }],
    ['http = "http://localhost"', { type: 'http', port: 80, path: '/' }],
    ['http = ":8080"', { type: 'http', port: 8080, path: '/' }],
    ['http = "/health"', { type: 'http', port: 80, path: '/health' }],
    ['exec = ["/bin/check", "", "two words"]', { type: 'exec', command: ['/bin/check', '', 'two words'] }],
    ['exec = "test -e /ready"', { type: 'exec', command: ['/bin/sh', '-c', 'test -e /ready'] }],
    ['log_line = "^ready (?:now)?$"', { type: 'log_line', pattern: '^ready (?:now)?$' }],
  ];
  for (const [keys, probe] of valid) {
    test(`${keys} is a probe`, () => {
      assert.deepEqual(parseService(`healthcheck = { ${keys} }`).healthcheck, {
        probe,
        interval_ms: 10_000,
        timeout_ms: 5000,
        retries: 3,
        start_period_ms: 10_000,
      });
    });
  }

  test('a check without one is a problem', () => {
    const [problem, ...others] = problemsOf(serviceText('healthcheck = { interval = 5 }'));
    assert.deepEqual(others, []);
    assert.deepEqual([problem?.line, problem?.column, problem?.path], [4, 15, 'service[0].healthcheck']);
    assert.equal(problem?.message, 'does not name a probe');
    assert.equal(problem?.expected, 'one of tcp, http, exec, log_line');
  });

  test('each one beyond the first is a problem', () => {
    assert.deepEqual(shortProblems(serviceText('healthcheck = { exec = ["a"], log_line = "b", tcp = 1 }')), [
      '4:17 service[0].healthcheck.exec: there is already a probe: tcp',
      '4:31 service[0].healthcheck.log_line: there is already a probe: tcp',
    ]);
  });
});

describe('values', () => {
  const http = 'is not a valid address of a page in the guest';
  // The key stands at column 17, its value three further right than its name is long.
  const invalid: [keys: string, column: number, path: string, message: string][] = [
    ['tcp = 0', 23, 'tcp', 'must be at least 1'],
    ['tcp = 65536', 23, 'tcp', 'must be at most 65535'],
    ['tcp = "80"', 23, 'tcp', 'must be an integer, not a string'],
    ['http = 80', 24, 'http', 'must be a string, not a number'],
    ...['', 'https://localhost/', 'http://example.com/', 'http://localhost:0/', ':65536', ':80 /', '/a b', '/ä'].map(
      (target): [string, number, string, string] => [`http = "${target}"`, 24, 'http', http],
    ),
    ['exec = 1', 24, 'exec', 'must be an array or a string, not a number'],
    ['exec = ""', 24, 'exec', 'must not be empty'],
    ['exec = []', 24, 'exec', 'must not be empty'],
    ['exec = [""]', 25, 'exec[0]', 'must not be empty'],
    ['exec = ["a", 1]', 30, 'exec[1]', 'must be a string, not a number'],
    ['exec = ["a\\u0000"]', 25, 'exec[0]', 'must not contain a NUL character'],
    ['exec = "a\\nb"', 24, 'exec', 'must not contain control characters'],
    ['log_line = ""', 28, 'log_line', 'must not be empty'],
    ['log_line = 1', 28, 'log_line', 'must be a string, not a number'],
    ['tcp = 1, interval = 0', 37, 'interval', 'is shorter than 100ms'],
    ['tcp = 1, interval = "25h"', 37, 'interval', 'is longer than a day'],
    ['tcp = 1, timeout = "99ms"', 36, 'timeout', 'is shorter than 100ms'],
    ['tcp = 1, timeout = "61m"', 36, 'timeout', 'is longer than 1h'],
    ['tcp = 1, timeout = true', 36, 'timeout', 'must be a number of seconds or a duration, not a boolean'],
    ['tcp = 1, retries = 0', 36, 'retries', 'must be at least 1'],
    ['tcp = 1, retries = 1001', 36, 'retries', 'must be at most 1000'],
    ['tcp = 1, start_period = -1', 41, 'start_period', 'must not be negative'],
    ['tcp = 1, start_period = "2d"', 41, 'start_period', 'is longer than a day'],
  ];
  for (const [keys, column, key, message] of invalid) {
    test(`${keys} is a problem that describes a valid value`, () => {
      const text = serviceText(`healthcheck = { ${keys} }`);
      assert.deepEqual(shortProblems(text), [`4:${column} service[0].healthcheck.${key}: ${message}`]);
      assert.match(problemsOf(text)[0]?.expected ?? '', /^(a|an|seconds)\b.* (such as|from) /);
    });
  }

  test('a pattern that is not valid is a problem with its reason', () => {
    const problems = shortProblems(serviceText(`healthcheck = { log_line = 'ready: (now' }`));
    assert.deepEqual(problems, [
      '4:28 service[0].healthcheck.log_line: is not a regular expression: Unterminated group',
    ]);
  });

  test('healthcheck must be a table', () => {
    assert.deepEqual(shortProblems(serviceText('healthcheck = ["true"]')), [
      '4:15 service[0].healthcheck: must be a table, not an array',
    ]);
  });

  test('problems are found in a table that stands by itself', () => {
    assert.deepEqual(
      shortProblems(serviceText('[service.healthcheck]', 'tcp = 80', 'intervall = 1', 'retries = "a"')),
      [
        '6:1 service[0].healthcheck.intervall: unknown key; did you mean "interval"?',
        '7:11 service[0].healthcheck.retries: must be an integer, not a string',
      ],
    );
  });
});
