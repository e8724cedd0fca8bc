import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import test from 'node:test';
import { confirm } from '../../src/cli/question.ts';

/** Asks somebody who types `typed`; without it, the input ends. */
async function ask(typed: string | null): Promise<boolean | null> {
  const input = new PassThrough();
  const answer = confirm('Remove?', new PassThrough(), input);
  if (typed === null) input.end();
  else input.write(typed);
  return answer;
}

test('only a yes is a yes', async () => {
  for (const typed of ['y\n', 'yes\n', ' Y \n']) assert.equal(await ask(typed), true, typed);
  for (const typed of ['\n', 'n\n', 'yeah\n', null]) assert.equal(await ask(typed), false, String(typed));
});
