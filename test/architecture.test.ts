/** Who may import whom: the rules that keep each thread's code apart, checked on every file of src and workers. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { codeOf, findImports, type Import } from './helpers/imports.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** A source file; `path` is relative to the checkout: `src/cli/main.ts`. */
interface SourceFile {
  readonly path: string;
  readonly source: string;
}

/** What rules look at: a path like {@link SourceFile.path}, or the name of a package or of a module of Node. */
type Target = string;

interface ImportRule {
  readonly title: string;
  /** Files that the rule is about. */
  readonly files: RegExp;
  /** Targets that are allowed; all by default. */
  readonly may?: readonly RegExp[];
  /** Targets that are forbidden, even where `may` names them. */
  readonly mustNot?: readonly RegExp[];
  /** Imports that vanish when compiled are exempt. By default they count: they tie files together just as much. */
  readonly typesAreFree?: true;
  /** A file that breaks the rule, to see the rule at work. */
  readonly wrong: SourceFile;
}

const LEAF = /^src\/(errors|clock|units|control-characters|turns)\.ts$/;
const PROTOCOL = /^src\/protocol\//;
const PATHS = /^src\/state\/paths\.ts$/;
/** The process that starts others has to say who they are before it waits for them. */
const PROCESS_IDENTITY = /^src\/process-identity\.ts$/;
/** What a command may know besides the daemon's HTTP interface. */
const CLI_TARGETS = [
  /^src\/cli\//,
  LEAF,
  PROTOCOL,
  /^src\/config\//,
  PATHS,
  /^src\/state\/folder\.ts$/,
  /^src\/package-info\.ts$/,
  /^src\/doctor\//,
];
/** Packages and modules of Node. */
const EXTERNAL = /^(?!src\/|workers\/|test\/|scripts\/)/;

/** How log files are read: no thread of its own, but run by the log worker and by jobs. */
const LOG_FILES = /^workers\/log-files\//;
const LOG_FILE_READERS = ['logs', 'jobs'];

/** Of entries and of folders alike, so that a folder without an entry is no loophole. */
const workerNames = new Set(
  listSources('workers')
    .filter((path) => !LOG_FILES.test(path))
    .map((path) => /^workers\/([^/.]+)/.exec(path)![1]!),
);

