import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as v from 'valibot';
import { DEFAULT_IMAGE_SETTINGS } from '../../../src/protocol/images.ts';
import { DEFAULT_LOG_SETTINGS } from '../../../src/protocol/log-settings.ts';
import { ConfigSchema } from '../../../src/protocol/service.ts';
import { DEFAULT_RESTART_SETTINGS } from '../../../src/protocol/supervision.ts';
import { parse, parseService, problemsOf, serviceText, shortProblems } from '../../helpers/config/harness.ts';

test('a service with a name and a command gets every default', () => {
  const config = parse(serviceText());
  assert.deepEqual(config, {
    project: { name: 'demo', folder: '/etc/demo' },
    kernel: null,
    logs: { keep_total_bytes: null },
    images: DEFAULT_IMAGE_SETTINGS,
    groups: [],
    unselected: [],
    services: [
      {
        name: 'web',
        replica_of: null,
        group: null,
        isolation: 'vm',
        rootfs: null,
        image: null,
        command: '/bin/sh',
        args: [],
        envs: {},
        workdir: '/',
        cpus: 1,
        ram_mib: 128,
        ports: [],
        volumes: [],
        secrets: [],
        depends_on: [],
        stop_timeout_ms: 10_000,
        stop_signal: null,
        restart: DEFAULT_RESTART_SETTINGS,
        healthcheck: null,
        on_unhealthy: 'none',
        disk_mib: 1024,
        user: null,
        host_user: null,
        open_files: null,
        cpu_shares: null,
        log: DEFAULT_LOG_SETTINGS,
      },
    ],
  });
});

test('a config with every key comes out whole, and fits the schema of the protocol', () => {
  const config = parse(`
    kernel = "boot/vmlinuz"

    [[group]]
    name = "front"
    envs = ["A=group", "B=group"]
    local_only = false

    [[service]]
    name = "db"
    command = "postgres"
    healthcheck = { tcp = 5432 }

    [[service]]
    name = "web"
    group = "front"
    isolation = "vm"
    rootfs = "roots/web"
    command = "httpd"
    args = ["-p", "80", "two\\nlines"]
    envs = { B = "service", C = "x=y" }
    workdir = "/srv//www/../data/"
    cpus = 2
    ram = "1GiB"
    port = "8080:80"
    ports = ["443", "8443:443"]
    depends_on = ["db", { service = "db", condition = "healthy" }]
    stop_timeout = "1m30s"
    stop_signal = "INT"
    restart = "on-failure"
    max_restarts = 5
    restart_reset = "10m"
    max_memory = "256MiB"
    healthcheck = { http = ":80/health", interval = "1s", timeout = 0.5, retries = 2, start_period = 0 }
    on_unhealthy = "restart"
    disk = "2GiB"
    user = "www-data:33"
    host_user = "nobody"
    open_files = 4096
    cpu_shares = 512
  `);
  assert.deepEqual(v.parse(ConfigSchema, config), config);
  assert.equal(config.kernel, '/etc/demo/boot/vmlinuz');
  assert.deepEqual(config.groups, [{ name: 'front', address: null, local_only: false }]);
  assert.deepEqual(config.services[1], {
    name: 'web',
    replica_of: null,
    group: 'front',
    isolation: 'vm',
    rootfs: '/etc/demo/roots/web',
    image: null,
    command: 'httpd',
    args: ['-p', '80', 'two\nlines'],
    envs: { A: 'group', B: 'service', C: 'x=y' },
    workdir: '/srv/data',
    cpus: 2,
    ram_mib: 1024,
    ports: [
      { host: 8080, guest: 80, protocol: 'tcp' },
      { host: 443, guest: 443, protocol: 'tcp' },
      { host: 8443, guest: 443, protocol: 'tcp' },
    ],
    volumes: [],
    secrets: [],
    depends_on: [
      { service: 'db', condition: 'started' },
      { service: 'db', condition: 'healthy' },
    ],
    stop_timeout_ms: 90_000,
    stop_signal: 'SIGINT',
    restart: { when: 'on-failure', max_restarts: 5, reset_ms: 600_000, max_memory_bytes: 256 * 2 ** 20 },
    healthcheck: {
      probe: { type: 'http', port: 80, path: '/health' },
      interval_ms: 1000,
      timeout_ms: 500,
      retries: 2,
      start_period_ms: 0,
    },
    on_unhealthy: 'restart',
    disk_mib: 2048,
    user: 'www-data:33',
    host_user: 'nobody',
    open_files: 4096,
    cpu_shares: 512,
    log: DEFAULT_LOG_SETTINGS,
  });
});

