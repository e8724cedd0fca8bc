/**
 * Doors: the places where input from outside is parsed. Each is a function that fails unless the input is taken or refused
 * in the way of that door. Inputs to begin with are in `corpus/<door>/`, or made here where they are not text.
 */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type * as v from 'valibot';
import { escapeForTerminal } from '../../src/cli/render/terminal-text.ts';
import { parseEnvFile } from '../../src/config/languages/env-file.ts';
import type { Language } from '../../src/config/print.ts';
import { interpolate } from '../../src/config/schema/references.ts';
import { maskColoredLines, maskControls, toPrintableJson } from '../../src/lib/control-characters.ts';
import { errorCode, MonocoreError } from '../../src/lib/errors.ts';
import { DaemonStopRequestSchema, StartRequestSchema, StopRequestSchema } from '../../src/protocol/api.ts';
import { fullImageName } from '../../src/protocol/image-reference.ts';
import { LoadRequestSchema, PullRequestSchema, RemoveImagesRequestSchema } from '../../src/protocol/images.ts';
import { findUnknownKey, isName, VARIABLE_NAME } from '../../src/protocol/input.ts';
import { recordText, recordTime, repairTail } from '../../src/protocol/log-files/formats.ts';
import { parseFileName } from '../../src/protocol/log-files/names.ts';
import { HomePaths } from '../../src/state/paths.ts';
import { loadProjectSettings } from '../../src/state/project-settings.ts';
import { readStoredServices } from '../../src/state/stored-services.ts';
import { parseGuestMessage } from '../../src/vm/guest/control-channel.ts';
import { readExitRecord } from '../../src/vm/host/exit-record.ts';
import { readProcessRecord } from '../../src/vm/host/process-record.ts';
import { LogsQuerySchema, parseQuery, readBody, ServicesQuerySchema } from '../../workers/api/input.ts';
import {
  blobsOf,
  choosePlatform,
  parseConfig as parseImageConfig,
  parseManifest,
} from '../../workers/images/manifest.ts';
import { parseChallenges } from '../../workers/images/registry/authorization.ts';
import { parseRetryAfterMs } from '../../workers/images/registry/retries.ts';
import { buildRootImage } from '../../workers/images/rootfs/build.ts';
import { readDatagram } from '../../workers/network/datagram.ts';
import { FrameReader, isGenuine } from '../../workers/network/frame.ts';
import { survives } from '../helpers/config/survival.ts';
import { savedState } from '../helpers/fakes/saved-states.ts';
import { configOf, scriptService } from '../helpers/fakes/services.ts';
import { stopped } from '../helpers/fakes/states.ts';
import { packTar } from '../helpers/images/layers.ts';
import { arpFrame, datagramOf, frameOf } from '../helpers/network/harness.ts';

/** A place where input from outside is parsed. */
export interface Door {
  /** Inputs besides the corpus. */
  readonly seeds?: () => Promise<readonly Buffer[]>;
  /** Fails for an input that is neither taken nor refused. @param dir an empty folder of the run's own */
  enter(input: Buffer, dir: string): unknown;
}

/** Passes over errors with one of the codes. */
async function refuses(codes: readonly string[], take: () => unknown): Promise<void> {
  try {
    await take();
  } catch (error) {
    if (!(error instanceof MonocoreError) || !codes.includes(errorCode(error) ?? '')) throw error;
    assert.notEqual(error.message, '');
  }
}

const config = (language: Language): Door => ({ enter: (input) => survives(input.toString(), language) });

async function* inChunks(input: Buffer): AsyncGenerator<Buffer> {
  yield input;
}

const REQUESTS = [
  ...[StartRequestSchema, StopRequestSchema, DaemonStopRequestSchema],
  ...[PullRequestSchema, LoadRequestSchema, RemoveImagesRequestSchema],
];

const toBytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

async function makeRequests(): Promise<readonly Buffer[]> {
  const service = scriptService('web', 'true', {
    envs: { A: 'b' },
    ports: [{ host: 80, guest: 80, protocol: 'tcp' }],
    volumes: [{ host: '/a', guest: '/b', read_only: true }],
    secrets: [{ name: 'key', path: '/key' }],
    depends_on: [{ service: 'db', condition: 'started' }],
  });
  const config = configOf([service], [{ name: 'shop', address: null, local_only: true }]);
  return [toBytes({ names: ['web'], config, prune: true })];
}

async function enterRequests(input: Buffer): Promise<void> {
  for (const schema of REQUESTS as v.GenericSchema[]) {
    await refuses(['Usage'], async () => {
      const request = (await readBody(schema, inChunks(input))) as Partial<v.InferOutput<typeof StartRequestSchema>>;
      assert.equal(findUnknownKey(JSON.parse(input.toString() || '{}'), request), null);
      for (const { name, group, envs, ports } of request.config?.services ?? []) {
        assert.ok(isName(name) && name !== 'monocore' && (group === null || isName(group)));
        assert.ok(Object.keys(envs).every((key) => VARIABLE_NAME.test(key)));
        assert.ok(ports.every(({ host }) => Number.isInteger(host) && host > 0 && host < 65_536));
      }
    });
  }
}

async function enterQuery(input: Buffer): Promise<void> {
  const parameters: Record<string, string[]> = {};
  for (const [key, value] of new URLSearchParams(input.toString())) {
    if (Object.hasOwn(parameters, key)) parameters[key]!.push(value);
    else Object.defineProperty(parameters, key, { value: [value], enumerable: true });
  }
  for (const schema of [ServicesQuerySchema, LogsQuerySchema] as v.GenericSchema[]) {
    await refuses(['Usage'], () => parseQuery(schema, parameters));
  }
}

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

