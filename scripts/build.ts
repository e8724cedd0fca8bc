/**
 * Builds `dist/`: compiles TypeScript, adds the files of other kinds and the man pages, and marks the command executable.
 * An older `dist/` is removed first, so that none of its files is ever published.
 */
import { spawnSync } from 'node:child_process';
import { chmod, cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { manPages } from './man.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

/** Folders with files that are read or executed at run time rather than imported. */
const ASSET_DIRS = ['src/manual', 'src/vm/guest', 'src/vm/process/shim', 'workers/jobs/guest-image/run-as'];

await rm('dist', { recursive: true, force: true });

const tsc = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'], {
  stdio: 'inherit',
});
if (tsc.status !== 0) {
  console.error(`build failed: tsc ended with ${tsc.error?.message ?? tsc.signal ?? `exit code ${tsc.status}`}`);
  process.exit(1);
}

for (const dir of ASSET_DIRS) {
  await cp(dir, `dist/${dir}`, { recursive: true, filter: (source) => !/\.(ts|c)$/.test(source) });
}
for (const [path, source] of await manPages()) {
  await mkdir(dirname(`dist/${path}`), { recursive: true });
  await writeFile(`dist/${path}`, source);
}
await chmod('dist/src/cli/bin.js', 0o755);
