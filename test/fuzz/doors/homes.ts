/** Doors of a home: files that a crash, an earlier version or another program may have damaged. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { gzipSync } from 'node:zlib';
import { ServiceImages } from '../../../src/images/service-images.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { readCgroups, readMounts } from '../../../src/lib/proc.ts';
import { recordText, recordTime, repairTail } from '../../../src/protocol/log-files/formats.ts';
import type { LogQuery } from '../../../src/protocol/log-files/queries.ts';
import { HomePaths } from '../../../src/state/paths.ts';
import { loadProjectSettings } from '../../../src/state/project-settings.ts';
import { readStoredServices } from '../../../src/state/stored-services.ts';
import { readExitRecord } from '../../../src/vm/host/exit-record.ts';
import { ServiceLimits } from '../../../src/vm/host/limits/service-limits.ts';
import { readProcessRecord } from '../../../src/vm/host/process-record.ts';
import { readVerdict } from '../../../src/vm/qemu/kvm-test.ts';
import { listImages } from '../../../workers/images/store/list.ts';
import { removeImages } from '../../../workers/images/store/removal.ts';
import { ImageStore } from '../../../workers/images/store/store.ts';
import { searchLogs } from '../../../workers/jobs/logs/search.ts';
import { LogReader } from '../../../workers/logs/read/log-reader.ts';
import { savedState } from '../../helpers/fakes/saved-states.ts';
import { stopped } from '../../helpers/fakes/states.ts';
import { TestReader } from '../../helpers/logs/harness.ts';
import { type Door, refuses, toBytes } from '../door.ts';

/** A home whose only state file is the input. */
async function enterState(input: Buffer, dir: string): Promise<void> {
  const paths = new HomePaths(dir);
  writeFileSync(join(dir, 'web.json'), input);
  // The folder itself stands for both folders of state files.
  const home = Object.create(paths, { runDir: { value: dir }, endedDir: { value: join(dir, 'none') } }) as HomePaths;
  const { services, broken } = await readStoredServices(home, Date.now());
  assert.equal(services.length + broken.length, 1);
  for (const { name, started_at, stopped_at } of services) {
    assert.equal(name, 'web', 'a state file is of the service that it is named after');
    for (const time of [started_at, stopped_at]) assert.ok(time === null || !Number.isNaN(Date.parse(time)));
  }
}

function enterRecord(input: Buffer, dir: string): void {
  const path = join(dir, 'record');
  writeFileSync(path, input);
  const { commandPid, exit } = readExitRecord(path);
  assert.ok(commandPid === null || Number.isSafeInteger(commandPid));
  assert.ok(exit === null || (exit.code !== null && exit.code < 1000));
  const identity = readProcessRecord(path);
  assert.ok(identity === null || (identity.pid > 0 && Number.isSafeInteger(identity.start_time)));
}

async function enterSettings(input: Buffer, dir: string): Promise<void> {
  const path = join(dir, 'settings.json');
  writeFileSync(path, input);
  await refuses(['Internal'], async () => {
    for (const { logs } of await loadProjectSettings(path)) assert.ok((logs.keep_total_bytes ?? 0) >= 0);
  });
}

function put(path: string, content: Buffer): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

const DIGEST = `sha256:${'a'.repeat(64)}`;

/** Small documents of a home. All of them are JSON, so each input stands for all. */
async function makeDocuments(): Promise<readonly Buffer[]> {
  const annotations = { 'org.opencontainers.image.ref.name': 'docker.io/library/web:1' };
  const entry = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: DIGEST, size: 2, annotations };
  const documents = [
    { cgroups: ['/sys/fs/cgroup/monocore/web'], notes: ['a note'], open_files: 100, memory_bytes: 2 ** 28 },
    { accelerator: 'tcg', reason: '', tested: true, qemu_version: '7.2', guest_kernel: 'k', host_kernel: 'h' },
    { schemaVersion: 2, manifests: [entry] },
    { entrypoint: ['/a'], cmd: [], env: ['A=b'], workdir: null, user: '1:2', stop_signal: null },
    { service: { name: 'web', image: 'web:1' }, image_digest: DIGEST },
  ];
  return documents.map(toBytes);
}

