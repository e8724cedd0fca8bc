/** Work of an unprivileged user, from the pull of an image to its VM. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { findShared } from '../../helpers/disks/modes.ts';
import { eventually } from '../../helpers/eventually.ts';
import { makeBusyboxImage } from '../../helpers/images/program-image.ts';
import { findProcesses } from '../../helpers/processes/command-lines.ts';
import { makePlainUserHome } from '../../helpers/processes/plain-user.ts';
import { startRegistry } from '../../helpers/servers/registry.ts';
import { NO_CAPABILITIES, readHolding } from '../../helpers/vm/jail-table.ts';

test('a plain user starts a VM from an image, which keeps its disk, and is told what needs root', async (t) => {
  const script =
    'cat /runs 2>/dev/null; echo run >>/runs; id -u; trap "echo bye; exit 3" TERM; while :; do sleep 0.1; done';
  const image = await makeBusyboxImage(['cat', 'id', 'sh', 'sleep'], { User: 'web', Cmd: ['sh', '-c', script] }, [
    { name: 'runs', uid: 1001, gid: 1002, content: '' },
  ]);
  const registry = await startRegistry(t);
  registry.add('app', 'latest', image);
  const { home, user } = await makePlainUserHome(t);
  const config = join(home.dir, 'monocore.toml');
  const images = `[images]\ninsecure_registries = ["${registry.host}"]\n`;
  const app = `[[service]]\nname = "app"\nimage = "${registry.host}/app"\n`;
  writeFileSync(config, `${images}${app}`);

  const printed = ['1001', 'bye'];
  for (const before of [[], ['run']]) {
    const { code, stderr } = await home.run(['start', '-f', config]);
    assert.equal(code, 0, stderr);
    const { pid } = await home.status('app');
    const uids = /^Uid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]!.split('\t');
    assert.deepEqual(uids, Array(4).fill(String(user.uid)));
    const holding = readHolding(pid!);
    assert.deepEqual([holding.capabilities, holding.environment], [NO_CAPABILITIES, '']);
    assert.deepEqual(holding.privateNamespaces, ['mnt', 'pid', 'ipc', 'uts', 'net', 'user']);
    assert.ok(holding.mounts.every(({ options }) => options.includes('ro')));
    await eventually('the guest to print its user', () => home.lines('app', 'stdout').at(-1) === '1001');
    await home.ok('stop', 'app');
    assert.equal((await home.status('app')).exit_code, 3);
    assert.deepEqual(home.lines('app', 'stdout').slice(-printed.length - before.length), [...before, ...printed]);
  }

  assert.deepEqual(findShared(home.dir), ['kernel', 'log', 'monocore.toml']);
  assert.deepEqual(findShared(join(home.dir, 'images'), true), []);

  const volume = `volumes = ["${home.dir}:/data"]\n`;
  writeFileSync(config, `${images}${app}${volume}`);
  const refused = await home.run(['start', '-f', config]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^monocore: app could not be started: .*root/);

  await home.ok('daemon', 'stop');
  assert.deepEqual(findProcesses(home.dir), []);
  const entries = readdirSync(home.dir, { recursive: true, encoding: 'utf8' });
  const foreign = entries.filter(
    (name) => !/^(kernel|monocore\.toml)/.test(name) && statSync(join(home.dir, name)).uid !== user.uid,
  );
  assert.deepEqual(foreign, []);
});
