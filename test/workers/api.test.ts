import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import type { ApiBoot, ApiThreadApi } from '../../src/protocol/api.ts';
import { expose } from '../../src/threads/rpc.ts';
import { WorkerThread } from '../../src/threads/worker-thread.ts';
import { ask, DAEMON_STATUS } from '../helpers/api/harness.ts';
import { makeTempDir } from '../helpers/temp.ts';

test('the worker answers over its socket, and again after it died and was started anew', async (t) => {
  const socketPath = join(await makeTempDir(t), 'daemon.sock');
  let onListening = () => {};
  const thread = new WorkerThread<ApiThreadApi>({
    entry: 'api',
    data() {
      const [control, logs] = [new MessageChannel(), new MessageChannel()];
      expose({ daemon: async () => DAEMON_STATUS }, control.port2);
      const data: ApiBoot = { socketPath, control: control.port1, logs: logs.port1 };
      return { data, transferList: [control.port1, logs.port1] };
    },
    deadlines: { defaultMs: 10_000 },
    onReady: async (api) => {
      await api.listen();
      onListening();
    },
  });
  t.after(() => thread.stop());
  await thread.start();
  assert.deepEqual((await ask(socketPath, 'GET', '/v1/daemon')).json, DAEMON_STATUS);

  const listening = new Promise<void>((resolve) => {
    onListening = resolve;
  });
  await thread.crash();
  await listening;
  assert.deepEqual((await ask(socketPath, 'GET', '/v1/daemon')).json, DAEMON_STATUS);

  await thread.stop((api) => api.close());
  assert.equal(existsSync(socketPath), false);
});
