import assert from 'node:assert/strict';
import test from 'node:test';
import { CLIENT_IDLE_MS, Clients, MAX_CLIENTS } from '../../../workers/network/clients.ts';

function open() {
  const clock = { ms: 0 };
  const clients = new Clients<{ id: number }>(() => clock.ms);
  const client = (port: number, id = 0, address = '127.0.0.1') => ({ through: { id }, address, port });
  return { clock, clients, client };
}

test('a client is who has an address, a port, and a port of the host that it sends to', () => {
  const { clients, client } = open();
  const ports = [client(1), client(2), client(1, 1), client(1, 0, '127.0.0.9')].map((each) => clients.portOf(each));
  assert.equal(new Set(ports).size, 4);
  assert.equal(clients.portOf(client(1)), ports[0]);
  const { through, address, port } = clients.find(ports[2]!)!;
  assert.deepEqual({ through, address, port }, client(1, 1));
  assert.equal(clients.find(Math.max(...ports) + 1), null);
  assert.equal(clients.find(0), null);
});

test('the first port says nothing of that of the table before', () => {
  const firstPorts = Array.from({ length: 5 }, () => {
    const { clients, client } = open();
    return clients.portOf(client(1));
  });
  assert.ok(new Set(firstPorts).size > 1, `always ${firstPorts[0]}`);
});

test('a client that sends nothing for a while is forgotten, whatever it is sent', () => {
  const { clock, clients, client } = open();
  const [silent, other] = [clients.portOf(client(1)), clients.portOf(client(2))];
  clock.ms = CLIENT_IDLE_MS - 1;
  assert.equal(clients.find(silent)?.port, 1);
  clients.portOf(client(2));
  clock.ms += 1;
  assert.deepEqual([clients.find(silent), clients.find(other)?.port], [null, 2]);
  assert.notEqual(clients.portOf(client(1)), silent, 'a late answer is for nobody else');
});

test('there are only so many, and who was silent for longest makes room', () => {
  const { clients, client } = open();
  const ports = Array.from({ length: MAX_CLIENTS }, (_, index) => clients.portOf(client(index)));
  clients.portOf(client(0));
  const added = clients.portOf(client(MAX_CLIENTS));
  assert.deepEqual([clients.find(ports[1]!), clients.find(ports[0]!)?.port], [null, 0]);
  assert.equal(clients.find(added)?.port, MAX_CLIENTS);
  const known = ports.filter((port) => clients.find(port) !== null).length + 1;
  assert.equal(known, MAX_CLIENTS);
});

test('a port serves again only when all others did, and never two at once', () => {
  const { clients, client } = open();
  const kept = clients.portOf(client(0));
  const given: number[] = [];
  for (let index = 1; index <= 20_000; index += 1) {
    given.push(clients.portOf(client(index)));
    clients.portOf(client(0));
  }
  assert.ok(!given.includes(kept));
  assert.equal(clients.find(kept)?.port, 0);
  assert.ok(given.every((port) => port >= 49_152 && port <= 65_535));
  const again = given.indexOf(given[0]!, 1);
  assert.equal(again, 65_535 - 49_152);
});
