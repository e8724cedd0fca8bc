import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Port } from '../../../src/protocol/service.ts';
import { checkPortsAreFree } from '../../../src/vm/host/port-forwards.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { startFixture } from '../../helpers/processes/fixture.ts';

const RUN_DIR = '/no/such/home/run';
const own = `${readFileSync('/proc/self/comm', 'utf8').trim()} (process ${process.pid})`;

async function listen(t: TestContext, protocol: Port['protocol'], address: string): Promise<number> {
  const isIpv6 = address.includes(':');
  const server =
    protocol === 'tcp' ? createServer().listen(0, address) : createSocket(isIpv6 ? 'udp6' : 'udp4').bind(0, address);
  t.after(() => server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const withPort = (host: number, protocol: Port['protocol']) =>
  scriptService('web', '', { ports: [{ host, guest: 80, protocol }] });

for (const protocol of ['tcp', 'udp'] as const) {
  test(`a ${protocol} port that is taken is named with its service and its owner, and only on that address`, async (t) => {
    const port = await listen(t, protocol, '127.0.0.2');
    await assert.rejects(checkPortsAreFree(withPort(port, protocol), '127.0.0.2', RUN_DIR), {
      code: 'StartFailed',
      message:
        `port 127.0.0.2:${port} (${protocol}) of service web cannot be opened: ` +
        `${own} has 127.0.0.2:${port}; stop it or choose another host port`,
    });
    await checkPortsAreFree(withPort(port, protocol), '127.0.0.3', RUN_DIR);
    await checkPortsAreFree(withPort(port, protocol), '127.0.0.3', RUN_DIR);
    const other = protocol === 'tcp' ? 'udp' : 'tcp';
    await checkPortsAreFree(withPort(port, other), '127.0.0.2', RUN_DIR);
  });

  for (const [wildcard, shown] of [
    ['0.0.0.0', '0.0.0.0'],
    ['::', '[::]'],
    ['::ffff:127.0.0.2', '[::ffff:127.0.0.2]'],
  ] as const) {
    test(`whoever has a ${protocol} port on ${wildcard} has it on every address that this means`, async (t) => {
      const port = await listen(t, protocol, wildcard);
      await assert.rejects(checkPortsAreFree(withPort(port, protocol), '127.0.0.2', RUN_DIR), (error: Error) =>
        error.message.includes(`cannot be opened: ${own} has ${shown}:${port}; stop it`),
      );
    });
  }
}

test('a process that has a runtime folder in its arguments is known as its service', async (t) => {
  const holder = startFixture(t, 'port-holder.js', [`path=${RUN_DIR}/db/control.sock,server=on`]);
  const port = Number(await holder.readLine());
  const check = (runDir: string) => checkPortsAreFree(withPort(port, 'tcp'), '127.0.0.2', runDir);
  await assert.rejects(check(RUN_DIR), (error: Error) =>
    error.message.endsWith(`service db has 127.0.0.2:${port}; stop db or choose another host port`),
  );
  await assert.rejects(check('/another/home/run'), (error: Error) =>
    error.message.includes(`(process ${holder.pid}) has 127.0.0.2:${port}`),
  );
});

test('so is what such a process has started', async (t) => {
  const fixture = fileURLToPath(new URL('../../fixtures/port-holder.js', import.meta.url));
  // A shell gives what it runs in the background no standard input.
  const script = 'exec 3<&0; "$1" "$2" <&3 & wait';
  const shell = spawn('/bin/sh', ['-c', script, `${RUN_DIR}/plain/exit`, process.execPath, fixture], {
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(shell, 'exit');
  t.after(async () => {
    shell.stdin.end();
    await exited;
  });
  const [line] = await once(shell.stdout, 'data');
  await assert.rejects(checkPortsAreFree(withPort(Number(line), 'tcp'), '127.0.0.2', RUN_DIR), /: service plain has /);
});
