import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { entryUrl } from '../../../src/threads/entry.ts';
import { eventually } from '../../helpers/eventually.ts';
import { TYPESCRIPT_OPTIONS } from '../../helpers/processes/typescript.ts';
import { defer } from '../../helpers/temp.ts';

/** Fails each message of the process as Node does when the other side is gone. */
const BROKEN_CHANNEL = `
  process.send = (message, callback) => {
    process.stderr.write('tried');
    const error = new Error('write EPIPE');
    process.nextTick(() => callback ? callback(error) : process.emit('error', error));
  };`;

test('a spawner whose daemon is gone before it noticed ends without a word', async (t) => {
  const spawner = fork(fileURLToPath(entryUrl('spawner')), [], {
    execArgv: [...TYPESCRIPT_OPTIONS, '--import', `data:text/javascript,${encodeURIComponent(BROKEN_CHANNEL)}`],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  defer(t, () => spawner.kill('SIGKILL'));
  let said = '';
  spawner.stderr!.on('data', (text) => {
    said += text;
  });
  const exited = once(spawner, 'exit');
  const fds = ['null', 'null', 'null'];
  spawner.send([{ id: 1, program: '/bin/true', args: [], fds, workdir: null, env: null, record: null }]);
  await eventually('its answers', () => said.length >= 'triedtried'.length);
  spawner.disconnect();
  assert.deepEqual(await exited, [0, null]);
  assert.equal(said, 'triedtried');
});
