/**
 * Runs the tests under other versions of Node: `npm run test:node -- 22 24 26`, the unit tests, or with `--all` every
 * test. The versions come from npm's packages `node-linux-<architecture>` and are kept in the home's `node/`.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { resolveHome } from '../../src/state/paths.ts';

const { values, positionals: versions } = parseArgs({
  options: { all: { type: 'boolean', default: false } },
  allowPositionals: true,
});
if (versions.length === 0 || versions.some((version) => !/^\d+(\.\d+){0,2}$/.test(version))) {
  console.error('usage: npm run test:node -- [--all] VERSION...');
  process.exit(2);
}

const loader = new URL('use-build.js', import.meta.url).href;
const script = fileURLToPath(new URL('../test.ts', import.meta.url));
const failed = versions.filter((version) => {
  const node = installNode(version);
  const name = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
  console.log(`Node ${name}`);
  const { status } = spawnSync(
    node,
    ['--import', 'tsx', '--import', loader, script, ...(values.all ? [] : ['--unit'])],
    {
      stdio: 'inherit',
      // Programs whose first line names node must find this one.
      env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` },
    },
  );
  console.log(`Node ${name}: ${status === 0 ? 'passed' : 'failed'}`);
  return status !== 0;
});
process.exitCode = failed.length > 0 ? 1 : 0;

/** Installs the newest release of a version, unless it is there, and returns the path of its program. */
function installNode(version: string): string {
  const name = `node-linux-${process.arch}`;
  const folder = join(resolveHome(undefined), 'node', version);
  mkdirSync(folder, { recursive: true });
  const options = ['--prefix', folder, '--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error'];
  execFileSync('npm', ['install', ...options, `${name}@${version}`], { stdio: ['ignore', 'ignore', 'inherit'] });
  return join(folder, 'node_modules', name, 'bin', 'node');
}
