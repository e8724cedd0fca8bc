import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Service } from '../../../src/protocol/service.ts';
import { parse, parseService, problemsOf, serviceText, shortProblems } from '../../helpers/config/harness.ts';

const MIB = 2 ** 20;

describe('values', () => {
  const valid: [line: string, of: (service: Service) => unknown, value: unknown][] = [
    ['', ({ stop_signal }) => stop_signal, null],
    ['stop_signal = "TERM"', ({ stop_signal }) => stop_signal, 'SIGTERM'],
    ['stop_signal = "SIGQUIT"', ({ stop_signal }) => stop_signal, 'SIGQUIT'],
    ['stop_signal = "usr1"', ({ stop_signal }) => stop_signal, 'SIGUSR1'],
    ['restart = "always"', ({ restart }) => restart.when, 'always'],
    ['restart = "unless-stopped"', ({ restart }) => restart.when, 'unless-stopped'],
    ['max_memory = 1048576', ({ restart }) => restart.max_memory_bytes, MIB],
    ['max_memory = "4GiB"', ({ restart }) => restart.max_memory_bytes, 4096 * MIB],
    ['restart = "always"\nmax_restarts = 1', ({ restart }) => restart.max_restarts, 1],
    ['restart = "always"\nrestart_reset = 1', ({ restart }) => restart.reset_ms, 1000],
    ['restart = "always"\nrestart_reset = "1d"', ({ restart }) => restart.reset_ms, 86_400_000],
    ['disk = "none"', ({ disk_mib }) => disk_mib, null],
    ['disk = "16MiB"', ({ disk_mib }) => disk_mib, 16],
    ['disk = "16.9MiB"', ({ disk_mib }) => disk_mib, 16],
    ['disk = "16TiB"', ({ disk_mib }) => disk_mib, 16 * MIB],
    ['user = "www-data"', ({ user }) => user, 'www-data'],
    ['user = "Jane.Doe_1"', ({ user }) => user, 'Jane.Doe_1'],
    ['user = 0', ({ user }) => user, '0'],
    ['user = "4294967294"', ({ user }) => user, '4294967294'],
    ['open_files = 64', ({ open_files }) => open_files, 64],
    ['open_files = 1048576', ({ open_files }) => open_files, 1_048_576],
    ['cpu_shares = 2', ({ cpu_shares }) => cpu_shares, 2],
    ['cpu_shares = 262144', ({ cpu_shares }) => cpu_shares, 262_144],
    ['depends_on = []', ({ depends_on }) => depends_on, []],
  ];
  for (const [line, of, value] of valid) {
    test(`${line.replace('\n', ', ')} is ${JSON.stringify(value)}`, () =>
      assert.deepEqual(of(parseService(line)), value));
  }

  const invalid: [line: string, problem: string][] = [
    ['stop_signal = "STOP"', '4:15 service[0].stop_signal: is not a signal that ends a command'],
    ['stop_signal = ""', '4:15 service[0].stop_signal: is not a signal that ends a command'],
    [
      'stop_signal = "SIGSIGTERM"',
      '4:15 service[0].stop_signal: is not a signal that ends a command; did you mean "SIGTERM"?',
    ],
    ['stop_signal = 15', '4:15 service[0].stop_signal: must be a string, not a number'],
    ['restart = "allways"', '4:11 service[0].restart: is not a restart policy; did you mean "always"?'],
    ['restart = true', '4:11 service[0].restart: is not a restart policy'],
    ['max_restarts = 0', '4:16 service[0].max_restarts: must be at least 1'],
    ['max_restarts = 1000001', '4:16 service[0].max_restarts: must be at most 1000000'],
    ['max_restarts = 1.5', '4:16 service[0].max_restarts: must be a whole number'],
    ['max_restarts = "3"', '4:16 service[0].max_restarts: must be an integer, not a string'],
    ['restart_reset = "999ms"', '4:17 service[0].restart_reset: is shorter than 1s'],
    ['restart_reset = "25h"', '4:17 service[0].restart_reset: is longer than a day'],
    ['restart_reset = "soon"', '4:17 service[0].restart_reset: is not a duration'],
    ['restart_reset = []', '4:17 service[0].restart_reset: must be a number of seconds or a duration, not an array'],
    ['max_memory = 1048575', '4:14 service[0].max_memory: is less than 1 MiB'],
    ['max_memory = "5GiB"', '4:14 service[0].max_memory: is more than 4 GiB'],
    ['max_memory = "lots"', '4:14 service[0].max_memory: is not a size'],
    ['on_unhealthy = "reboot"', '4:16 service[0].on_unhealthy: is not a valid action'],
    ['disk = "15MiB"', '4:8 service[0].disk: is less than 16 MiB'],
    ['disk = "17TiB"', '4:8 service[0].disk: is more than 16 TiB'],
    ['disk = "None"', '4:8 service[0].disk: is not a size'],
    ['disk = false', '4:8 service[0].disk: must be a size, not a boolean'],
    ['user = ""', '4:8 service[0].user: is not a user or user:group'],
    ['user = "a b"', '4:8 service[0].user: is not a user or user:group'],
    ['user = "-1"', '4:8 service[0].user: is not a user or user:group'],
    ['user = -1', '4:8 service[0].user: is not a user or user:group'],
    ['user = 1.5', '4:8 service[0].user: is not a user or user:group'],
    ['user = "a:b:c"', '4:8 service[0].user: is not a user or user:group'],
    ['host_user = "a:b"', '4:13 service[0].host_user: is not the name or number of a user'],
    ['user = 4294967295', '4:8 service[0].user: is not a user or user:group'],
    ['user = true', '4:8 service[0].user: must be a name or a number, not a boolean'],
    ['open_files = 63', '4:14 service[0].open_files: must be at least 64'],
    ['open_files = 1048577', '4:14 service[0].open_files: must be at most 1048576'],
    ['open_files = inf', '4:14 service[0].open_files: must be a whole number'],
    ['cpu_shares = 1', '4:14 service[0].cpu_shares: must be at least 2'],
    ['cpu_shares = 262145', '4:14 service[0].cpu_shares: must be at most 262144'],
    ['cpu_shares = "high"', '4:14 service[0].cpu_shares: must be an integer, not a string'],
  ];
  for (const [line, problem] of invalid) {
    test(`${line} is a problem that describes a valid value`, () => {
      assert.deepEqual(shortProblems(serviceText(line)), [problem]);
      assert.match(problemsOf(serviceText(line))[0]?.expected ?? '', /^(a|one of|seconds|the|"none" or)\b/);
    });
  }
});

