/** Rules of the house: who may import whom, how full a folder may be, and how a comment begins. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { codeOf, findImports } from './helpers/imports.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** A source file; `path` is relative to the checkout: `src/cli/main.ts`. */
interface SourceFile {
  readonly path: string;
  readonly source: string;
}

/**
 * Rooms that each room may import besides itself. A room is a folder of `src` or, below `workers`, an entry with its
 * folder. Every room may import `lib` and `protocol`, and `src/state/paths.ts`, which names the files of a home.
 */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  'src/lib': [],
  'src/protocol': [],
  'src/threads': [],
  'src/config': [],
  'src/vm': [],
  'src/supervisor': ['src/vm'],
  // Differences between services are told by the keys of the config.
  'src/orchestrator': ['src/supervisor', 'src/config'],
  // The main thread's half of each subject keeps the interface that a supervisor asks for.
  'src/images': ['src/threads', 'src/state'],
  'src/logs': ['src/threads', 'src/supervisor'],
  'src/metrics': ['src/threads', 'src/supervisor'],
  'src/network': ['src/threads', 'src/supervisor'],
  'src/spawner': ['src/threads', 'src/vm'],
  'src/state': ['src/threads', 'src/supervisor'],
  'src/doctor': ['src/threads', 'src/state', 'src/vm'],
  // Pages that are rendered from the tables of the program.
  'src/manual': ['src/supervisor'],
  'src/daemon': [
    'src/threads',
    'src/images',
    'src/logs',
    'src/metrics',
    'src/network',
    'src/spawner',
    'src/state',
    'src/vm',
    'src/supervisor',
    'src/orchestrator',
  ],
  'src/cli': [
    'src/manual',
    'src/config',
    'src/doctor',
    'src/state',
    'src/images',
    'src/logs',
    'src/threads',
    'src/daemon',
  ],
  'src/index.ts': ['src/config', 'src/daemon', 'src/orchestrator', 'src/supervisor', 'src/state'],
  'workers/api': ['src/threads'],
  'workers/images': ['src/threads'],
  'workers/jobs': ['src/threads', 'workers/log-files'],
  'workers/log-files': [],
  'workers/logs': ['src/threads', 'workers/log-files'],
  'workers/metrics': ['src/threads'],
  'workers/network': ['src/threads'],
  'workers/spawner': ['src/threads'],
  'workers/state': ['src/threads'],
};
const EVERYBODY = ['src/lib', 'src/protocol'];
const PATHS = 'src/state/paths.ts';
/** Rooms below everything: not even {@link EVERYBODY} is theirs to import. */
const FOUNDATIONS: Readonly<Record<string, readonly string[]>> = { 'src/lib': [], 'src/protocol': ['src/lib'] };

/** Imports that a file outside of `keepers` must not have, whatever its room. */
interface Reservation {
  readonly title: string;
  /** Files that the rule is about. */
  readonly within: RegExp;
  readonly target: RegExp;
  readonly keepers: RegExp;
  /** A file that breaks the rule, to see the rule at work. */
  readonly wrong: SourceFile;
}

const RESERVATIONS: readonly Reservation[] = [
  {
    title: 'only threads/rpc.ts imports comlink: it repairs what comlink does with errors and dead workers',
    within: /./,
    target: /^comlink(\/|$)/,
    keepers: /^src\/threads\/rpc\.ts$/,
    wrong: { path: 'src/threads/worker-thread.ts', source: "import * as Comlink from 'comlink';" },
  },
  {
    title: 'the lifecycle reaches neither files, processes nor threads by itself',
    within: /^src\/(supervisor|orchestrator)\//,
    target: /^(node:)?(fs|child_process|worker_threads)(\/|$)/,
    keepers: /^$/,
    wrong: { path: 'src/supervisor/restart-policy.ts', source: "import { readFile } from 'node:fs/promises';" },
  },
  {
    title: 'the lifecycle knows a back end only by vm/backend.ts',
    within: /^src\/(supervisor|orchestrator)\//,
    target: /^src\/vm\/(?!backend\.ts$)/,
    keepers: /^$/,
    wrong: { path: 'src/supervisor/vm-session.ts', source: "import { Qmp } from '../vm/qemu/qmp.ts';" },
  },
  {
    title: 'the command becomes the daemon in one place, and starts only daemons, pagers and the set-up script',
    within: /^src\/cli\//,
    target: /^(src\/daemon\/|(node:)?(child_process|worker_threads)$)/,
    keepers: /^src\/cli\/(daemon\/process|render\/pager|commands\/(daemon\/run|setup))\.ts$/,
    wrong: { path: 'src/cli/commands/start.ts', source: "import { Runtime } from '../../daemon/daemon.ts';" },
  },
];

/** Rule on the text of a file. */
interface TextRule {
  readonly title: string;
  readonly holds: (file: SourceFile) => boolean;
  readonly wrong: SourceFile;
}

