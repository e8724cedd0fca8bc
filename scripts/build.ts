/**
 * Builds `dist/`: compiles TypeScript, adds the files of other kinds and the man pages, and marks the command executable.
 * An older `dist/` is removed first, so that none of its files is ever published. With `--if-changed` a build that is
 * newer than its inputs is left as it is.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readdirSync, statSync } from 'node:fs';
import { chmod, cp, mkdir, rm, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

/** Folders with files that are read or executed at run time rather than imported. */
const ASSET_DIRS = [
  'src/manual',
  'src/lib/file-lock',
  'src/vm/guest',
  'src/vm/process/shim',
  'src/vm/qemu/jail',
  'src/vm/qemu/tsc',
  'workers/spawner/launch',
];

/** Files and folders that the build depends on. A folder counts, too: it is newer when a file in it was deleted. */
const INPUTS = [
  'src',
  'workers',
  'scripts/build.ts',
  'scripts/man',
  'scripts/man.ts',
  'tsconfig.json',
  'package.json',
  'package-lock.json',
];
/** Executable from the last step on, and as old as the begin of the build. */
const COMMAND = 'dist/src/cli/bin.js';

if (process.argv.includes('--if-changed') && isBuilt()) process.exit();
const begin = new Date();
const { manPages } = await import('./man.ts');
await rm('dist', { recursive: true, force: true });

const tsc = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'], {
  stdio: 'inherit',
});
if (tsc.status !== 0) {
  console.error(`build failed: tsc ended with ${tsc.error?.message ?? tsc.signal ?? `exit code ${tsc.status}`}`);
  process.exit(1);
}

for (const dir of ASSET_DIRS) {
  await cp(dir, `dist/${dir}`, { recursive: true, filter: (source) => !/\.(ts|c|h)$/.test(source) });
}
for (const [path, source] of await manPages()) {
  await mkdir(dirname(`dist/${path}`), { recursive: true });
  await writeFile(`dist/${path}`, source);
}
await utimes(COMMAND, begin, begin);
await chmod(COMMAND, 0o755);

/** True when the last build ended and none of its inputs is newer. */
function isBuilt(): boolean {
  try {
    accessSync(COMMAND, constants.X_OK);
  } catch {
    return false;
  }
  const builtMs = statSync(COMMAND).mtimeMs;
  return INPUTS.every((path) => newestMs(path) < builtMs);
}

/** Time of the last change of a file, or of a folder and all below it. */
function newestMs(path: string): number {
  const own = statSync(path);
  if (!own.isDirectory()) return own.mtimeMs;
  return Math.max(own.mtimeMs, ...readdirSync(path).map((name) => newestMs(join(path, name))));
}
