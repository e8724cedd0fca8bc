import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parse, problemsOf, serviceText, shortProblems } from '../../helpers/config/harness.ts';

describe('[defaults]', () => {
  test('hold for every service that does not say otherwise', () => {
    const defaults = `[defaults]
group = "g"
ram = "256MiB"
workdir = "/srv"
restart = "always"
disk = "2GiB"
image = "alpine"
[[group]]
name = "g"
`;
    const { services } = parse(
      `${defaults}${serviceText()}${serviceText('ram = 128', 'disk = "none"', 'rootfs = "r"').replace('web', 'b')}`,
    );
    assert.deepEqual(
      services.map(({ group, ram_mib, workdir, restart, disk_mib, image, rootfs }) => [
        group,
        ram_mib,
        workdir,
        restart.when,
        disk_mib,
        image,
        rootfs,
      ]),
      [
        ['g', 256, '/srv', 'always', 2048, 'alpine', null],
        ['g', 128, '/srv', 'always', null, null, '/etc/demo/r'],
      ],
    );
  });

  test('of variables and logs are merged key by key, the group between', () => {
    const text = `[defaults]
envs = ["A=default", "B=default", "C=default"]
log = { max_size = "1MiB", keep = 3 }
[[group]]
name = "g"
envs = { B = "group", C = "group" }
${serviceText('group = "g"', 'envs = ["C=own"]', 'log = { keep = 5, format = "json" }')}`;
    const [service] = parse(text).services;
    assert.deepEqual(service?.envs, { A: 'default', B: 'group', C: 'own' });
    assert.deepEqual([service?.log.max_size_bytes, service?.log.keep_files, service?.log.format], [2 ** 20, 5, 'json']);
  });

  test('without effect for a service do not apply to it', () => {
    const text = `[defaults]
image = "alpine"
disk = "1GiB"
on_unhealthy = "restart"
max_restarts = 3
${serviceText('isolation = "none"')}`;
    const [service] = parse(text).services;
    assert.deepEqual([service?.image, service?.disk_mib, service?.workdir], [null, null, '/']);
    assert.deepEqual([service?.on_unhealthy, service?.restart.max_restarts], ['none', null]);
  });

  test('that are faulty are reported once, where they stand', () => {
    const text = `[defaults]
ram = "much"
name = "x"
group = "gone"
cpu = 2
log = { keep = -1 }
${serviceText()}${serviceText().replace('web', 'b')}`;
    assert.deepEqual(shortProblems(text), [
      '2:7 defaults.ram: is not a size with a unit',
      '3:1 defaults.name: unknown key; monocore help config lists the keys',
      '4:9 defaults.group: there is no group "gone"',
      '5:1 defaults.cpu: unknown key; did you mean "cpus"?',
      '6:16 defaults.log.keep: must not be negative',
    ]);
  });

  test('an image gives the command', () => {
    const { services } = parse('[defaults]\nimage = "alpine"\n[[service]]\nname = "a"\n');
    assert.equal(services[0]?.command, null);
    assert.deepEqual(shortProblems('[defaults]\nimage = "A"\n[[service]]\nname = "a"\n').length, 1);
  });

  test('name one root', () => {
    assert.deepEqual(shortProblems('[defaults]\nimage = "a"\nrootfs = "b"\n[[service]]\nname = "a"\n'), [
      '3:1 defaults.rootfs: the service already has an image',
    ]);
  });
});

