import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { Runtime } from '../../src/daemon/daemon.ts';
import { Orchestrator } from '../../src/orchestrator/orchestrator.ts';
import type { ProjectSettings } from '../../src/protocol/service.ts';
import { loadProjectSettings, saveProjectSettings } from '../../src/state/project-settings.ts';
import { eventually } from '../helpers/eventually.ts';
import { defer, makeTempDir } from '../helpers/temp.ts';

function settingsWith(keep_total_bytes: number | null): ProjectSettings {
  return {
    project: { name: 'shop', folder: '/srv/shop' },
    logs: { keep_total_bytes },
    images: { insecure_registries: ['registry.local:5000'], max_image_size_bytes: 2 ** 30 },
  };
}

test('settings are read back as they were saved', async (t) => {
  const path = join(await makeTempDir(t), 'settings.json');
  assert.deepEqual(await loadProjectSettings(path), []);
  await Promise.all([1, 2, 3].map((bytes) => saveProjectSettings(path, [settingsWith(bytes)])));
  assert.deepEqual(await loadProjectSettings(path), [settingsWith(3)]);
});

test('a file without settings is refused by name, and a daemon starts without it', async (t) => {
  const home = await makeTempDir(t);
  const path = join(home, 'settings.json');
  for (const content of ['', '{', '{"keep_total_bytes":1}', '{"projects":[{"project":null}]}']) {
    writeFileSync(path, content);
    await assert.rejects(loadProjectSettings(path), { code: 'Internal', message: /settings\.json is not a file of/ });
  }
  const reports: string[] = [];
  const runtime = await Runtime.open({ home, report: (level, message) => reports.push(`${level}: ${message}`) });
  await runtime.close();
  assert.match(reports.join(), /^warn: the settings of projects are ignored: .*settings\.json/);
});

test('a daemon applies the limit of its predecessor even if no service is started', async (t) => {
  const home = await makeTempDir(t);
  const first = await Runtime.open({ home });
  // Room for two files: each takes a block of 4 KiB.
  first.saveSettings([settingsWith(10_000)]);
  await first.close();
  const files = [1, 2, 3].map((number) => join(home, `log/old.stdout.00000${number}.log`));
  for (const file of files) writeFileSync(file, 'x'.repeat(100));
  const next = await Runtime.open({ home });
  defer(t, () => next.close());
  await Orchestrator.open(next);
  await eventually('the oldest file to go', () => !existsSync(files[0]!));
  assert.ok(existsSync(files[1]!) && existsSync(files[2]!));
});