test('an empty document is a config without services', () => {
  assert.deepEqual(parse('# nothing yet\n'), {
    services: [],
    unselected: [],
    groups: [],
    project: { name: 'demo', folder: '/etc/demo' },
    kernel: null,
    logs: { keep_total_bytes: null },
    images: DEFAULT_IMAGE_SETTINGS,
  });
});

test('a group is closed to the outside unless it says otherwise', () => {
  assert.deepEqual(parse('[[group]]\nname = "a"\n').groups, [{ name: 'a', address: null, local_only: true }]);
});

test('absolute paths of the host stay as they are', () => {
  assert.equal(parseService('rootfs = "/srv/root/"').rootfs, '/srv/root');
  assert.equal(parse('kernel = "/boot/vmlinuz"').kernel, '/boot/vmlinuz');
});

describe('names', () => {
  const nameProblem = (name: string) => shortProblems(`[[service]]\nname = ${JSON.stringify(name)}\ncommand = "x"\n`);

  test('one to 63 lowercase letters, digits, - and _ are a name', () => {
    for (const name of ['a', '7', 'web-1', 'a_b', 'x'.repeat(63)]) {
      assert.equal(parse(`[[service]]\nname = "${name}"\ncommand = "x"\n`).services[0]?.name, name);
    }
  });

  test('anything else is not', () => {
    for (const name of ['', 'Web', '-a', 'a-', '_a', 'a_', 'a b', 'a/b', '..', 'é', 'a\n', 'x'.repeat(64)]) {
      assert.deepEqual(nameProblem(name), ['2:8 service[0].name: is not a valid name'], name);
    }
  });

  test('monocore is reserved for the daemon, as a service', () => {
    assert.deepEqual(nameProblem('monocore'), ['2:8 service[0].name: "monocore" is reserved for the daemon itself']);
    assert.equal(parse('[[group]]\nname = "monocore"\n').groups[0]?.name, 'monocore');
  });

  test('groups follow the same pattern', () => {
    assert.deepEqual(shortProblems('[[group]]\nname = "Front"\n'), ['2:8 group[0].name: is not a valid name']);
  });
});

