import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  findInstalledUnit,
  findUnit,
  renderUnit,
  UNIT_MARK,
  UNIT_NAME,
  type UnitOptions,
} from '../../../src/cli/daemon/systemd-unit.ts';
import { findTestProgram } from '../../helpers/processes/test-program.ts';
import { makeTempDir } from '../../helpers/temp.ts';

const SETTINGS = { log_level: 'info', log_workers: 1, leave_running: false } as const;
const PLAIN: UnitOptions = {
  scope: 'system',
  execPath: process.execPath,
  args: ['/usr/lib/node_modules/monocore/dist/src/cli/bin.js'],
  home: '/var/lib/monocore',
  workingDir: null,
  settings: SETTINGS,
};
const ODD: UnitOptions = {
  ...PLAIN,
  scope: 'user',
  args: ['--import', 'file:///a%20b/loader.mjs', '/opt/m n/bin.js'],
  home: '/home/jö/$HOME/50% "off"/it\'s\\here',
  workingDir: '/srv/100% sure',
  settings: { log_level: 'debug', log_workers: 3, leave_running: true },
};

function settingOf(unit: string, key: string): string | undefined {
  return new RegExp(`^${key}=(.*)$`, 'm').exec(unit)?.[1];
}

/** The words of `ExecStart=` as systemd reads them: systemd.syntax(7), systemd.service(5) on command lines. */
function parseCommand(unit: string): string[] {
  const words = [...settingOf(unit, 'ExecStart')!.matchAll(/"((?:[^"\\]|\\.)*)"|([^ "]+)/g)];
  return words.map(([, quoted, plain], index) => {
    const word = (quoted?.replace(/\\(.)/g, '$1') ?? plain!).replaceAll('%%', '%');
    return index === 0 ? word : word.replaceAll('$$', '$');
  });
}

describe('the unit', () => {
  for (const [name, options] of [
    ['for the host', PLAIN],
    ['for a user', { ...PLAIN, scope: 'user' as const }],
    ['with odd paths', ODD],
  ] as const) {
    test(`${name} has nothing that systemd does not know`, async (t) => {
      const file = join(await makeTempDir(t), UNIT_NAME);
      await writeFile(file, renderUnit(options));
      const analyze = findTestProgram('systemd-analyze');
      const { status, stdout, stderr } = spawnSync(analyze, ['verify', '--man=no', file], { encoding: 'utf8' });
      // It has something to say of other units as well.
      const remarks = `${stdout}${stderr}`.split('\n').filter((line) => line.includes(UNIT_NAME));
      assert.deepEqual(remarks, []);
      assert.equal(status, 0, stderr);
    });
  }

  test('runs the daemon in the foreground on its home, with its settings', () => {
    assert.deepEqual(parseCommand(renderUnit(PLAIN)), [
      ...[process.execPath, '/usr/lib/node_modules/monocore/dist/src/cli/bin.js', '--home', '/var/lib/monocore'],
      ...['daemon', 'run', '--log-level', 'info', '--log-workers', '1'],
    ]);
  });

  test('keeps every character of a path', () => {
    const unit = renderUnit(ODD);
    assert.deepEqual(parseCommand(unit), [
      ...[process.execPath, ...ODD.args, '--home', ODD.home],
      ...['daemon', 'run', '--log-level', 'debug', '--log-workers', '3', '--leave-running'],
    ]);
    assert.match(unit, /\$\$HOME\/50%% \\"off\\"\/it's\\\\here"/);
    assert.equal(settingOf(unit, 'WorkingDirectory'), '/srv/100%% sure');
  });

  test('lets VMs live when the daemon is replaced, and is told by a child of it', () => {
    const unit = renderUnit(PLAIN);
    assert.ok(unit.startsWith(UNIT_MARK));
    const expected = {
      Type: 'notify',
      NotifyAccess: 'all',
      KillMode: 'process',
      Restart: 'on-failure',
    };
    for (const [key, value] of Object.entries(expected)) assert.equal(settingOf(unit, key), value, key);
    assert.match(settingOf(unit, 'WatchdogSec') ?? '', /^\d+s$/);
  });

  test('takes from the host what VMs do not need, but not from a user, who may not', () => {
    assert.equal(settingOf(renderUnit(PLAIN), 'NoNewPrivileges'), 'yes');
    assert.equal(settingOf(renderUnit({ ...PLAIN, scope: 'user' }), 'NoNewPrivileges'), undefined);
  });

  test('never takes what VMs need: devices, kernel modules, namespaces, generated code, homes and /tmp', () => {
    const needed =
      /^(PrivateDevices|DevicePolicy|DeviceAllow|ProtectClock|ProtectKernelModules|ProtectControlGroups|RestrictNamespaces|MemoryDenyWriteExecute|ProtectHome|PrivateTmp|PrivateNetwork|PrivateUsers)=/m;
    assert.doesNotMatch(renderUnit(PLAIN), needed);
  });

  test('leaves the folder writable that the home is in', () => {
    assert.equal(settingOf(renderUnit(PLAIN), 'ProtectSystem'), 'yes');
    assert.equal(settingOf(renderUnit({ ...PLAIN, home: '/usr/local/monocore' }), 'ProtectSystem'), undefined);
    assert.equal(settingOf(renderUnit({ ...PLAIN, home: '/usrlocal' }), 'ProtectSystem'), 'yes');
  });
});

describe("a process's unit", () => {
  const cases: [what: string, cgroup: string, unit: ReturnType<typeof findUnit>][] = [
    ['a system service', '0::/system.slice/monocore.service\n', { name: 'monocore.service', manager: 'systemctl' }],
    [
      'a service that has cgroups of its own',
      '0::/system.slice/monocore.service/daemon\n',
      { name: 'monocore.service', manager: 'systemctl' },
    ],
    [
      'a service of a user',
      '0::/user.slice/user-1000.slice/user@1000.service/app.slice/my.service\n',
      { name: 'my.service', manager: 'systemctl --user' },
    ],
    [
      'cgroup v1',
      '4:memory:/docker/x.service\n1:name=systemd:/system.slice/monocore.service\n',
      { name: 'monocore.service', manager: 'systemctl' },
    ],
    ['a login', '0::/user.slice/user-1000.slice/session-3.scope\n', null],
    ['a container', '0::/\n', null],
    ['a process that is gone', '', null],
  ];
  for (const [what, cgroup, unit] of cases) {
    test(`is found for ${what}`, () => assert.deepEqual(findUnit(cgroup), unit));
  }
});

test('the unit of a home is found where systemd runs', async (t) => {
  const dir = await makeTempDir(t);
  const folderOf = (scope: string) => join(dir, scope);
  for (const scope of ['system', 'user']) await mkdir(folderOf(scope));
  await mkdir(join(dir, 'run/systemd/system'), { recursive: true });
  const find = (home: string, runDir = join(dir, 'run')) => findInstalledUnit(home, folderOf, runDir);
  assert.equal(find(PLAIN.home), null);
  await writeFile(join(dir, 'system', UNIT_NAME), renderUnit(PLAIN));
  await writeFile(join(dir, 'user', UNIT_NAME), renderUnit(ODD));
  assert.deepEqual(find(PLAIN.home), { name: UNIT_NAME, manager: 'systemctl' });
  assert.deepEqual(find(ODD.home), { name: UNIT_NAME, manager: 'systemctl --user' });
  assert.equal(find(`${PLAIN.home}-2`), null);
  assert.equal(find(PLAIN.home, join(dir, 'no systemd')), null);
});