describe('replicas', () => {
  test('are numbered services that differ only in their ports', () => {
    const { services } = parse(
      serviceText('replicas = 3', 'ports = ["8080-8082:80", "53-55:53/udp"]', 'cpus = 2', 'depends_on = ["db"]') +
        serviceText('replicas = 2').replace('web', 'db'),
    );
    assert.deepEqual(
      services.map(({ name, cpus, ports, depends_on }) => [
        name,
        cpus,
        ports.map(({ host, guest, protocol }) => `${host}:${guest}/${protocol}`),
        depends_on.map(({ service }) => service),
      ]),
      [
        ['web-1', 2, ['8080:80/tcp', '53:53/udp'], ['db-1', 'db-2']],
        ['web-2', 2, ['8081:80/tcp', '54:53/udp'], ['db-1', 'db-2']],
        ['web-3', 2, ['8082:80/tcp', '55:53/udp'], ['db-1', 'db-2']],
        ['db-1', 1, [], []],
        ['db-2', 1, [], []],
      ],
    );
  });

  test('know the service that they are replicas of', () => {
    const { services } = parse(serviceText('replicas = 2') + serviceText().replace('web', 'db'));
    assert.deepEqual(
      services.map(({ replica_of }) => replica_of),
      ['web', 'web', null],
    );
  });

  test('have numbers even when there is one, so that a second one renames nothing', () => {
    assert.equal(parse(serviceText('replicas = 1', 'port = "80"')).services[0]?.name, 'web-1');
  });

  const ports: [keys: string[], problem: string, expected: string][] = [
    [
      ['replicas = 4', 'port = "8080:80"'],
      '5:8 service[0].port: has 1 host port for 4 replicas',
      'a range of 4 such as "8080-8083:80"',
    ],
    [
      ['replicas = 2', 'ports = ["8080-8082:80/udp"]'],
      '5:10 service[0].ports[0]: has 3 host ports for 2 replicas',
      'a range of 2 such as "8080-8081:80/udp"',
    ],
    [['port = "8080-8083:80"'], '4:8 service[0].port: has 4 host ports for one service', '"8080:80", or replicas = 4'],
  ];
  for (const [keys, problem, expected] of ports) {
    test(`${keys.join(', ')} is a problem that says what to write`, () => {
      assert.deepEqual(shortProblems(serviceText(...keys)), [problem]);
      assert.equal(problemsOf(serviceText(...keys))[0]?.expected, expected);
    });
  }

  for (const port of ['8083-8080:80', '80-81', '80-65536:1', '80-:1', '1-2:3-4']) {
    test(`"${port}" is not a range of ports`, () => {
      assert.deepEqual(shortProblems(serviceText(`port = "${port}"`)), ['4:8 service[0].port: is not a port mapping']);
    });
  }

  test('do not take names and ports of other services', () => {
    const text =
      serviceText('replicas = 2', 'port = "80-81:80"') +
      serviceText('port = "81"').replace('web', 'web-2') +
      serviceText().replace('web', 'web');
    assert.deepEqual(shortProblems(text), [
      '7:8 service[1].name: "web-2" is already the name of service[0]',
      '9:8 service[1].port: host port 81 is already taken by service[0].port',
      '11:8 service[2].name: "web" is already the name of service[0]',
    ]);
  });

  test('have names of limited length', () => {
    const text = serviceText('replicas = 10').replace('web', 'a'.repeat(61));
    assert.match(shortProblems(text)[0] ?? '', /service\[0\]\.name: is too long: a replica would be/);
  });

  for (const replicas of ['0', '257', '1.5', '"2"']) {
    test(`replicas = ${replicas} is a problem`, () => {
      const problems = problemsOf(serviceText(`replicas = ${replicas}`, 'port = "80"'));
      assert.equal(problems.length, 1);
      assert.equal(problems[0]?.expected, 'a number of identical services, from 1 to 256');
    });
  }
});

describe('chains of dependencies', () => {
  const chain = (length: number) =>
    Array.from({ length }, (_, index) => {
      const next = index < length - 1 ? `depends_on = ["s${index + 1}"]` : '';
      return `[[service]]\nname = "s${index}"\ncommand = "x"\n${next}\n`;
    }).join('');

  test('may have 32 services', () => {
    assert.equal(parse(chain(32)).services.length, 32);
  });

  test('with more are reported once, where the 33rd from the end begins', () => {
    assert.deepEqual(shortProblems(chain(33)), [
      '4:15 service[0].depends_on[0]: s0 -> s1 -> s2 -> … -> s32 is a chain of 33 services; at most 32 may wait for each other',
    ]);
    assert.deepEqual(
      shortProblems(chain(1000)).map((problem) => problem.split(':')[0]),
      [`${967 * 4 + 4}`],
    );
  });

  test('that branch again and again are followed once', () => {
    const text = Array.from({ length: 31 }, (_, index) => {
      const next = index < 30 ? `depends_on = ["a${index + 1}", "b${index + 1}"]` : '';
      return ['a', 'b'].map((kind) => `[[service]]\nname = "${kind}${index}"\ncommand = "x"\n${next}\n`).join('');
    }).join('');
    assert.equal(parse(text).services.length, 62);
  });
});
