import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import fc from 'fast-check';
import type { Service } from '../../../src/protocol/service.ts';
import { DEFAULT_GUEST_ENV, quote, renderJobScript } from '../../../src/vm/guest/job.ts';
import { ownCommand } from '../../../src/vm/host/service-command.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { makeTempDir } from '../../helpers/temp.ts';

const SHELLS = [['/bin/sh'], ['busybox', 'sh']] as const;

/** Output of a shell that sources the job. */
interface ReadBack {
  /** The working directory, the user, the command and its arguments. */
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

function render(service: Service, network = false): string {
  return renderJobScript(service, {
    serviceCommand: ownCommand(service),
    network,
    groupIndex: null,
    secrets: [],
  });
}

/** Lets a shell source the job as the guest's init does. The script travels in a file, as it does in the guest. */
function readBack(dir: string, shell: readonly string[], job: string): ReadBack {
  const path = join(dir, 'job');
  writeFileSync(path, job);
  const script = `. "$1"; set_environment; with_job printf '%s\\0'; printf '\\001'; cat /proc/self/environ`;
  const [program, ...args] = [...shell, '-c', script, 'sh', path];
  const output = execFileSync(program!, args, { env: { PATH: process.env.PATH }, encoding: 'utf8' });
  const [words, env] = output.split('\u0001') as [string, string];
  const list = (text: string) => text.split('\0').slice(0, -1);
  return {
    words: list(words),
    env: Object.fromEntries(list(env).map((entry) => [entry.split('=')[0], entry.slice(entry.indexOf('=') + 1)])),
  };
}

function checkRoundTrip(dir: string, service: Service): void {
  const job = render(service);
  for (const shell of SHELLS) {
    const { words, env } = readBack(dir, shell, job);
    assert.deepEqual(words, [service.workdir, '', service.command, ...service.args], shell.join(' '));
    for (const [name, value] of Object.entries(service.envs)) assert.equal(env[name], value, shell.join(' '));
  }
}

const makeDir = (t: TestContext) => makeTempDir(t);

test('whatever a value is made of, the guest reads it back exactly', async (t) => {
  const dir = await makeDir(t);
  const values = [
    '',
    ' ',
    "it's",
    "'",
    "''",
    '"quoted"',
    '$HOME $(id) `id`',
    'a\nb\n',
    '\t\r\n',
    '\\ \\n \\',
    'grüße 世界 🚀',
    '*?[a-z]~',
    '-n',
    '; exit 1 #',
    '}',
    '%s%%',
  ];
  const envs = Object.fromEntries(values.map((value, index) => [`V${index}`, value]));
  checkRoundTrip(
    dir,
    scriptService('web', '', { command: "/opt/it's a tool", args: values, envs, workdir: '/a b/$c' }),
  );
});

test('any text without NUL survives', async (t) => {
  const dir = await makeDir(t);
  // What separates the parts of the answer here is no text of a service.
  const text = fc
    .string({ unit: 'binary', maxLength: 40 })
    .map((value) => value.replaceAll('\0', '').replaceAll('\u0001', ''));
  fc.assert(
    fc.property(fc.array(text, { maxLength: 5 }), text, (args, value) => {
      checkRoundTrip(dir, scriptService('web', '', { args, envs: { VALUE: value } }));
    }),
    { numRuns: 30 },
  );
});

test('a long value survives', async (t) => {
  const dir = await makeDir(t);
  checkRoundTrip(dir, scriptService('web', '', { args: ["'".repeat(20_000)], envs: { LONG: 'x'.repeat(100_000) } }));
});

test('the service has the variables of a container unless it sets its own', async (t) => {
  const dir = await makeDir(t);
  const own = render(scriptService('web', '', { envs: { HOME: '/home/me' } }));
  const { env } = readBack(dir, ['/bin/sh'], own);
  assert.deepEqual(
    { PATH: env.PATH, HOME: env.HOME, HOSTNAME: env.HOSTNAME },
    { PATH: DEFAULT_GUEST_ENV.PATH, HOME: '/home/me', HOSTNAME: 'web' },
  );
});

test('the guest is told whether it has a network, a shared root and a disk, and where the service works', async (t) => {
  const path = join(await makeDir(t), 'job');
  for (const [network, rootfs, disk_mib, told] of [
    [false, null, null, 'network= root= disk= '],
    [true, null, null, 'network=1 root= disk= '],
    [true, '/srv/root', null, 'network=1 root=1 disk= '],
    [false, null, 16, 'network= root= disk=1 '],
  ] as const) {
    writeFileSync(path, render(scriptService('web', '', { workdir: "/it's", disk_mib, rootfs }), network));
    const script = `. "$1"; echo "network=$network root=$shared_root disk=$disk $guest_workdir $guest_hostname $guest_ip"`;
    assert.equal(
      execFileSync('/bin/sh', ['-c', script, 'sh', path], { encoding: 'utf8' }),
      `${told}/it's web 10.0.2.15\n`,
    );
  }
});

test('the guest is told its place in the network of its group', async (t) => {
  const path = join(await makeDir(t), 'job');
  const service = scriptService('web', '');
  for (const [groupIndex, told] of [
    [null, ' '],
    [258, '02:00:0a:53:01:02 10.83.1.2'],
  ] as const) {
    writeFileSync(
      path,
      renderJobScript(service, {
        serviceCommand: ownCommand(service),
        network: false,
        groupIndex,
        secrets: [],
      }),
    );
    const script = `. "$1"; echo "$group_mac $group_ip"`;
    assert.equal(execFileSync('/bin/sh', ['-c', script, 'sh', path], { encoding: 'utf8' }), `${told}\n`);
  }
});

test('volumes and secrets are handed over a call each, word for word, until one fails', async (t) => {
  const path = join(await makeDir(t), 'job');
  const volume = (host: string, guest: string, read_only: boolean) => ({ host, guest, read_only });
  const service = scriptService('web', '', {
    volumes: [volume('/host/b', "/it's $b", true), volume('/host/a', '/a', false)],
    secrets: [{ name: 'key', path: '/host/key' }],
  });
  const secrets = [
    { name: "it's", content: Buffer.from('s3cret') },
    { name: 'empty', content: Buffer.alloc(0) },
  ];
  const job = renderJobScript(service, {
    serviceCommand: ownCommand(service),
    network: false,
    groupIndex: null,
    secrets,
  });
  assert.ok(!job.includes('s3cret') && !job.includes('/host/'), 'neither contents nor places on the host');
  writeFileSync(path, job);
  const script = `. "$1"
    show() { printf '<%s>' "$@"; echo; }
    refuse() { show "$@"; return 1; }
    with_volumes show && with_secrets show && echo "$volumes$secrets"
    with_volumes refuse || echo failed`;
  for (const shell of SHELLS) {
    const [program, ...args] = [...shell, '-c', script, 'sh', path];
    assert.equal(
      execFileSync(program!, args, { encoding: 'utf8' }),
      "<1></a><rw>\n<0></it's $b><ro>\n<it's><6>\n<empty><0>\n11\n<1></a><rw>\nfailed\n",
    );
  }
  writeFileSync(path, render(scriptService('web', '')));
  const none = '. "$1"; with_volumes false && with_secrets false && echo "none:$volumes$secrets"';
  assert.equal(execFileSync('busybox', ['sh', '-c', none, 'sh', path], { encoding: 'utf8' }), 'none:\n');
});

test('sourcing the job runs nothing of it', async (t) => {
  const path = join(await makeDir(t), 'job');
  writeFileSync(path, render(scriptService('web', '', { args: ['$(echo run >&2)'] })));
  const args = ['-c', '. "$1"; echo "[$HOSTNAME]"', 'sh', path];
  assert.equal(execFileSync('/bin/sh', args, { env: {}, encoding: 'utf8' }), '[]\n');
});

test('a quoted word is one word', () => {
  assert.equal(quote(''), "''");
  assert.equal(quote("a'b"), `'a'\\''b'`);
});
