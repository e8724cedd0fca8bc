import assert from 'node:assert/strict';
import test from 'node:test';
import { manPages } from '../../scripts/man.ts';

test('package.json lists every man page that the build writes', async () => {
  const manifest = (await import('../../package.json', { with: { type: 'json' } })).default;
  const paths = [...(await manPages()).keys()].map((path) => `dist/${path}`);
  assert.deepEqual(manifest.man, paths.sort());
});

test('monocore(1) has every command with its options, and no hidden one', async () => {
  const page = (await manPages()).get('man/man1/monocore.1') ?? '';
  for (const line of [
    '.SS monocore start [options] [names...]',
    '.SS monocore daemon install [options]',
    '.SS monocore images rm <images...>',
    '\\fB\\-g, \\-\\-group <group>\\fR',
    '.SH EXIT STATUS',
  ]) {
    assert.ok(page.includes(`\n${line}\n`), line);
  }
  assert.ok(!page.includes('background report'));
  assert.ok(!page.includes('\\-\\-background\\fR'));
});
