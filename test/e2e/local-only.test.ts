/** What a guest reaches beyond its group, and what reaches it: with real guests. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { it } from 'node:test';
import { eventually } from '../helpers/eventually.ts';
import { makePerlRoot } from '../helpers/perl-root.ts';
import { openTestRuntime } from '../helpers/runtime.ts';
import { configOf, scriptService } from '../helpers/services.ts';
import { makeTempDir } from '../helpers/temp.ts';

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

it('a guest reaches the host only where its group may go out, and is reached in any case', async (t) => {
  const host = await openTestRuntime();
  t.after(() => host.close());
  const local = await listen(t, '127.0.0.1');
  const other = await listen(t, '127.0.0.9');
  const root = join(await makeTempDir(t), 'root');
  makePerlRoot(root);
  const script = `
    for place in "10.0.2.2 ${local}" "127.0.0.1 ${local}" "10.0.2.2 ${other}" "127.0.0.9 ${other}"; do
      echo "$place: $(nc -w 2 $place </dev/null 2>/dev/null)"
    done
    perl -e "$ASK_DNS"
    perl -e "$UDP_ECHO" &
    echo done
    nc -ll -p 80 -e echo "hello from $HOSTNAME"`;
  const member = (name: string) =>
    scriptService(name, script, {
      group: name,
      rootfs: root,
      envs: { UDP_ECHO, ASK_DNS },
      stop_timeout_ms: 500,
      ports: [
        { host: 28_080, guest: 80, protocol: 'tcp' },
        { host: 28_053, guest: 53, protocol: 'udp' },
      ],
    });
  const groups = [
    { name: 'closed', local_only: true },
    { name: 'open', local_only: false },
  ];
  const { services } = await host.orchestrator.start(configOf([member('closed'), member('open')], groups));
  assert.deepEqual(
    services.map(({ error }) => error),
    [null, null],
  );
  const found = async (name: string) => {
    await eventually(`${name} to have tried`, () => host.lines(name, 'stdout').includes('done'));
    return host.lines(name, 'stdout');
  };
  const nothing = [`127.0.0.1 ${local}: `, `10.0.2.2 ${other}: `, `127.0.0.9 ${other}: `];
  assert.deepEqual(await found('closed'), [`10.0.2.2 ${local}: `, ...nothing, 'dns: silence', 'done']);
  // Whether the host has a DNS server is the host's affair.
  const open = (await found('open')).filter((line) => !line.startsWith('dns: '));
  assert.deepEqual(open, [`10.0.2.2 ${local}: hello from 127.0.0.1`, ...nothing, 'done']);

  for (const [name, address] of [
    ['closed', '127.0.0.2'],
    ['open', '127.0.0.3'],
  ] as const) {
    const answer = () => text(createConnection(28_080, address)).catch(() => '');
    assert.equal(await eventually(name, async () => (await answer()) || null), `hello from ${name}\n`);
  }

  // Answers by UDP are let out only where all is let out; the note says so.
  const client = createSocket('udp4');
  t.after(() => client.close());
  const answered = once(client, 'message');
  const sending = setInterval(() => client.send('ping', 28_053, '127.0.0.3'), 100);
  const [message] = await answered.finally(() => clearInterval(sending));
  assert.equal(String(message), 'echo: ping');
  const notes = host.orchestrator.services().map((service) => service.notes.filter((note) => note.includes('UDP')));
  assert.deepEqual([notes[0]!.length, notes[1]!.length], [1, 0]);
});
