/** Services of a group find each other by name, and nobody else does: with real guests. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { it } from 'node:test';
import type { DaemonStatus } from '../../../src/protocol/http.ts';
import type { Config } from '../../../src/protocol/service.ts';
import { makePerlRoot } from '../../helpers/disks/perl-root.ts';
import { eventually } from '../../helpers/eventually.ts';
import { configOf, scriptService } from '../../helpers/fakes/services.ts';
import { makeTestHome } from '../../helpers/home.ts';
import { findProcesses } from '../../helpers/processes/command-lines.ts';
import { openTestRuntime } from '../../helpers/runtime.ts';
import { findFreePort } from '../../helpers/servers/free-port.ts';
import { openUdpClient } from '../../helpers/servers/udp-client.ts';
import { makeTempDir } from '../../helpers/temp.ts';

const GROUPS = ['shop', 'other'].map((name) => ({ name, address: null, local_only: true }));

/** Says its name to whoever connects. */
const SERVE = `nc -ll -p 80 -e sh -c 'echo "hello from $HOSTNAME"'`;

/** Says on port 53 what came by UDP, and from whom. */
const UDP_ECHO = `
use Socket;
$| = 1;
socket(my $s, AF_INET, SOCK_DGRAM, 0) or die $!;
bind($s, pack_sockaddr_in(53, INADDR_ANY)) or die $!;
while (my $from = recv($s, my $data, 2000, 0)) {
  my $who = inet_ntoa((unpack_sockaddr_in($from))[1]);
  print "a datagram from $who\\n";
  send($s, "echo: $data", 0, $from);
}`;

/** Asks each of the words of $1 again and again: over TCP what it says, over UDP only so that something arrives. */
const CLIENT = `
  while :; do
    for host in $1; do echo "$host: $(nc -w 1 "$host" 80 </dev/null 2>&1)"; done
    timeout 1 nslookup some.name web >/dev/null 2>&1
  done`;

const client = (name: string, group: string, hosts: string) => {
  const service = scriptService(name, CLIENT, { group, stop_timeout_ms: 1000 });
  return { ...service, args: [...service.args, 'sh', hosts] };
};

it('services of a group reach each other by name, and those of other groups do not', async (t) => {
  const host = await openTestRuntime();
  const { runtime, orchestrator } = host;
  t.after(() => host.close());
  const count = (service: string, line: string) =>
    host.lines(service, 'stdout').filter((candidate) => candidate === line).length;
  const more = async (service: string, line: string) => {
    const before = count(service, line);
    await eventually(`${service} to print ${line}`, () => count(service, line) > before + 1);
  };
  const start = async (config: Config) => {
    for (const { error } of (await orchestrator.start(config)).services) assert.equal(error, null);
  };

  const root = join(await makeTempDir(t), 'root');
  makePerlRoot(root);
  mkdirSync(join(root, 'etc'));
  const ownHosts = '127.0.0.1 localhost\n192.0.2.1 web printer\n';
  writeFileSync(join(root, 'etc/hosts'), ownHosts);
  const script = `
    cat /etc/hosts
    perl -e "$UDP_ECHO" &
    ${SERVE} &
    until grep -q late /etc/hosts; do sleep 0.1; done
    cat /etc/hosts
    wait`;
  const [tcp, udp] = [await findFreePort('tcp', '127.0.0.2'), await findFreePort('udp', '127.0.0.2')];
  const [openTcp, openUdp] = [await findFreePort('tcp', '0.0.0.0'), await findFreePort('udp', '0.0.0.0')];
  const web = scriptService('web', script, {
    group: 'shop',
    rootfs: root,
    envs: { UDP_ECHO },
    stop_timeout_ms: 1000,
    ports: [
      { host: tcp, guest: 80, protocol: 'tcp' },
      { host: udp, guest: 53, protocol: 'udp' },
      // All other ports stay on the address of the group.
      { address: '0.0.0.0', host: openTcp, guest: 80, protocol: 'tcp' },
      { address: '0.0.0.0', host: openUdp, guest: 53, protocol: 'udp' },
    ],
  });
  // In that order: the client of the other group has the first address there, and asks for the second, which is web's.
  const hostEtc = await makeTempDir(t);
  const lone = {
    ...client('lone', 'other', 'web 10.83.0.2'),
    volumes: [{ host: hostEtc, guest: '/etc', read_only: false }],
  };
  await start(configOf([client('db', 'shop', 'web late db'), web, lone], GROUPS));

  await more('db', 'web: hello from web');
  await more('web', 'a datagram from 10.83.0.1');
  await more('db', "late: nc: bad address 'late'");
  await more('db', "db: nc: can't connect to remote host (10.83.0.1): Connection refused");
  const local = '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n10.83.0.2 web\n';
  const names = `# monocore: the group\n${local}10.83.0.1 db\n10.83.0.2 web\n# monocore: end\n`;
  assert.deepEqual(host.lines('web', 'stdout').slice(0, 9).join('\n'), `${names}${ownHosts}`.trimEnd());

  const web80 = createConnection(tcp, '127.0.0.2');
  assert.equal(await text(web80), 'hello from web\n');
  const outsider = await openUdpClient(t);
  assert.equal(await outsider.ask('ping', udp, '127.0.0.2'), `127.0.0.2:${udp} echo: ping`);
  await eventually('its line', () => count('web', 'a datagram from 10.83.255.254') > 0);
  const addresses = (name: string) => orchestrator.services().find((service) => service.name === name)!.addresses;
  const open = [`http://0.0.0.0:${openTcp}`, `udp://0.0.0.0:${openUdp}`];
  assert.deepEqual(addresses('web'), [`http://127.0.0.2:${tcp}`, `udp://127.0.0.2:${udp}`, ...open]);
  // Any address of the host.
  for (const address of ['127.0.0.1', '127.0.0.77']) {
    assert.equal(await text(createConnection(openTcp, address)), 'hello from web\n');
    await assert.rejects(once(createConnection(tcp, address), 'connect'), { code: 'ECONNREFUSED' });
  }
  assert.equal(await outsider.ask('ping', openUdp, '127.0.0.1'), `127.0.0.1:${openUdp} echo: ping`);

  // The worker dies.
  await runtime.network.thread.crash();
  await more('db', 'web: hello from web');
  assert.equal(runtime.network.thread.status().restarts, 1);
  await outsider.ask('once more', udp, '127.0.0.2');

  // One more comes.
  await start(configOf([scriptService('late', `exec ${SERVE}`, { group: 'shop', stop_timeout_ms: 1000 })], GROUPS));
  await more('db', 'late: hello from late');
  const later = names.replace('10.83.0.1 db\n', '10.83.0.1 db\n10.83.0.3 late\n');
  const lines = () =>
    host
      .lines('web', 'stdout')
      .filter((line) => !line.startsWith('a datagram'))
      .join('\n');
  await eventually('the names of web', () => lines().endsWith(`${later}${ownHosts}`.trimEnd()));
  assert.equal(readFileSync(join(root, 'etc/hosts'), 'utf8'), ownHosts);

  // One goes.
  await orchestrator.remove({ names: ['web'], group: null });
  await more('db', "web: nc: bad address 'web'");

  // A second line follows where its time is up just as nc says that it cannot connect.
  const strange = host.lines('lone', 'stdout').filter((line) => !/^((web|10\.83\.0\.2): )?nc: /.test(line));
  assert.deepEqual(strange, []);
  await more('lone', "web: nc: bad address 'web'");
  assert.deepEqual(readdirSync(hostEtc), [], 'a volume is left alone');
});