describe('values of a service', () => {
  const valid: [line: string, key: 'cpus' | 'ram_mib' | 'stop_timeout_ms' | 'workdir', value: unknown][] = [
    ['cpus = 1', 'cpus', 1],
    ['cpus = 4', 'cpus', 4],
    ['ram = 112', 'ram_mib', 112],
    ['ram = 4096', 'ram_mib', 4096],
    ['ram = "112MiB"', 'ram_mib', 112],
    ['ram = "4 GiB"', 'ram_mib', 4096],
    ['ram = "512MB"', 'ram_mib', 488],
    ['stop_timeout = 0', 'stop_timeout_ms', 0],
    ['stop_timeout = 0.25', 'stop_timeout_ms', 250],
    ['stop_timeout = "250ms"', 'stop_timeout_ms', 250],
    ['stop_timeout = "1d"', 'stop_timeout_ms', 86_400_000],
    ['workdir = "/"', 'workdir', '/'],
    ['workdir = "/a/./b/"', 'workdir', '/a/b'],
  ];
  for (const [line, key, value] of valid) {
    test(`${line} is ${key} ${value}`, () => assert.equal(parseService(line)[key], value));
  }

  const invalid: [line: string, problem: string][] = [
    ['group = 7', '4:9 service[0].group: must be a string, not a number'],
    ['isolation = "container"', '4:13 service[0].isolation: is not a kind of isolation'],
    ['rootfs = ""', '4:10 service[0].rootfs: must not be empty'],
    ['rootfs = "a\\u0000b"', '4:10 service[0].rootfs: must not contain control characters'],
    ['args = "x"', '4:8 service[0].args: must be an array, not a string'],
    ['args = ["a", true]', '4:14 service[0].args[1]: must be a string, not a boolean'],
    ['args = ["a\\u0000"]', '4:9 service[0].args[0]: must not contain a NUL character'],
    ['workdir = "srv"', '4:11 service[0].workdir: must be absolute'],
    ['workdir = "/a\\u0007"', '4:11 service[0].workdir: must not contain control characters'],
    ['cpus = 0', '4:8 service[0].cpus: must be at least 1'],
    ['cpus = 5', '4:8 service[0].cpus: is more than the 4 that this host has'],
    ['cpus = 1.5', '4:8 service[0].cpus: must be a whole number'],
    ['cpus = inf', '4:8 service[0].cpus: must be a whole number'],
    ['cpus = nan', '4:8 service[0].cpus: must be an integer, not NaN'],
    ['cpus = "2"', '4:8 service[0].cpus: must be an integer, not a string'],
    ['cpus = 99999999999999999999', '4:8 service[0].cpus: must be an integer, not a number this large'],
    ['ram = 111', '4:7 service[0].ram: is too little for a kernel to boot'],
    ['ram = -1', '4:7 service[0].ram: is too little for a kernel to boot'],
    ['ram = 4097', '4:7 service[0].ram: is more than the 4096 MiB that this host has'],
    ['ram = 128.5', '4:7 service[0].ram: must be a whole number of MiB'],
    ['ram = "111.9MiB"', '4:7 service[0].ram: is too little for a kernel to boot'],
    ['ram = "1TiB"', '4:7 service[0].ram: is more than the 4096 MiB that this host has'],
    ['ram = "256"', '4:7 service[0].ram: is not a size with a unit'],
    ['ram = "plenty"', '4:7 service[0].ram: is not a size with a unit'],
    ['ram = []', '4:7 service[0].ram: must be an integer or a size, not an array'],
    ['port = true', '4:8 service[0].port: must be a string, not a boolean'],
    ['ports = "80"', '4:9 service[0].ports: must be an array, not a string'],
    ['ports = ["80", "http"]', '4:16 service[0].ports[1]: is not a port mapping'],
    ['depends_on = "db"', '4:14 service[0].depends_on: must be an array, not a string'],
    ['depends_on = [1]', '4:15 service[0].depends_on[0]: must be a string or a table, not a number'],
    ['stop_timeout = -1', '4:16 service[0].stop_timeout: must not be negative'],
    ['stop_timeout = inf', '4:16 service[0].stop_timeout: is longer than a day'],
    ['stop_timeout = "25h"', '4:16 service[0].stop_timeout: is longer than a day'],
    ['stop_timeout = "soon"', '4:16 service[0].stop_timeout: is not a duration'],
    ['stop_timeout = 10:00:00', '4:16 service[0].stop_timeout: must be a number of seconds or a duration, not a date'],
  ];
  for (const [line, problem] of invalid) {
    test(`${line} is a problem`, () => assert.deepEqual(shortProblems(serviceText(line)), [problem]));
  }

  for (const port of [
    '',
    '0',
    '65536',
    '80:0',
    '0:80',
    '80:65536',
    '80:',
    ':80',
    '1:2:3',
    '-1',
    '8e1',
    ' 80',
    '80/sctp',
  ]) {
    test(`port "${port}" is a problem`, () => {
      assert.deepEqual(shortProblems(serviceText(`port = "${port}"`)), ['4:8 service[0].port: is not a port mapping']);
    });
  }

  test('more ports than a VM can be given are a problem of the list', () => {
    const lines = (count: number) => `ports = [${Array.from({ length: count }, (_, index) => index + 1).join(', ')}]`;
    assert.equal(parseService(lines(255)).ports.length, 255);
    assert.deepEqual(shortProblems(serviceText(lines(256))), ['4:9 service[0].ports: has more than 255 ports']);
  });

  test('the lowest and the highest port can be forwarded', () => {
    assert.deepEqual(parseService('ports = ["1:65535", "65535:1"]').ports, [
      { host: 1, guest: 65_535, protocol: 'tcp' },
      { host: 65_535, guest: 1, protocol: 'tcp' },
    ]);
  });

  test('a problem says what was expected', () => {
    const [problem] = problemsOf(serviceText('ram = "plenty"'));
    assert.equal(problem?.expected, 'MiB or a size such as "256MiB", from 112 to 4096 MiB');
  });
});