describe('depends_on', () => {
  const invalid: [line: string, problems: string[]][] = [
    ['[[]]', ['4:15 service[0].depends_on[0]: must be a string or a table, not an array']],
    ['[2020-01-01]', ['4:15 service[0].depends_on[0]: must be a string or a table, not a date']],
    ['[{}]', ['4:15 service[0].depends_on[0].service: is missing']],
    ['[{ service = 1 }]', ['4:27 service[0].depends_on[0].service: must be a string, not a number']],
    [
      '["web", { service = "wbe", condition = "helthy" }]',
      [
        '4:15 service[0].depends_on[0]: "web" cannot depend on itself',
        '4:34 service[0].depends_on[1].service: there is no service "wbe"; did you mean "web"?',
        '4:53 service[0].depends_on[1].condition: is not a condition; did you mean "healthy"?',
      ],
    ],
    [
      '[{ service = "db", on = "healthy" }]',
      [
        '4:27 service[0].depends_on[0].service: there is no service "db"',
        '4:33 service[0].depends_on[0].on: unknown key',
      ],
    ],
    [
      '[{ service = "db", conditon = "healthy" }, { servce = "db" }]',
      [
        '4:33 service[0].depends_on[0].conditon: unknown key; did you mean "condition"?',
        '4:57 service[0].depends_on[1].service: is missing',
        '4:59 service[0].depends_on[1].servce: unknown key; did you mean "service"?',
      ],
    ],
  ];
  for (const [value, problems] of invalid) {
    test(`${value} is a problem`, () =>
      assert.deepEqual(shortProblems(serviceText(`depends_on = ${value}`)), problems));
  }

  test('a table with a header of its own is an element as well', () => {
    const text = `${serviceText('[[service.depends_on]]', 'service = "db"', 'condition = "completed"')}
[[service]]\nname = "db"\ncommand = "x"\n`;
    assert.deepEqual(parse(text).services[0]?.depends_on, [{ service: 'db', condition: 'completed' }]);
    assert.deepEqual(shortProblems(text.replace('completed', 'done')), [
      '6:13 service[0].depends_on[0].condition: is not a condition',
    ]);
  });

  test('a problem in a table describes a valid value of its key', () => {
    const [, problem] = problemsOf(serviceText('depends_on = [{ service = "x", condition = "up" }]'));
    assert.equal(problem?.expected, 'one of "started", "healthy", "completed"');
  });
});