function enterGuest(input: Buffer): void {
  for (const line of input.toString().split('\n')) {
    const message = parseGuestMessage(line);
    if (message?.type === 'failed') assert.ok(message.reason.length <= 1000);
    if (message?.type === 'exit') assert.ok(message.code >= 0 && message.code <= 999);
    if (message?.type === 'probed') assert.ok(message.answer.text.length <= 1000);
  }
}

async function enterManifest(input: Buffer): Promise<void> {
  await refuses(['ImageInvalid'], () => {
    const manifest = parseManifest(input, 'application/vnd.oci.image.manifest.v1+json', 'it');
    if ('config' in manifest) blobsOf(manifest);
    else choosePlatform(manifest.manifests, { os: 'linux', architecture: 'amd64' }, 'it');
  });
  await refuses(['ImageInvalid'], () => parseImageConfig(input, 1, 'it'));
}

async function enterText(input: Buffer): Promise<void> {
  const text = input.toString();
  await refuses(['Usage'], () => {
    const full = fullImageName(text);
    assert.equal(fullImageName(full), full);
  });
  for (const { scheme } of parseChallenges(text)) assert.match(scheme, /^\S+$/);
  const waitMs = parseRetryAfterMs(text, 0);
  assert.ok(waitMs === null || waitMs >= 0);
  const file = parseFileName(text);
  assert.ok(file === null || (isName(file.service) && !text.includes('/')));
  interpolate(text, () => text);
}

async function enterLayer(input: Buffer, dir: string): Promise<void> {
  const [layer, root] = [join(dir, 'layer'), join(dir, 'root.erofs')];
  writeFileSync(layer, input);
  await refuses(['ImageInvalid'], () => buildRootImage([layer], root, { maxImageBytes: 2 ** 22, maxEntries: 1000 }));
}

function makeLayers(): Promise<readonly Buffer[]> {
  const plain = [
    { name: 'd', type: 'directory' as const },
    { name: 'd/f', content: 'text' },
    { name: 'd/l', type: 'symlink' as const, linkname: '../d/f' },
    { name: 'd/.wh.f' },
  ];
  const odd = [
    { name: 'a'.repeat(200), content: 'x'.repeat(600), pax: { 'SCHILY.xattr.user.a': 'b', mtime: '1.5' } },
    { name: 'd/.wh..wh..opq' },
    { name: 'h', type: 'link' as const, linkname: 'a'.repeat(200) },
  ];
  return Promise.all([packTar(plain), packTar(odd)]);
}

function enterFrames(input: Buffer): void {
  const onFrame = (framed: Buffer): void => {
    if (!isGenuine(framed, 1)) return;
    const datagram = readDatagram(framed);
    assert.ok(datagram === null || datagram.payload.length <= framed.length);
  };
  const reader = new FrameReader({ onFrame, onOversize: () => {} });
  try {
    const half = Math.floor(input.length / 2);
    reader.push(input.subarray(0, half));
    reader.push(input.subarray(half));
  } catch (error) {
    // The link is closed for it.
    if (!(error instanceof RangeError)) throw error;
    assert.match(error.message, /frame of \d+ bytes/);
  }
}

function enterLog(input: Buffer): void {
  recordTime(input, 0, '');
  recordText(input, 0, input.length);
  const options = { id: { service: 'web', stream: 'stdout' as const }, continues: false, nowMs: 0 };
  const end = input.indexOf(10);
  repairTail(end === -1 ? input : input.subarray(0, end + 1), options);
}

function enterTerminal(input: Buffer): void {
  const text = input.toString();
  assert.doesNotMatch(maskControls(text), /[^\P{Cc}\t]/u);
  assert.doesNotMatch(toPrintableJson(text), /\p{Cc}/u);
  const shown = [maskColoredLines(text), Buffer.from(escapeForTerminal(input.toString('latin1')), 'latin1').toString()];
  for (const line of shown)
    assert.doesNotMatch(line.replaceAll(COLORS, ''), /[^\P{Cc}\t\n]|[\u202A-\u202E\u2066-\u2069]/u);
}

const COLORS = new RegExp(`${String.fromCharCode(0x1b)}\\[[\\d;:]*m`, 'g');

/** By name. */
export const DOORS: Readonly<Record<string, Door>> = {
  toml: config('toml'),
  yaml: config('yaml'),
  json: config('json'),
  'env-file': {
    enter: (input) => {
      const { envs } = parseEnvFile(input.toString());
      for (const value of Object.values(envs)) assert.equal(typeof value, 'string');
    },
  },
  request: { seeds: makeRequests, enter: enterRequests },
  query: { enter: enterQuery },
  state: {
    seeds: async () => [toBytes(savedState('web', 1)), toBytes(savedState('web', 1, stopped()))],
    enter: enterState,
  },
  record: { enter: enterRecord },
  settings: { enter: enterSettings },
  guest: { enter: enterGuest },
  manifest: { enter: enterManifest },
  text: { enter: enterText },
  layer: { seeds: makeLayers, enter: enterLayer },
  frames: {
    seeds: async () => [arpFrame({ from: 1 }), frameOf(), datagramOf({ sourcePort: 53, destinationPort: 1024 })],
    enter: enterFrames,
  },
  log: { enter: enterLog },
  terminal: { enter: enterTerminal },
};

/** Empties the folder between two inputs. */
export function clear(dir: string): void {
  for (const name of ['web.json', 'record', 'settings.json', 'layer', 'root.erofs'])
    rmSync(join(dir, name), { force: true });
}