describe('command', () => {
  const commandProblem = (command: string) => shortProblems(`[[service]]\nname = "web"\ncommand = "${command}"\n`);

  test('must not be empty', () => {
    for (const command of ['', '  ']) {
      assert.deepEqual(commandProblem(command), ['3:11 service[0].command: must not be empty']);
    }
  });

  test('must be printable', () => {
    for (const command of ['a\\u0000', 'a\\nb', '\\u001b[0m', '\\u0085']) {
      assert.deepEqual(commandProblem(command), ['3:11 service[0].command: must not contain control characters']);
    }
  });
});

describe('keys', () => {
  test('a missing key is reported at the table that lacks it', () => {
    assert.deepEqual(shortProblems('# two faults\n  [[service]]\nargs = []\n'), [
      '2:3 service[0].name: is missing',
      '2:3 service[0].command: is missing',
    ]);
    assert.deepEqual(shortProblems('[[group]]\nlocal_only = true\n'), ['1:1 group[0].name: is missing']);
  });

  test('an unknown key is reported with the key that was probably meant', () => {
    assert.deepEqual(shortProblems(serviceText('cpu = 1', 'comand = "x"', '"stop-timeout" = 1')), [
      '4:1 service[0].cpu: unknown key; did you mean "cpus"?',
      '5:1 service[0].comand: unknown key; did you mean "command"?',
      '6:1 service[0].stop-timeout: unknown key; did you mean "stop_timeout"?',
    ]);
    assert.deepEqual(shortProblems('[[services]]\n[[groups]]\nkernal = "x"\n'), [
      '1:3 services: unknown key; did you mean "service"?',
      '2:3 groups: unknown key; did you mean "group"?',
    ]);
    assert.deepEqual(shortProblems('[[group]]\nname = "a"\nlocalonly = true\n'), [
      '3:1 group[0].localonly: unknown key; did you mean "local_only"?',
    ]);
  });

  test('an unknown key that resembles none is reported with all keys, or with where to find many', () => {
    const [problem] = problemsOf(serviceText('zeppelins = []'));
    assert.equal(problem?.message, 'unknown key; monocore help config lists the keys');
    const [short] = problemsOf('[logs]\nzeppelins = 1\n');
    assert.deepEqual([short?.message, short?.expected], ['unknown key', 'one of keep_total']);
  });

  test('keys that every JavaScript object has are unknown keys', () => {
    for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      assert.deepEqual(shortProblems(`${key} = 1\n`), [`1:1 ${key}: unknown key`]);
    }
  });

  test('service and group must be arrays of tables', () => {
    assert.deepEqual(shortProblems('[service]\nname = "a"\n[group]\n'), [
      '1:1 service: must be an array of tables, not a table',
      '3:1 group: must be an array of tables, not a table',
    ]);
    assert.deepEqual(shortProblems('service = [{name = "a", command = "x"}, 3, [], 2020-01-01]\n'), [
      '1:41 service[1]: must be a table, not a number',
      '1:44 service[2]: must be a table, not an array',
      '1:48 service[3]: must be a table, not a date',
    ]);
  });
});

test('the values of a group are checked', () => {
  assert.deepEqual(shortProblems('[[group]]\nname = 1\nlocal_only = "yes"\nenvs = "A=1"\n'), [
    '2:8 group[0].name: must be a string, not a number',
    '3:14 group[0].local_only: must be a boolean, not a string',
    '4:8 group[0].envs: must be an array or a table, not a string',
  ]);
});