it('a daemon that died is no end of it: the next one connects the VMs again, and tells them who is new', async (t) => {
  const home = await makeTestHome(t);
  const file = join(home.dir, 'monocore.toml');
  const service = (name: string, script: string): string =>
    `[[service]]\nname = "${name}"\ngroup = "shop"\nstop_timeout = "1s"\ncommand = "/bin/sh"\nargs = ["-c", '''${script}''', "sh", "web late"]\n`;
  const root = join(await makeTempDir(t), 'root');
  makePerlRoot(root);
  writeFileSync(join(root, 'udp-echo.pl'), UDP_ECHO);
  const udp = await findFreePort('udp', '127.0.0.2');
  const web = `${service('web', `perl /udp-echo.pl & exec ${SERVE}`)}rootfs = "${root}"\nports = ["${udp}:53/udp"]\n`;
  const config = ['[[group]]\nname = "shop"\n', service('db', CLIENT), web].join('\n');
  writeFileSync(file, config);
  await home.ok('start', '-f', file);
  const more = async (line: string, times = 2) => {
    const count = () => home.lines('db', 'stdout').filter((candidate) => candidate === line).length;
    const before = count();
    await eventually(`db to print ${line}`, () => count() >= before + times);
  };
  await more('web: hello from web');
  const outsider = await openUdpClient(t);
  await outsider.ask('ping', udp, '127.0.0.2');
  for (const name of ['control', 'qmp', 'net']) {
    assert.equal(statSync(join(home.dir, `run/db/${name}.sock`)).mode & 0o777, 0o600, name);
  }
  const status = async () => JSON.parse(await home.ok('daemon', 'status', '--json')) as DaemonStatus;
  const { pid } = await status();
  process.kill(pid, 'SIGKILL');
  await eventually('the daemon to be gone', () => !findProcesses(home.dir).some((process) => process.pid === pid));

  await home.startDaemon();
  const before = await home.status('db');
  // More than may have waited in its FIFO.
  await more('web: hello from web', 10);
  const { threads } = await status();
  assert.deepEqual(
    threads.filter(({ name }) => name === 'network').map(({ state }) => state),
    ['ready'],
  );
  await outsider.ask('once more', udp, '127.0.0.2');
  assert.deepEqual((await home.status('web')).notes, []);
  writeFileSync(file, `${config}\n${service('late', `exec ${SERVE}`)}`);
  await home.ok('start', '-f', file);
  await more('late: hello from late');
  assert.equal((await home.status('db')).pid, before.pid, 'who was there runs on');
});
