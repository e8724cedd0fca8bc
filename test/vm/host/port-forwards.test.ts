import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import test, { type TestContext } from 'node:test';
import { identify } from '../../../src/lib/proc.ts';
import type { Port } from '../../../src/protocol/service.ts';
import { HomePaths } from '../../../src/state/paths.ts';
import { checkPortsAreFree } from '../../../src/vm/host/port-forwards.ts';
import { startFixture } from '../../helpers/processes/fixture.ts';
import { listChildren } from '../../helpers/processes/usage.ts';
import { makeTempDir } from '../../helpers/temp.ts';

/** Has no services. */
const HOME = new HomePaths('/no/such/home');
const own = `${readFileSync('/proc/self/comm', 'utf8').trim()} (process ${process.pid})`;

async function listen(t: TestContext, protocol: Port['protocol'], address: string): Promise<number> {
  const isIpv6 = address.includes(':');
  const server =
    protocol === 'tcp' ? createServer().listen(0, address) : createSocket(isIpv6 ? 'udp6' : 'udp4').bind(0, address);
  t.after(() => server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const checkPort = (host: number, protocol: Port['protocol'], address: string, home: HomePaths = HOME) =>
  checkPortsAreFree('web', [{ address, host, guest: 80, protocol }], home);

for (const protocol of ['tcp', 'udp'] as const) {
  test(`a ${protocol} port that is taken is named with its service and its owner, and only on that address`, async (t) => {
    const port = await listen(t, protocol, '127.0.0.2');
    await assert.rejects(checkPort(port, protocol, '127.0.0.2'), {
      code: 'StartFailed',
      message:
        `port 127.0.0.2:${port} (${protocol}) of service web cannot be opened: ` +
        `${own} has 127.0.0.2:${port}; stop it or choose another host port`,
    });
    await checkPort(port, protocol, '127.0.0.3');
    await checkPort(port, protocol, '127.0.0.3');
    const other = protocol === 'tcp' ? 'udp' : 'tcp';
    await checkPort(port, other, '127.0.0.2');
  });

  for (const [wildcard, shown] of [
    ['0.0.0.0', '0.0.0.0'],
    ['::', '[::]'],
    ['::ffff:127.0.0.2', '[::ffff:127.0.0.2]'],
  ] as const) {
    test(`whoever has a ${protocol} port on ${wildcard} has it on every address that this means`, async (t) => {
      const port = await listen(t, protocol, wildcard);
      await assert.rejects(checkPort(port, protocol, '127.0.0.2'), (error: Error) =>
        error.message.includes(`cannot be opened: ${own} has ${shown}:${port}; stop it`),
      );
    });
  }
}

for (const protocol of ['tcp', 'udp'] as const) {
  test(`a ${protocol} port of all addresses is taken where any of them has it`, async (t) => {
    const port = await listen(t, protocol, '127.0.0.2');
    await assert.rejects(checkPort(port, protocol, '0.0.0.0'), {
      message:
        `port 0.0.0.0:${port} (${protocol}) of service web cannot be opened: ` +
        `${own} has 127.0.0.2:${port}; stop it or choose another host port`,
    });
  });
}

test('an address that the host does not have is named as the reason', async () => {
  await assert.rejects(checkPort(8080, 'tcp', '192.0.2.1'), {
    message:
      'port 192.0.2.1:8080 (tcp) of service web cannot be opened: this host does not have the address; see `ip address`',
  });
});

/** A home in which the process of service `db` is on record. */
async function makeRecord(t: TestContext, pid: number): Promise<HomePaths> {
  const home = new HomePaths(await makeTempDir(t));
  const { dir, processRecord } = home.vm('db');
  mkdirSync(dir, { recursive: true });
  const { start_time, boot_id } = identify(pid)!;
  writeFileSync(processRecord, `${pid} ${start_time} ${boot_id}\n`);
  return home;
}

test('a process on record is known as its service, and so is what it has started', async (t) => {
  const holder = startFixture(t, 'port-holder.js', [], ['setsid', 'sh', '-c', 'exec 3<&0; "$@" <&3 & wait', 'sh']);
  const port = Number(await holder.readLine());
  const check = (home: HomePaths) => checkPort(port, 'tcp', '127.0.0.2', home);
  await assert.rejects(check(await makeRecord(t, holder.pid)), (error: Error) =>
    error.message.endsWith(`service db has 127.0.0.2:${port}; stop db or choose another host port`),
  );
  const [child] = listChildren(holder.pid);
  t.after(() => process.kill(child!, 'SIGKILL'));
  await assert.rejects(check(await makeRecord(t, child!)), /: service db has /);
  await assert.rejects(check(await makeRecord(t, process.pid)), (error: Error) =>
    error.message.includes(`(process ${child}) has 127.0.0.2:${port}`),
  );
});

test('a process is not a service by what its arguments say', async (t) => {
  const home = await makeRecord(t, process.pid);
  const holder = startFixture(t, 'port-holder.js', [`path=${home.vm('db').control},server=on`]);
  const port = Number(await holder.readLine());
  await assert.rejects(checkPort(port, 'tcp', '127.0.0.2', home), (error: Error) =>
    error.message.includes(`(process ${holder.pid}) has 127.0.0.2:${port}`),
  );
});
