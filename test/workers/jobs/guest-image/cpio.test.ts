import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { type CpioEntry, renderCpio } from '../../../../workers/jobs/guest-image/cpio.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

const ENTRIES: readonly CpioEntry[] = [
  { type: 'directory', path: 'bin' },
  { type: 'directory', path: 'tmp', mode: 0o1777 },
  { type: 'file', path: 'bin/tool', content: Buffer.from('#!/bin/sh\n'), mode: 0o755 },
  // Every length modulo 4, of names as of contents: both are padded.
  ...[0, 1, 2, 3, 4, 5].map(
    (length): CpioEntry => ({
      type: 'file',
      path: `${'n'.repeat(length)}f`,
      content: Buffer.alloc(length, 7),
      mode: 0o600,
    }),
  ),
  { type: 'file', path: 'grüße 世界', content: Buffer.from([0, 255, 10, 0]), mode: 0o644 },
  { type: 'file', path: 'large', content: Buffer.alloc(300_001, 'monocore'), mode: 0o444 },
  { type: 'symlink', path: 'sbin', target: 'bin' },
  { type: 'symlink', path: 'bin/nowhere', target: '/no/such/file' },
];

test('an archive is unpacked to what was put in: contents, modes, links', async (t) => {
  const dir = await makeTempDir(t);
  execFileSync('busybox', ['cpio', '-idm', '--quiet'], { cwd: dir, input: renderCpio(ENTRIES) });
  for (const entry of ENTRIES) {
    const path = join(dir, entry.path);
    const stats = lstatSync(path);
    switch (entry.type) {
      case 'directory':
        assert.ok(stats.isDirectory());
        assert.equal(stats.mode & 0o7777, entry.mode ?? 0o755, entry.path);
        break;
      case 'file':
        assert.ok(stats.isFile());
        assert.equal(stats.mode & 0o7777, entry.mode, entry.path);
        assert.ok(readFileSync(path).equals(entry.content), entry.path);
        break;
      case 'symlink':
        assert.equal(readlinkSync(path), entry.target);
    }
  }
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