const MAX_LINES = 300;
/** First words of comments that say what a reader has to guess; a noun phrase or an imperative says the thing itself. */
const FIRST_WORDS = /\/\*\*[\s*]*(What|How|Whether|Who|One|Nothing|All)\b/;

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
  {
    title: 'a doc comment begins with a noun phrase or an imperative',
    holds: ({ source }) => !FIRST_WORDS.test(source),
    wrong: { path: 'src/lib/units.ts', source: '/** What a size is. */' },
  },
  {
    title: 'an entry of workers/ only opens its folder: at most 30 lines',
    holds: ({ path, source }) => !/^workers\/[^/]+$/.test(path) || source.trimEnd().split('\n').length <= 30,
    wrong: { path: 'workers/logs.ts', source: 'call();\n'.repeat(31) },
  },
];

const MAX_FILES_IN_FOLDER = 16;

const paths = [...listSources('src'), ...listSources('workers')];
const files = paths.map((path): SourceFile => ({ path, source: readFileSync(join(root, path), 'utf8') }));
const imports = new Map(files.map((file) => [file.path, targetsOf(file)]));

test('every file lies in a room that has rules', () => {
  assert.deepEqual([...new Set(paths.map(roomOf))].filter((room) => ROOMS[room] === undefined).sort(), []);
});

for (const room of Object.keys(ROOMS)) {
  const guests = guestsOf(room);
  test(`${room} imports ${guests.length === 0 ? 'only itself' : `only itself and ${guests.join(', ')}`}`, () => {
    const breaches = paths.filter((path) => roomOf(path) === room).flatMap((path) => strangersIn(path, room));
    assert.deepEqual(breaches, []);
  });
}

test('a room does not see into a room that its rule does not name', () => {
  const source = "import type { Capture } from '../../workers/logs/capture/capture.ts';";
  const targets = targetsOf({ path: 'src/metrics/metrics-thread.ts', source });
  assert.deepEqual(targets.filter((target) => !mayImport('src/metrics', target)).length, 1);
});

for (const rule of RESERVATIONS) {
  test(rule.title, () => {
    assert.notDeepEqual(taken(rule, rule.wrong.path, targetsOf(rule.wrong)), [], 'the rule does not see what is wrong');
    assert.deepEqual(
      paths.flatMap((path) => taken(rule, path, imports.get(path)!)),
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

test(`no folder has more than ${MAX_FILES_IN_FOLDER} files side by side`, () => {
  const folders = groupByFolder(paths);
  assert.deepEqual(
    [...folders].filter(([, count]) => count > MAX_FILES_IN_FOLDER),
    [],
  );
});

test('files import each other without a circle', () => {
  assert.deepEqual(
    findCircle(
      new Map([
        ['a', ['b']],
        ['b', ['a']],
      ]),
    ),
    ['a', 'b', 'a'],
  );
  assert.equal(findCircle(imports), null);
});

test('a long file may say why it is long', () => {
  const source = `/**\n * A table.\n * Long because each row is needed.\n */\n${'call();\n'.repeat(MAX_LINES)}`;
  assert.equal(TEXT_RULES[0]!.holds({ path: 'src/long.ts', source }), true);
});

/** Room of a path: `src/cli`, `workers/logs` for the entry and the folder alike, `src/index.ts` for itself. */
function roomOf(path: string): string {
  const [top, name = ''] = path.split('/');
  return `${top}/${top === 'workers' ? name.replace(/\.ts$/, '') : name}`;
}

function guestsOf(room: string): readonly string[] {
  return FOUNDATIONS[room] ?? [...EVERYBODY, ...ROOMS[room]!];
}

function mayImport(room: string, target: string): boolean {
  if (!/^(src|workers|test|scripts)\//.test(target)) return true;
  return roomOf(target) === room || guestsOf(room).includes(roomOf(target)) || (target === PATHS && !FOUNDATIONS[room]);
}

/** Imports of `path` that its room may not have, for people. */
function strangersIn(path: string, room: string): string[] {
  return imports
    .get(path)!
    .filter((target) => !mayImport(room, target))
    .map((target) => `${path} imports ${target}`);
}

/** Imports of `path` that belong to others by `rule`, for people. */
function taken(rule: Reservation, path: string, targets: readonly string[]): string[] {
  if (!rule.within.test(path) || rule.keepers.test(path)) return [];
  return targets.filter((target) => rule.target.test(target)).map((target) => `${path} imports ${target}`);
}

/** Paths of the files, and names of the packages and Node modules, that a file imports; types count. */
function targetsOf({ path, source }: SourceFile): string[] {
  return findImports(source).map(({ specifier }) =>
    specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : specifier,
  );
}

function groupByFolder(all: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const folder of all.map(posix.dirname)) counts.set(folder, (counts.get(folder) ?? 0) + 1);
  return counts;
}

/** The first circle found, from a file back to itself; null where there is none. */
function findCircle(graph: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): string[] | null => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (done.has(path)) return null;
    for (const target of graph.get(path) ?? []) {
      const circle = visit(target, [...trail, path]);
      if (circle !== null) return circle;
    }
    done.add(path);
    return null;
  };
  for (const path of graph.keys()) {
    const circle = visit(path, []);
    if (circle !== null) return circle;
  }
  return null;
}

function listSources(dir: string): string[] {
  return readdirSync(join(root, dir), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${dir}/${name}`)
    .sort();
}