async function enterDocument(input: Buffer, dir: string): Promise<void> {
  const home = new HomePaths(dir);
  const { images } = home;
  put(home.vm('web').limits, input);
  const limits = await new ServiceLimits(home).recall('web');
  const { args } = limits.launch({ program: 'program', args: ['argument'] });
  assert.equal(args.at(-1), 'argument');
  put(home.acceleratorVerdict, input);
  const verdict = await readVerdict(home.acceleratorVerdict);
  assert.ok(verdict === null || ['kvm', 'tcg'].includes(verdict.accelerator));
  put(images.index, input);
  put(images.rootRecord(DIGEST), input);
  // An image of one block, as far as the check looks.
  const root = Buffer.alloc(4096);
  root.writeUInt32LE(0xe0f5e1e2, 1024);
  root.writeUInt8(12, 1024 + 12);
  root.writeUInt32LE(1, 1024 + 36);
  put(images.root(DIGEST), root);
  const recalled = await new ServiceImages(null as never, images).recall(DIGEST);
  assert.ok(recalled === null || recalled.defaults.env.every((text) => typeof text === 'string'));
  put(images.root(DIGEST), input);
  assert.equal(await new ServiceImages(null as never, images).recall(DIGEST), null);
  const store = new ImageStore(images);
  await refuses(['ImageInvalid'], () => listImages(store));
  put(images.index, toBytes({ schemaVersion: 2, manifests: [] }));
  put(home.stateFile('web'), input);
  await refuses(['Internal'], () => removeImages({ names: [], stateDirs: [home.runDir] }, store));
}

function enterLog(input: Buffer): void {
  recordTime(input, 0, '');
  recordText(input, 0, input.length);
  const options = { id: { service: 'web', stream: 'stdout' as const }, continues: false, nowMs: 0 };
  const end = input.indexOf(10);
  repairTail(end === -1 ? input : input.subarray(0, end + 1), options);
}

const LINE = '2026-01-02T03:04:05.678Z INFO [web] ';

/** A log folder: the first half of the input, compressed where it looks so, and the other half of another stream. */
async function enterLogFiles(input: Buffer, dir: string): Promise<void> {
  const isCompressed = input.readUInt16BE(0) === 0x1f8b;
  const half = isCompressed ? input.length : Math.floor(input.length / 2);
  writeFileSync(join(dir, `web.stdout.000001.log${isCompressed ? '.gz' : ''}`), input.subarray(0, half));
  writeFileSync(join(dir, 'web.stderr.000002.log'), input.subarray(half));
  const all: LogQuery = { services: [], streams: ['stdout', 'stderr'], tail: null, follow: false };
  const filter = { grep: 'o+', sinceMs: null, untilMs: null };
  for (const changes of [{}, { tail: 3 }, { filter }, { filter, tail: 2 }]) {
    const { port1, port2 } = new MessageChannel();
    const reader = new TestReader(port1);
    const served = new LogReader({
      query: { ...all, ...changes } as LogQuery,
      port: port2,
      settledEnd: () => null,
      logDir: dir,
      startPage: (page, port) => {
        void searchLogs({ type: 'search-logs', ...page, port });
        return () => port.close();
      },
      pageSilenceMs: 10_000,
      clock: systemClock,
    });
    await Promise.all([reader.until(({ last }) => last !== null), served.done]);
    reader.close();
    assert.ok(reader.text === '' || reader.text.endsWith('\n'));
    // Only what is compressed can be damaged: every other text has records.
    if (!isCompressed) assert.equal(reader.last?.type, 'end', JSON.stringify(reader.last));
  }
}

/** Names of mounts and cgroups, which other users choose. */
function enterProc(input: Buffer, dir: string): void {
  put(join(dir, 'self/mountinfo'), input);
  put(join(dir, 'self/cgroup'), input);
  for (const { dir: place, options } of readMounts(dir)) assert.ok(typeof place === 'string' && options.length > 0);
  for (const { path, controllers } of readCgroups('self', dir)) {
    assert.ok(typeof path === 'string' && controllers.length > 0);
  }
}

export const HOME_DOORS = {
  state: {
    seeds: async () => [toBytes(savedState('web', 1)), toBytes(savedState('web', 1, stopped()))],
    enter: enterState,
  },
  record: { enter: enterRecord },
  settings: { enter: enterSettings },
  document: { seeds: makeDocuments, enter: enterDocument },
  log: { enter: enterLog },
  'log-files': {
    seeds: async () => {
      const text = Buffer.from(`${LINE}one\n${LINE}\u001b[1mtwo\n`.repeat(20));
      return [text, gzipSync(text), Buffer.from(`{"time":1,"level":30,"msg":"one"}\n`.repeat(20))];
    },
    enter: (input, dir) => (input.length < 2 ? null : enterLogFiles(input, dir)),
  },
  proc: { enter: enterProc },
} as const satisfies Record<string, Door>;