const IMPORT_RULES: readonly ImportRule[] = [
  {
    title: 'leaf files import only each other and protocol/',
    files: LEAF,
    may: [LEAF, PROTOCOL],
    wrong: { path: 'src/lib/clock.ts', source: "import { hrtime } from 'node:process';" },
  },
  {
    title: 'protocol/ imports only itself, leaf files and valibot; types of Node besides',
    files: PROTOCOL,
    may: [LEAF, PROTOCOL, /^valibot$/],
    typesAreFree: true,
    wrong: { path: 'src/protocol/logs.ts', source: "import { HomePaths } from '../state/paths.ts';" },
  },
  {
    title: 'lifecycle/ imports only itself, leaf files, protocol/ and vm/driver.ts',
    files: /^src\/lifecycle\//,
    may: [/^src\/lifecycle\//, LEAF, PROTOCOL, /^src\/vm\/driver\.ts$/, EXTERNAL],
    wrong: { path: 'src/supervisor/supervisor.ts', source: "import type { Pool } from '../threads/pool.ts';" },
  },
  {
    title: 'lifecycle/ reaches neither files, processes nor threads by itself',
    files: /^src\/lifecycle\//,
    mustNot: [/^(node:)?(fs|child_process|worker_threads)(\/|$)/],
    wrong: { path: 'src/supervisor/restart-policy.ts', source: "import { readFile } from 'node:fs/promises';" },
  },
  ...[...workerNames].map((name) => ({
    title: `worker ${name} imports only leaf files, protocol/, paths.ts, its side of threads/ and workers/${name}/${
      LOG_FILE_READERS.includes(name) ? ', and log-files/' : ''
    }`,
    files: new RegExp(`^workers/${name}(\\.ts$|/)`),
    may: [
      new RegExp(`^workers/${name}/`),
      LEAF,
      PROTOCOL,
      PATHS,
      ...(name === 'spawner' ? [PROCESS_IDENTITY] : []),
      /^src\/threads\/(worker-side|comlink)\.ts$/,
      ...(LOG_FILE_READERS.includes(name) ? [LOG_FILES] : []),
      EXTERNAL,
    ],
    wrong: { path: `workers/${name}/part.ts`, source: "import { something } from '../another/part.ts';" },
  })),
  {
    title: 'workers/log-files/ imports only itself, leaf files and protocol/, for it is run by several workers',
    files: LOG_FILES,
    may: [LOG_FILES, LEAF, PROTOCOL, EXTERNAL],
    wrong: { path: 'workers/log-files/part.ts', source: "import { Capture } from '../logs/capture.ts';" },
  },
  {
    title: 'src never imports workers/: threads/entry.ts names them by URL',
    files: /^src\//,
    mustNot: [/^workers\//],
    wrong: {
      path: 'src/daemon/daemon.ts',
      source: "const { Sampler } = await import('../workers/metrics/sampler.ts');",
    },
  },
  {
    title:
      'cli/ imports only itself, leaf files, protocol/, config/, paths.ts, folder.ts, package-info.ts and doctor/: ' +
      'the daemon is asked by HTTP',
    files: /^src\/cli\/(?!commands\/(daemon-run|image-request|images|pull)\.ts$)/,
    may: [...CLI_TARGETS, EXTERNAL],
    wrong: {
      path: 'src/cli/commands/start.ts',
      source: "import { Orchestrator } from '../../lifecycle/orchestrator.ts';",
    },
  },
  {
    title: 'the command that becomes the daemon imports daemon.ts besides, and nothing that is behind it',
    files: /^src\/cli\/commands\/daemon-run\.ts$/,
    may: [...CLI_TARGETS, /^src\/daemon\.ts$/, EXTERNAL],
    wrong: { path: 'src/cli/commands/daemon-run.ts', source: "import { Runtime } from '../../runtime.ts';" },
  },
  {
    title: 'the commands on images import images/ and the pool besides: they need no daemon',
    files: /^src\/cli\/commands\/(image-request|images|pull)\.ts$/,
    may: [...CLI_TARGETS, /^src\/images\//, /^src\/threads\/pool\.ts$/, EXTERNAL],
    wrong: { path: 'src/cli/commands/pull.ts', source: "import { Runtime } from '../../runtime.ts';" },
  },
  {
    title: 'src/images/ imports only itself, leaf files, protocol/, paths.ts, folder.ts and the pool',
    files: /^src\/images\//,
    may: [
      /^src\/images\//,
      LEAF,
      PROTOCOL,
      PATHS,
      /^src\/state\/folder\.ts$/,
      /^src\/threads\/pool\.ts$/,
      /^node:(events|fs\/promises|os|path|worker_threads)$/,
      /^valibot$/,
    ],
    wrong: { path: 'src/images/image-jobs.ts', source: "import { request } from 'undici';" },
  },
  {
    title: 'in cli/ only daemon-process.ts starts processes',
    files: /^src\/cli\/(?!daemon-process\.ts$)/,
    mustNot: [/^(node:)?(child_process|worker_threads)$/],
    wrong: { path: 'src/cli/main.ts', source: "import { spawn } from 'node:child_process';" },
  },
  {
    title: 'only threads/comlink.ts imports comlink',
    files: /^(?!src\/threads\/comlink\.ts$)/,
    mustNot: [/^comlink(\/|$)/],
    wrong: { path: 'src/threads/worker-thread.ts', source: "import * as Comlink from 'comlink';" },
  },
];

/** What a file's text must be like. */
interface TextRule {
  readonly title: string;
  readonly holds: (file: SourceFile) => boolean;
  readonly wrong: SourceFile;
}

const MAX_LINES = 300;

const TEXT_RULES: readonly TextRule[] = [
  {
    title: `no file is longer than ${MAX_LINES} lines unless its header says "Long because"`,
    holds: ({ source }) =>
      source.trimEnd().split('\n').length <= MAX_LINES || /^\s*\/\*\*(?:(?!\*\/)[\s\S])*Long because/.test(source),
    wrong: { path: 'src/long.ts', source: `/** A header. */\n${'call();\n'.repeat(MAX_LINES)}// Long because` },
  },
  {
    title: 'console.log is for cli/ alone',
    holds: ({ path, source }) => path.startsWith('src/cli/') || !/\bconsole\s*\.\s*log\b/.test(codeOf(source)),
    wrong: { path: 'workers/logs.ts', source: "console.log('a line');" },
  },
];

const files = [...listSources('src'), ...listSources('workers')].map((path) => ({
  path,
  source: readFileSync(join(root, path), 'utf8'),
}));

for (const rule of IMPORT_RULES) {
  test(rule.title, () => {
    assert.notDeepEqual(breaches(rule, rule.wrong), [], 'the rule does not see what is wrong');
    assert.deepEqual(
      files.flatMap((file) => breaches(rule, file)),
      [],
    );
  });
}

for (const rule of TEXT_RULES) {
  test(rule.title, () => {
    assert.equal(rule.holds(rule.wrong), false, 'the rule does not see what is wrong');
    assert.deepEqual(
      files.filter((file) => !rule.holds(file)).map(({ path }) => path),
      [],
    );
  });
}

test('a type import is a breach like any other, except where types are free', () => {
  const file = { path: 'src/protocol/logs.ts', source: "let port: import('node:worker_threads').MessagePort;" };
  const [leafRule, protocolRule] = IMPORT_RULES as [ImportRule, ImportRule];
  assert.deepEqual(breaches(protocolRule, file), []);
  assert.equal(breaches({ ...leafRule, files: PROTOCOL }, file).length, 1);
});

test('a long file may say why it is long', () => {
  const source = `/**\n * A table.\n * Long because each row is needed.\n */\n${'call();\n'.repeat(MAX_LINES)}`;
  assert.equal(TEXT_RULES[0]!.holds({ path: 'src/long.ts', source }), true);
});

/** The imports of `file` that break `rule`, for people. */
function breaches(rule: ImportRule, { path, source }: SourceFile): string[] {
  if (!rule.files.test(path)) return [];
  return findImports(source)
    .filter(({ typeOnly }) => !(typeOnly && rule.typesAreFree))
    .map((found) => targetOf(path, found))
    .filter((target) => !isAllowed(rule, target))
    .map((target) => `${path} imports ${target}`);
}

function isAllowed({ may, mustNot }: ImportRule, target: Target): boolean {
  const matches = (pattern: RegExp) => pattern.test(target);
  return !mustNot?.some(matches) && (may === undefined || may.some(matches));
}

function targetOf(path: string, { specifier }: Import): Target {
  return specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : specifier;
}

function listSources(dir: string): string[] {
  return readdirSync(join(root, dir), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${dir}/${name}`)
    .sort();
}
