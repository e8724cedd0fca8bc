import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import type { Secret } from '../../../src/protocol/service.ts';
import { MAX_SECRET_BYTES, MAX_SECRETS_BYTES, readSecrets } from '../../../src/vm/host/secrets.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { makeTempDir } from '../../helpers/temp.ts';

const read = (...secrets: Secret[]) => readSecrets(scriptService('web', '', { secrets }));

test('secrets are read as they are, links followed, in the order of the config', async (t) => {
  const dir = await makeTempDir(t);
  const bytes = Buffer.from([0, 255, 10, 10]);
  writeFileSync(join(dir, 'key'), bytes);
  writeFileSync(join(dir, 'largest'), Buffer.alloc(MAX_SECRET_BYTES, 1));
  writeFileSync(join(dir, 'empty'), '');
  symlinkSync('key', join(dir, 'link'));
  const secrets = ['link', 'largest', 'empty'].map((name) => ({ name, path: join(dir, name) }));
  const contents = await read(...secrets);
  assert.deepEqual(
    contents.map(({ name, content }) => [name, content.length]),
    [
      ['link', 4],
      ['largest', MAX_SECRET_BYTES],
      ['empty', 0],
    ],
  );
  assert.deepEqual(contents[0]!.content, bytes);
});

test('a secret that is no file of a fitting size is refused by its name and path, and its content is not told', async (t) => {
  const dir = await makeTempDir(t);
  mkdirSync(join(dir, 'folder'));
  execFileSync('mkfifo', [join(dir, 'fifo')]);
  writeFileSync(join(dir, 'large'), Buffer.alloc(MAX_SECRET_BYTES + 1, 'content'));
  const cases: [name: string, reason: string][] = [
    ['missing', 'it does not exist'],
    ['folder', 'it is not a regular file'],
    ['fifo', 'it is not a regular file'],
    ['large', 'it has more than 512 KiB'],
  ];
  for (const [name, reason] of cases) {
    const path = join(dir, name);
    const message = `the secret ${name} of web cannot be read from ${path}: ${reason}`;
    await assert.rejects(read({ name, path }), { code: 'StartFailed', message });
  }
  await assert.rejects(read({ name: 'device', path: '/dev/zero' }), /it is not a regular file/);
  await assert.rejects(read({ name: 'relative', path: 'large' }), /its path is not absolute/);
});

test('a name that is not a valid file name is refused before anything is read', async () => {
  for (const name of ['', '.', '..', '../x', 'a/b', '/etc/passwd', 'a\nb', 'a\0b']) {
    await assert.rejects(
      read({ name, path: '/etc/hostname' }),
      /its name is not a valid file name/,
      JSON.stringify(name),
    );
  }
});

test('all secrets together are bounded, as they take memory of the guest', async (t) => {
  const path = join(await makeTempDir(t), 'key');
  writeFileSync(path, Buffer.alloc(MAX_SECRET_BYTES));
  const count = MAX_SECRETS_BYTES / MAX_SECRET_BYTES;
  const secrets = Array.from({ length: count + 1 }, (_, index) => ({ name: `key${index}`, path }));
  assert.equal((await read(...secrets.slice(1))).length, count);
  await assert.rejects(read(...secrets), {
    message: /^the secrets of web have 8.5 MiB; a guest accepts at most 8 MiB$/,
  });
});
