import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { Runtime } from '../../src/daemon/daemon.ts';
import { loadLogLimits, saveLogLimits } from '../../src/logs/retention.ts';
import { eventually } from '../helpers/eventually.ts';
import { defer, makeTempDir } from '../helpers/temp.ts';

test('limits are read back as they were saved', async (t) => {
  const path = join(await makeTempDir(t), 'log-limits.json');
  assert.equal(await loadLogLimits(path), null);
  await Promise.all([1, 2, 3].map((keep_total_bytes) => saveLogLimits(path, { keep_total_bytes })));
  assert.deepEqual(await loadLogLimits(path), { keep_total_bytes: 3 });
});

test('a file without limits counts as no file', async (t) => {
  const path = join(await makeTempDir(t), 'log-limits.json');
  for (const content of ['', '{', '{"keep_total_bytes":"much"}']) {
    writeFileSync(path, content);
    assert.equal(await loadLogLimits(path), null);
  }
});

test('a daemon applies the limit of its predecessor even if no service is started', async (t) => {
  const home = await makeTempDir(t);
  const first = await Runtime.open({ home });
  first.limitLogs({ keep_total_bytes: 250 });
  await first.close();
  const files = [1, 2, 3].map((number) => join(home, `log/old.stdout.00000${number}.log`));
  for (const file of files) writeFileSync(file, 'x'.repeat(100));
  const next = await Runtime.open({ home });
  defer(t, () => next.close());
  await eventually('the oldest file to go', () => !existsSync(files[0]!));
  assert.ok(existsSync(files[1]!) && existsSync(files[2]!));
});
