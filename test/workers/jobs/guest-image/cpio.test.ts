import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { directory, file, renderCpio, symlink } from '../../../../workers/jobs/guest-image/cpio.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

const ENTRIES = [
  directory('bin'),
  directory('tmp', 0o1777),
  file('bin/tool', '#!/bin/sh\n', 0o755),
  // Every length modulo 4, of names as of contents: both are padded.
  ...[0, 1, 2, 3, 4, 5].map((length) => file(`${'n'.repeat(length)}f`, Buffer.alloc(length, 7), 0o600)),
  file('grüße 世界', Buffer.from([0, 255, 10, 0])),
  file('large', Buffer.alloc(300_001, 'monocore'), 0o444),
  symlink('sbin', 'bin'),
  symlink('bin/nowhere', '/no/such/file'),
];

test('an archive is unpacked to what was put in: contents, modes, links', async (t) => {
  const dir = await makeTempDir(t);
  execFileSync('busybox', ['cpio', '-idm', '--quiet'], { cwd: dir, input: renderCpio(ENTRIES) });
  for (const { path, mode, content } of ENTRIES) {
    const stats = lstatSync(join(dir, path));
    assert.equal(stats.mode, mode, path);
    if (stats.isFile()) assert.ok(readFileSync(join(dir, path)).equals(content), path);
    if (stats.isSymbolicLink()) assert.equal(readlinkSync(join(dir, path)), content.toString());
  }
  const types = ENTRIES.map(({ mode }) => (mode >> 12).toString(8));
  assert.deepEqual([...new Set(types)], ['4', '10', '12'], 'directories, files and links');
  const listed = execFileSync('busybox', ['cpio', '-t', '--quiet'], { input: renderCpio(ENTRIES), encoding: 'utf8' });
  assert.deepEqual(
    listed.trimEnd().split('\n'),
    ENTRIES.map(({ path }) => path),
  );
});

test('equal entries give equal archives, and an empty one is an archive', async (t) => {
  assert.ok(renderCpio(ENTRIES).equals(renderCpio(ENTRIES)));
  const dir = await makeTempDir(t);
  execFileSync('busybox', ['cpio', '-idm', '--quiet'], { cwd: dir, input: renderCpio([]) });
  assert.deepEqual(readdirSync(dir), []);
});
