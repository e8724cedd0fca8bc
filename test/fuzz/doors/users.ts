/** Doors of the users of this host: configs, requests to the daemon, and what a terminal shows. */
import assert from 'node:assert/strict';
import type * as v from 'valibot';
import { escapeForTerminal } from '../../../src/cli/render/terminal-text.ts';
import { parseEnvFile } from '../../../src/config/languages/env-file.ts';
import type { Language } from '../../../src/config/print.ts';
import { interpolate } from '../../../src/config/schema/references.ts';
import { maskColoredLines, maskControls, toPrintableJson } from '../../../src/lib/control-characters.ts';
import { DaemonStopRequestSchema, StartRequestSchema, StopRequestSchema } from '../../../src/protocol/api.ts';
import { fullImageName } from '../../../src/protocol/image-reference.ts';
import { LoadRequestSchema, PullRequestSchema, RemoveImagesRequestSchema } from '../../../src/protocol/images.ts';
import { findUnknownKey, isName, VARIABLE_NAME } from '../../../src/protocol/input.ts';
import { parseFileName } from '../../../src/protocol/log-files/names.ts';
import { LogsQuerySchema, parseQuery, readBody, ServicesQuerySchema } from '../../../workers/api/input.ts';
import { parseChallenges } from '../../../workers/images/registry/authorization.ts';
import { parseRetryAfterMs } from '../../../workers/images/registry/retries.ts';
import { survives } from '../../helpers/config/survival.ts';
import { configOf, scriptService } from '../../helpers/fakes/services.ts';
import { type Door, refuses, toBytes } from '../door.ts';

const config = (language: Language): Door => ({ enter: (input) => survives(input.toString(), language) });

async function* inChunks(input: Buffer): AsyncGenerator<Buffer> {
  yield input;
}

const REQUESTS = [
  ...[StartRequestSchema, StopRequestSchema, DaemonStopRequestSchema],
  ...[PullRequestSchema, LoadRequestSchema, RemoveImagesRequestSchema],
];

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

function enterTerminal(input: Buffer): void {
  const text = input.toString();
  assert.doesNotMatch(maskControls(text), /[^\P{Cc}\t]/u);
  assert.doesNotMatch(toPrintableJson(text), /\p{Cc}/u);
  const shown = [maskColoredLines(text), Buffer.from(escapeForTerminal(input.toString('latin1')), 'latin1').toString()];
  for (const line of shown)
    assert.doesNotMatch(line.replaceAll(COLORS, ''), /[^\P{Cc}\t\n]|[\u202A-\u202E\u2066-\u2069]/u);
}

const COLORS = new RegExp(`${String.fromCharCode(0x1b)}\\[[\\d;:]*m`, 'g');

export const USER_DOORS = {
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
  text: { enter: enterText },
  terminal: { enter: enterTerminal },
} as const satisfies Record<string, Door>;
