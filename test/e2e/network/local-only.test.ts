/** Connections of real guests beyond their group, in both directions. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { it } from 'node:test';
import { GATEWAY_INDEX, memberAddress } from '../../../src/protocol/network.ts';
import type { Port } from '../../../src/protocol/service.ts';
import { makePerlRoot } from '../../helpers/disks/perl-root.ts';
import { eventually } from '../../helpers/eventually.ts';
import { configOf, scriptService } from '../../helpers/fakes/services.ts';
import { openTestRuntime } from '../../helpers/runtime.ts';
import { findFreePort } from '../../helpers/servers/free-port.ts';
import { openUdpClient } from '../../helpers/servers/udp-client.ts';
import { makeTempDir } from '../../helpers/temp.ts';

/** Sends back what comes to port 53. */
const UDP_ECHO = `
use Socket;
socket(my $s, AF_INET, SOCK_DGRAM, 0) or die $!;
bind($s, pack_sockaddr_in(53, INADDR_ANY)) or die $!;
while (my $from = recv($s, my $data, 2000, 0)) { send($s, "echo: $data", 0, $from) }`;

/** Asks 10.0.2.3 by DNS, and says whether anything was answered. */
const ASK_DNS = `
use Socket;
socket(my $s, AF_INET, SOCK_DGRAM, 0) or die $!;
send($s, "\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\11localhost\\0\\0\\1\\0\\1", 0, pack_sockaddr_in(53, inet_aton("10.0.2.3")));
$SIG{ALRM} = sub { print "dns: silence\\n"; exit };
alarm 3;
recv($s, my $answer, 2000, 0);
print "dns: an answer\\n";`;

async function listen(t: { after(action: () => void): void }, address: string): Promise<number> {
  const server = createServer((socket) => socket.end(`hello from ${address}\n`)).listen(0, address);
  t.after(() => server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

it('a guest reaches no address of the host, wherever its group may go, and is reached in any case', async (t) => {
  const host = await openTestRuntime();
  t.after(() => host.close());
  const local = await listen(t, '127.0.0.1');
  const other = await listen(t, '127.0.0.9');
  const gateway = memberAddress(GATEWAY_INDEX);
  const root = join(await makeTempDir(t), 'root');
  makePerlRoot(root);
  const script = `
    for place in "10.0.2.2 ${local}" "127.0.0.1 ${local}" "10.0.2.2 ${other}" "127.0.0.9 ${other}" "${gateway} ${local}"
    do
      echo "$place: $(nc -w 2 $place </dev/null 2>/dev/null)"
    done
    echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet
    ip route del local 127.0.0.0/8 dev lo table local && ip route del local 127.0.0.1 dev lo table local
    for place in 127.0.0.1 127.0.0.9; do ip route add $place via 10.0.2.2; done
    echo "by a trick: $(nc -w 2 127.0.0.1 ${local} </dev/null)$(nc -w 2 127.0.0.9 ${other} </dev/null)"
    perl -e "$ASK_DNS"
    perl -e "$UDP_ECHO" &
    echo done
    nc -ll -p 80 -e echo "hello from $HOSTNAME"`;
  const [tcp, udp] = [await findFreePort('tcp', '127.0.0.2'), await findFreePort('udp', '127.0.0.2')];
  const member = (name: string, ports: Port[], group: string | null = name) =>
    scriptService(name, script, {
      group,
      rootfs: root,
      envs: { UDP_ECHO, ASK_DNS },
      stop_timeout_ms: 500,
      ports,
    });
  const both: Port[] = [
    { host: tcp, guest: 80, protocol: 'tcp' },
    { host: udp, guest: 53, protocol: 'udp' },
  ];
  // Without a group and without TCP: its only network is that of its UDP ports.
  const aloneUdp = await findFreePort('udp', '127.0.0.1');
  const alone = member('alone', [{ host: aloneUdp, guest: 53, protocol: 'udp' }], null);

  const groups = [
    { name: 'closed', address: null, local_only: true },
    { name: 'open', address: null, local_only: false },
  ];
  const { services } = await host.orchestrator.start(
    configOf([member('closed', both), member('open', both), alone], groups),
  );
  assert.deepEqual(
    services.map(({ error }) => error),
    [null, null, null],
  );
  const found = async (name: string) => {
    await eventually(`${name} to have tried`, () => host.lines(name, 'stdout').includes('done'));
    return host.lines(name, 'stdout');
  };
  const nothing = [`127.0.0.1 ${local}: `, `10.0.2.2 ${other}: `, `127.0.0.9 ${other}: `, `${gateway} ${local}: `];
  const unreached = [`10.0.2.2 ${local}: `, ...nothing, 'by a trick: '];
  for (const name of ['closed', 'alone']) {
    assert.deepEqual(await found(name), [...unreached, 'dns: silence', 'done'], name);
  }
  // Whether the host has a DNS server is the host's affair.
  const open = (await found('open')).filter((line) => !line.startsWith('dns: '));
  assert.deepEqual(open, [...unreached, 'done']);

  for (const [name, address] of [
    ['closed', '127.0.0.2'],
    ['open', '127.0.0.3'],
  ] as const) {
    const answer = () => text(createConnection(tcp, address)).catch(() => '');
    assert.equal(await eventually(name, async () => (await answer()) || null), `hello from ${name}\n`);
  }

  // UDP is answered in any case, several times and to several clients.
  const clients = [await openUdpClient(t), await openUdpClient(t)];
  for (const [address, port] of [
    ['127.0.0.2', udp],
    ['127.0.0.3', udp],
    ['127.0.0.1', aloneUdp],
  ] as const) {
    for (const round of [1, 2, 3]) {
      const asked = clients.map(({ ask }, index) => ask(`${round} of ${index}`, port, address));
      const wanted = clients.map((_client, index) => `${address}:${port} echo: ${round} of ${index}`);
      assert.deepEqual(await Promise.all(asked), wanted);
    }
  }
  for (const [index, { answers }] of clients.entries()) {
    assert.ok(
      answers.every((answer) => answer.endsWith(` of ${index}`)),
      'nobody hears what is for another',
    );
  }
  assert.deepEqual(
    host.orchestrator.services().flatMap((service) => service.notes),
    [],
  );
});
