/** Whatever the text, parseConfig gives a Config or a ConfigInvalid whose problems can be shown. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { survives } from '../helpers/config/survival.ts';
import { rounds } from '../helpers/rounds.ts';

const DEMO = readFileSync(new URL('../../scripts/demo.toml', import.meta.url), 'utf8');
const DEMO_LINES = DEMO.split('\n');

/** Small pieces of TOML, valid ones and broken ones. */
const PIECES = [
  ...['[', '[[', ']', ']]', '{', '}', '=', '.', ',', '"', "'", '"""', "'''", '#', '\\', '\n', '\r\n', '\r', '\t', ' '],
  ...[
    'name',
    'service',
    'group',
    'envs',
    'ports',
    'depends_on',
    'ram',
    'log',
    'restart',
    'healthcheck',
    'tcp',
    'exec',
    'disk',
    'user',
    'host_user',
    'condition',
    '__proto__',
    'constructor',
    '\u0000',
    '😀',
  ],
  ...[
    '1',
    '-0',
    '1.5',
    'inf',
    'nan',
    '1e400',
    '0xff',
    '99999999999999999999',
    'true',
    '2020-01-01',
    '07:32',
    '\\u0000',
  ],
  ...[
    '[[service]]\n',
    '[[group]]\n',
    '[service.envs]\n',
    '[service.log]\n',
    '[service.healthcheck]\n',
    '[[service.depends_on]]\n',
    '[logs]\n',
    'name = "a"\n',
    'command = "x"\n',
    'depends_on = ["a"]\n',
    'depends_on = [{ service = "a", condition = "healthy" }]\n',
    'healthcheck = { tcp = 80 }\n',
    'restart = "always"\n',
    'max_restarts = 3\n',
  ],
];
const piece = fc.constantFrom(...PIECES);

test('random text', () => {
  const text = fc.string({ unit: 'binary', maxLength: 200 });
  fc.assert(
    fc.property(text, (input) => void survives(input)),
    { numRuns: rounds(2000) },
  );
});

test('random pieces of TOML', () => {
  const text = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(''));
  fc.assert(
    fc.property(text, (input) => void survives(input)),
    { numRuns: rounds(3000) },
  );
});

test('a valid config with characters replaced', () => {
  assert.ok(survives(DEMO));
  const edit = fc.record({ at: fc.nat(DEMO.length), drop: fc.nat(12), insert: fc.oneof(piece, fc.string()) });
  const text = fc
    .array(edit, { minLength: 1, maxLength: 4 })
    .map((edits) =>
      edits.reduce((result, { at, drop, insert }) => result.slice(0, at) + insert + result.slice(at + drop), DEMO),
    );
  fc.assert(
    fc.property(text, (input) => void survives(input)),
    { numRuns: rounds(1500) },
  );
});

test('a valid config with lines left out, doubled and moved', () => {
  const line = fc.constantFrom(...DEMO_LINES);
  const text = fc
    .tuple(fc.shuffledSubarray(DEMO_LINES), fc.array(line, { maxLength: 20 }))
    .map(([some, more]) => [...some, ...more].join('\n'));
  fc.assert(
    fc.property(text, (input) => void survives(input)),
    { numRuns: rounds(1500) },
  );
});

test('valid TOML with the right keys and any values', () => {
  const keys = ['name', 'group', 'isolation', 'rootfs', 'base', 'command', 'args', 'envs', 'workdir', 'cpus', 'ram'];
  const key = fc.constantFrom(
    ...keys,
    'port',
    'ports',
    'depends_on',
    'stop_timeout',
    'stop_signal',
    'restart',
    'max_restarts',
    'restart_reset',
    'max_memory',
    'healthcheck',
    'healthcheck.tcp',
    'healthcheck.http',
    'healthcheck.exec',
    'healthcheck.log_line',
    'healthcheck.interval',
    'healthcheck.retries',
    'on_unhealthy',
    'disk',
    'user',
    'host_user',
    'open_files',
    'cpu_shares',
    'log',
    'log.max_size',
    'log.keep_for',
    'volumes',
    'group_volumes',
    'group_envs',
    'secrets',
    'env_file',
    'replicas',
    'profiles',
    'other',
    '"odd.key"',
  );
  const atom = fc.oneof(
    fc.constantFrom('"a"', '"b"', '"c"', '"80"', '"81:80"', '"A=1"', '"vm"', '"none"', '"/x"', '"1GiB"', '"5s"'),
    fc.constantFrom('"/a:/b:ro"', '"/a"', '"80-81:80/udp"', '"$$"', '"a:/b"', '"a=/b"', '2'),
    fc.constantFrom('"always"', '"no"', '"restart"', '"KILL"', '"healthy"', '"("', '":80/"', '80', '1024'),
    fc.constantFrom('1', '0.5', '-7', 'inf', 'nan', 'true', '2020-01-01', '99999999999999999999', '"\\u0000"', "''"),
  );
  const array = fc.array(atom, { maxLength: 3 }).map((values) => `[\n ${values.join(',\n ')}\n]`);
  const table = atom.map((value) => `{ A = ${value}, b.c = 1 }`);
  const inner = fc.constantFrom('service', 'condition', 'tcp', 'http', 'exec', 'log_line', 'interval', 'other');
  const known = fc.uniqueArray(fc.tuple(inner, fc.oneof(atom, array)), { selector: ([name]) => name, maxLength: 4 });
  const inline = known.map((pairs) => `{ ${pairs.map(([name, what]) => `${name} = ${what}`).join(', ')} }`);
  const tables = fc.array(fc.oneof(atom, inline), { maxLength: 3 }).map((values) => `[${values.join(', ')}]`);
  const value = fc.oneof(atom, array, table, inline, tables);
  const entries = fc.uniqueArray(fc.tuple(key, value), { selector: ([name]) => name, maxLength: 10 });
  const header = fc.constantFrom(
    ...['[[service]]', '[[service]]', '[[service]]', '[[group]]', '[[other]]', '[defaults]', '[[group.volume]]'],
  );
  const text = fc
    .array(fc.tuple(header, entries), { maxLength: 5 })
    .map((tables) =>
      tables.map(([head, body]) => `${head}\n${body.map(([name, what]) => `${name} = ${what}\n`).join('')}`).join(''),
    );
  fc.assert(
    fc.property(text, (input) => void survives(input)),
    { numRuns: rounds(2000) },
  );
});

test('configs that are generated to be valid are valid', () => {
  const name = fc.stringMatching(/^[a-z0-9]([a-z0-9_-]{0,20}[a-z0-9])?$/).filter((text) => text !== 'monocore');
  const names = fc.uniqueArray(name, { minLength: 1, maxLength: 8 });
  const condition = fc.constantFrom('started', 'healthy', 'completed');
  const text = fc
    .tuple(names, fc.integer({ min: 1, max: 4 }), fc.integer({ min: 112, max: 4096 }), condition)
    .map(([all, cpus, ram, when]) =>
      all
        .map((own, index) => {
          const before = all.slice(0, index).map((name) => `{ service = "${name}", condition = "${when}" }`);
          const limits = `cpus = ${cpus}\nram = ${ram}\nhealthcheck = { tcp = ${ram} }\nrestart = "on-failure"\n`;
          return `[[service]]\nname = "${own}"\ncommand = "x"\n${limits}port = "${8000 + index}:80"\ndepends_on = [${before}]\n`;
        })
        .join(''),
    );
  fc.assert(fc.property(text, (input) => survives(input)));
});