describe('log settings', () => {
  test('[service.log] belongs to the service above it, and every key of it is a setting', () => {
    const config = parse(`
      [[service]]
      name = "web"
      command = "httpd"

      [service.log]
      format = "json"
      stderr_level = "warn"
      max_size = "1MiB"
      max_age = "1d"
      keep = 5
      keep_total = "100MB"
      keep_for = "30d"
      compress = "gzip"
      compress_delay = "10s"
      max_line = "16KiB"
      on_full = "drop"

      [[service]]
      name = "db"
      command = "postgres"
    `);
    assert.deepEqual(v.parse(ConfigSchema, config), config);
    assert.deepEqual(config.services[0]?.log, {
      format: 'json',
      stderr_level: 'warn',
      max_size_bytes: 2 ** 20,
      max_age_ms: 86_400_000,
      keep_files: 5,
      keep_total_bytes: 100e6,
      keep_for_ms: 30 * 86_400_000,
      compress: 'gzip',
      compress_delay_ms: 10_000,
      max_line_bytes: 16_384,
      on_full: 'drop',
    });
    assert.deepEqual(config.services[1]?.log, DEFAULT_LOG_SETTINGS);
  });

  test('so does an inline table; keys that it leaves out have their defaults', () => {
    const { log } = parseService('log = { max_size = 4096, keep_for = "forever", keep_total = "unlimited" }');
    assert.deepEqual(log, { ...DEFAULT_LOG_SETTINGS, max_size_bytes: 4096, keep_for_ms: null, keep_total_bytes: null });
  });

  test('the size of all logs of the home is limited in [logs]', () => {
    assert.deepEqual(parse('[logs]\nkeep_total = "2GiB"\n').logs, { keep_total_bytes: 2 ** 31 });
  });

  const invalid: [line: string, problem: string][] = [
    ['log = 1', '4:7 service[0].log: must be a table, not a number'],
    ['log = { format = "xml" }', '4:18 service[0].log.format: is not a log format'],
    ['log = { max_size = "4095" }', '4:20 service[0].log.max_size: is less than 4 KiB'],
    ['log = { max_size = "3GiB" }', '4:20 service[0].log.max_size: is more than 2 GiB'],
    ['log = { max_size = "big" }', '4:20 service[0].log.max_size: is not a size'],
    ['log = { max_size = 5000.5 }', '4:20 service[0].log.max_size: must be a whole number of bytes'],
    ['log = { max_size = true }', '4:20 service[0].log.max_size: must be a size, not a boolean'],
    ['log = { max_age = "1ms" }', '4:19 service[0].log.max_age: is shorter than 1s'],
    ['log = { keep = -1 }', '4:16 service[0].log.keep: must not be negative'],
    ['log = { keep = 1.5 }', '4:16 service[0].log.keep: must be a whole number'],
    ['log = { keep_total = "1KiB" }', '4:22 service[0].log.keep_total: is less than 4 KiB'],
    ['log = { keep_for = "always" }', '4:20 service[0].log.keep_for: is not a duration'],
    ['log = { keep_for = "5000d" }', '4:20 service[0].log.keep_for: is longer than 3650d'],
    [
      'log = { keep_for = true }',
      '4:20 service[0].log.keep_for: must be a number of seconds or a duration, not a boolean',
    ],
    ['log = { compress = "zstd" }', '4:20 service[0].log.compress: is not a kind of compression'],
    ['log = { compress_delay = "2d" }', '4:26 service[0].log.compress_delay: is longer than a day'],
    ['log = { max_line = 1023 }', '4:20 service[0].log.max_line: is less than 1 KiB'],
    ['log = { max_line = "17MiB" }', '4:20 service[0].log.max_line: is more than 16 MiB'],
    ['log = { on_full = "wait" }', '4:19 service[0].log.on_full: is not a valid action'],
    ['log = { maxsize = 1 }', '4:9 service[0].log.maxsize: unknown key; did you mean "max_size"?'],
  ];
  for (const [line, problem] of invalid) {
    test(`${line} is a problem`, () => assert.deepEqual(shortProblems(serviceText(line)), [problem]));
  }

  test('problems are found in tables that stand by themselves', () => {
    assert.deepEqual(shortProblems(serviceText('[service.log]', 'compres = "gzip"')), [
      '5:1 service[0].log.compres: unknown key; did you mean "compress"?',
    ]);
    assert.deepEqual(shortProblems('[logs]\nkeep_total = "x"\nkeep = 1\n'), [
      '2:14 logs.keep_total: is not a size',
      '3:1 logs.keep: unknown key',
    ]);
    assert.deepEqual(shortProblems('logs = "x"\n'), ['1:8 logs: must be a table, not a string']);
  });

  test('a problem says what was expected', () => {
    const [problem] = problemsOf(serviceText('log = { max_size = 1 }'));
    assert.equal(problem?.expected, 'a size such as "10MiB", from 4 KiB to 2 GiB');
  });
});
