import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { asideOf } from '../../src/protocol/state.ts';
import { HomePaths } from '../../src/state/paths.ts';
import { FileStateStore, loadState, makeHome } from '../../src/state/store.ts';
import { findShared } from '../helpers/disks/modes.ts';
import { mountSmallDisk } from '../helpers/disks/small-disk.ts';
import { eventually } from '../helpers/eventually.ts';
import { ManualClock } from '../helpers/fakes/manual-clock.ts';
import { savedState } from '../helpers/fakes/saved-states.ts';
import { stateFiles } from '../helpers/fakes/state-files.ts';
import { stopped } from '../helpers/fakes/states.ts';
import { makeTempDir } from '../helpers/temp.ts';

async function openStore(t: TestContext) {
  const paths = new HomePaths(await makeTempDir(t));
  await makeHome(paths);
  return { paths, store: new FileStateStore(paths, stateFiles) };
}

const pidIn = (path: string): number => JSON.parse(readFileSync(path, 'utf8')).pid;

test('a reader sees the old document or the new one, never part of one', async (t) => {
  const { paths, store } = await openStore(t);
  await store.save(savedState('web', 0));
  let saving = true;
  const saves = (async () => {
    for (let pid = 1; pid <= 60; pid += 1) {
      store.saveSoon(savedState('web', pid));
      await store.save(savedState('web', pid));
    }
    saving = false;
  })();
  let reads = 0;
  let last = 0;
  while (saving) {
    const { pid } = await loadState(paths.stateFile('web'));
    assert.ok(pid! >= last, 'no older document comes after a newer one');
    last = pid!;
    reads += 1;
  }
  await saves;
  assert.ok(reads > 10, `only ${reads} reads`);
  assert.equal(pidIn(paths.stateFile('web')), 60);
});

