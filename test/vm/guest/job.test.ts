import assert from 'node:assert/strict';
import test from 'node:test';
import type { Service } from '../../../src/protocol/service.ts';
import { DEFAULT_GUEST_ENV, renderJobWords } from '../../../src/vm/guest/job.ts';
import { ownCommand } from '../../../src/vm/host/service-command.ts';
import { scriptService } from '../../helpers/fakes/services.ts';

interface Place {
  readonly network?: boolean;
  readonly groupIndex?: number | null;
}

function render(service: Service, { network = false, groupIndex = null }: Place = {}): string[] {
  return renderJobWords(service, { serviceCommand: ownCommand(service), network, groupIndex });
}

/** Values of the words with that key, in their order. */
function valuesOf(words: readonly string[], key: string): string[] {
  return words.filter((word) => word.startsWith(`${key}=`)).map((word) => word.slice(key.length + 1));
}

test('whatever a value is made of, it is a word of its own', () => {
  const values = [
    '',
    ' ',
    "it's",
    '"quoted"',
    '$HOME $(id) `id`',
    'a\nb\n',
    '\\ \\n \\',
    'grüße 世界 🚀',
    '=',
    'arg=x',
  ];
  const envs = Object.fromEntries(values.map((value, index) => [`V${index}`, value]));
  const service = scriptService('web', '', { command: "/opt/it's a tool", args: values, envs, workdir: '/a b/$c' });
  const words = render(service);
  assert.deepEqual(valuesOf(words, 'arg'), [service.command, ...values]);
  assert.deepEqual(valuesOf(words, 'workdir'), ['/a b/$c']);
  for (const [name, value] of Object.entries(envs)) assert.ok(words.includes(`env=${name}=${value}`), name);
});

test('the service has the variables of a container unless it sets its own', () => {
  const words = render(scriptService('web', '', { envs: { HOME: '/home/me' } }));
  assert.deepEqual(valuesOf(words, 'env'), [`PATH=${DEFAULT_GUEST_ENV.PATH}`, 'HOME=/home/me', 'HOSTNAME=web']);
});

test('only what there is is told', () => {
  const bare = render(scriptService('web', ''));
  const keys = new Set(bare.map((word) => word.split('=')[0]));
  assert.deepEqual([...keys], ['hostname', 'workdir', 'arg', 'env']);
  const network = render(scriptService('web', ''), { network: true });
  assert.ok(
    ['ip=10.0.2.15', 'netmask=255.255.255.0', 'gateway=10.0.2.2', 'dns=10.0.2.3'].every((word) =>
      network.includes(word),
    ),
  );
  const own = render(scriptService('web', '', { rootfs: '/srv/root', disk_mib: 16, user: '1000' }));
  assert.deepEqual([valuesOf(own, 'root'), valuesOf(own, 'disk'), valuesOf(own, 'user')], [['share'], ['1'], ['1000']]);
  assert.deepEqual(
    valuesOf(own, 'env').filter((text) => text.startsWith('HOME=')),
    [],
    'the guest looks it up',
  );
});

test('the guest is told its place in the network of its group', () => {
  const words = render(scriptService('web', ''), { groupIndex: 258 });
  const told = ['group_mac', 'group_ip', 'group_netmask'].flatMap((key) => valuesOf(words, key));
  assert.deepEqual(told, ['02:00:0a:53:01:02', '10.83.1.2', '255.255.0.0']);
});

test('volumes are told in the order of their places, secrets and places on the host are not', () => {
  const volume = (host: string, guest: string, read_only: boolean) => ({ host, guest, read_only });
  const words = render(
    scriptService('web', '', {
      volumes: [volume('/host/b', "/it's: $b", true), volume('/host/a', '/a', false)],
      secrets: [{ name: 'key', path: '/host/key' }],
    }),
  );
  assert.deepEqual(valuesOf(words, 'volume'), ['rw:1:/a', "ro:0:/it's: $b"]);
  assert.ok(!words.join('\0').includes('/host/'));
});
