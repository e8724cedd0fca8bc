import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import test from 'node:test';
import { writePaged } from '../../../src/cli/render/pager.ts';
import { makeTempDir } from '../../helpers/temp.ts';

/** The text that reaches stdout, which is a terminal or not, past the pager. */
async function write(text: string, pager: string, isTTY = true): Promise<string> {
  const stdout = Object.assign(new PassThrough(), { isTTY }) as unknown as NodeJS.WriteStream & PassThrough;
  process.env.PAGER = pager;
  try {
    await writePaged(stdout, text);
  } finally {
    delete process.env.PAGER;
  }
  return stdout.read()?.toString() ?? '';
}

test('on a terminal the pager gets the text, with the options of less that git sets', async (t) => {
  const file = join(await makeTempDir(t), 'text');
  assert.equal(await write('some text\n', `cat >'${file}'; printf %s "$LESS" >>'${file}'`), '');
  assert.equal(await readFile(file, 'utf8'), 'some text\nFRX');
});

test('the text goes to stdout without a terminal, without a pager and where the pager does not start', async () => {
  assert.equal(await write('text\n', 'false', false), 'text\n');
  assert.equal(await write('text\n', ''), 'text\n');
  assert.equal(await write('text\n', 'cat'), 'text\n');
  assert.equal(await write('text\n', 'no-such-pager-of-monocore 2>&-'), 'text\n');
});

test('a pager that ends before it has read everything is no failure', async () => {
  assert.equal(await write('x'.repeat(1_000_000), 'true'), '');
});