test('saves of a service are written in the order in which they were asked for', async (t) => {
  const { paths, store } = await openStore(t);
  const written: number[] = [];
  const saves = Array.from({ length: 10 }, (_, pid) =>
    store.save(savedState('web', pid)).then(() => written.push(pidIn(paths.stateFile('web')))),
  );
  await Promise.all(saves);
  assert.deepEqual(written, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test('of the documents that may be lost only the latest is written', async (t) => {
  const { paths, store } = await openStore(t);
  for (let pid = 1; pid <= 100; pid += 1) store.saveSoon(savedState('web', pid));
  await store.flush();
  assert.equal(pidIn(paths.stateFile('web')), 100);
});

test('a save replaces a document that waits, and one that comes later is written behind it', async (t) => {
  const { paths, store } = await openStore(t);
  const first = store.save(savedState('web', 1));
  store.saveSoon(savedState('web', 2));
  const second = store.save(savedState('web', 3));
  store.saveSoon(savedState('web', 4));
  await first;
  await second;
  assert.equal(pidIn(paths.stateFile('web')), 3, 'what was asked for later does not come earlier');
  await store.flush();
  assert.equal(pidIn(paths.stateFile('web')), 4);
});

test('a concluded service has its document among the ended ones, and nothing that waited brings it back', async (t) => {
  const { paths, store } = await openStore(t);
  void store.save(savedState('web', 1));
  store.saveSoon(savedState('web', 2));
  await store.conclude(savedState('web', 3));
  await store.flush();
  assert.equal(existsSync(paths.stateFile('web')), false);
  assert.equal(pidIn(paths.endedFile('web')), 3);
  await store.remove('web');
  assert.deepEqual(readdirSync(paths.endedDir), []);
  await store.remove('web');
});

test('only the owner can read state files, for they hold variables', async (t) => {
  const { paths, store } = await openStore(t);
  await store.save(savedState('web', 1));
  assert.equal(statSync(paths.stateFile('web')).mode & 0o777, 0o600);
  store.saveSoon(savedState('web', 2));
  await store.flush();
  assert.equal(statSync(paths.stateFile('web')).mode & 0o777, 0o600);
  await store.conclude(savedState('web', 3));
  assert.equal(statSync(paths.endedFile('web')).mode & 0o777, 0o600);
});

test('a failed save does not keep the next from being written', async (t) => {
  const { paths, store } = await openStore(t);
  await mkdir(paths.stateFile('web'));
  await assert.rejects(store.save(savedState('web', 1)));
  store.saveSoon(savedState('web', 2));
  await store.flush();
  await store.save(savedState('api', 3));
  assert.equal(pidIn(paths.stateFile('api')), 3);
});

test('what an earlier daemon left is loaded; broken files are reported and do not keep the rest from it', async (t) => {
  const { paths, store } = await openStore(t);
  await store.save(savedState('left', 1));
  const exit = { code: 3, signal: null };
  await store.conclude(savedState('over', 2, stopped({ exit })));
  writeFileSync(join(paths.runDir, 'torn.json'), '{"pid": 1,');
  writeFileSync(join(paths.endedDir, 'foreign.json'), '{"pid": "one"}');
  writeFileSync(join(paths.runDir, 'note.txt'), 'no state file');
  mkdirSync(join(paths.runDir, 'folder'));
  const { left, ended, lost, broken } = await store.loadAll();
  assert.deepEqual(
    left.map(({ service }) => service.name),
    ['left'],
  );
  assert.deepEqual(
    ended.map(({ service, status }) => [service.name, status]),
    [['over', { Stopped: { exit_code: 3 } }]],
  );
  assert.deepEqual(
    lost.map(({ name, isDamaged }) => [name, isDamaged]),
    [
      ['torn', true],
      ['folder', false],
    ],
  );
  assert.match(broken.join(), /^\S+foreign\.json is not a state file of this version: pid: [^,]*$/);
});

test('what an earlier daemon was writing when it was killed is removed, and nothing else', async (t) => {
  const { paths, store } = await openStore(t);
  const unfinished = [asideOf(paths.stateFile('web')), `${paths.endedFile('web')}.7`, `${paths.settings}.12`];
  const others = [join(paths.runDir, 'web.json.old'), join(paths.home, 'notes.1')];
  for (const path of [...unfinished, ...others]) writeFileSync(path, '{');
  await store.loadAll();
  assert.deepEqual([...unfinished, ...others].filter(existsSync), others);
});

test('a home that is a file, or below one, is unusable, and the message says what to do', async (t) => {
  const dir = await makeTempDir(t);
  const file = join(dir, 'file');
  writeFileSync(file, '');
  for (const home of [file, join(file, 'home')]) {
    await assert.rejects(makeHome(new HomePaths(home)), {
      code: 'HomeUnusable',
      message: /\((ENOTDIR|EEXIST)\); choose another with --home or MONOCORE_HOME/,
    });
  }
});

test('a home that cannot be written is unusable', async (t) => {
  const disk = await mountSmallDisk(t, 'size=1m,ro');
  await assert.rejects(makeHome(new HomePaths(join(disk, 'home'))), {
    code: 'HomeUnusable',
    message: /cannot be written/,
  });
});

test('a home on a disk without a free inode is opened with a warning that asks for space', async (t) => {
  const disk = await mountSmallDisk(t, 'nr_inodes=7');
  const paths = new HomePaths(join(disk, 'home'));
  await makeHome(paths);
  writeFileSync(join(disk, 'filler'), '');
  assert.match((await makeHome(paths)) ?? '', /ENOSPC.*free some space/);
});

test('a home that exists is taken as it is', async (t) => {
  const { paths } = await openStore(t);
  writeFileSync(paths.stateFile('web'), 'content');
  await makeHome(paths);
  assert.equal(readFileSync(paths.stateFile('web'), 'utf8'), 'content');
  assert.deepEqual(readdirSync(paths.runDir), ['web.json']);
});

test('a write that failed is tried again until it succeeds, unless a later one takes its place', async (t) => {
  const { paths } = await openStore(t);
  const clock = new ManualClock();
  const store = new FileStateStore(paths, stateFiles, clock);
  // A folder where the file should be: it cannot be renamed over.
  mkdirSync(paths.endedFile('web'));
  let cleanUps = 0;
  const cleanUp = async () => {
    cleanUps += 1;
  };
  await assert.rejects(store.conclude(savedState('web', 1, stopped()), cleanUp));
  clock.advance(1000);
  await eventually('the next failure', () => clock.timers === 1);
  rmdirSync(paths.endedFile('web'));
  clock.advance(1000);
  await eventually('the file', () => existsSync(paths.endedFile('web')));
  await store.flush();
  assert.deepEqual([clock.timers, cleanUps], [0, 1]);

  mkdirSync(paths.stateFile('web'));
  await assert.rejects(store.save(savedState('web', 2)));
  assert.equal(clock.timers, 1);
  rmdirSync(paths.stateFile('web'));
  await store.save(savedState('web', 3));
  assert.equal(clock.timers, 0, 'an old state is not written over a new one');
  assert.equal(pidIn(paths.stateFile('web')), 3);
});

test('what could not be written is tried once more at the end', async (t) => {
  const { paths } = await openStore(t);
  const clock = new ManualClock();
  const store = new FileStateStore(paths, stateFiles, clock);
  mkdirSync(paths.stateFile('web'));
  await assert.rejects(store.save(savedState('web', 1)));
  rmdirSync(paths.stateFile('web'));
  await store.flush();
  assert.equal(pidIn(paths.stateFile('web')), 1);
  assert.equal(clock.timers, 0);
});

test('a home of an earlier version keeps nothing from its owner, and nothing but logs for others', async (t) => {
  const home = await makeTempDir(t);
  for (const name of ['run', 'ended', 'log', 'cache', 'disk', 'images']) {
    mkdirSync(join(home, name));
    chmodSync(join(home, name), 0o777);
  }
  chmodSync(home, 0o777);
  await makeHome(new HomePaths(home));
  assert.equal(statSync(home).mode & 0o777, 0o755);
  assert.equal(statSync(join(home, 'log')).mode & 0o777, 0o755);
  assert.deepEqual(findShared(home), ['log']);
});

test('a state file speaks for no other service than the one of its name, and for none outside of the home', async (t) => {
  const { paths } = await openStore(t);
  for (const name of ['other', '../../x', 'web']) {
    const state = savedState('web', 1);
    const named = { ...state, service: { ...state.service, name } };
    writeFileSync(paths.stateFile('web'), JSON.stringify(named));
    const load = loadState(paths.stateFile('web'));
    if (name === 'web') assert.equal((await load).service.name, 'web');
    else
      await assert.rejects(load, { code: 'Internal', message: /web\.json (is not a state file of|has the state of)/ });
  }
});
