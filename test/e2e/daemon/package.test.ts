/** The package as users get it: from `npx` in the checkout, and installed from the packed tarball. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeTempDir } from '../../helpers/temp.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

it('runs as `npx monocore` in the checkout', () => {
  const output = execFileSync('npx', ['monocore', '--version'], { cwd: root, encoding: 'utf8' });
  assert.equal(output.trim(), version);
});

it('installs from its tarball, with its command, its workers and its library', async (t) => {
  const dir = await makeTempDir(t);
  const [{ filename }] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', dir], {
      cwd: root,
      encoding: 'utf8',
    }),
  ) as [{ filename: string }];
  writeFileSync(join(dir, 'package.json'), '{ "private": true, "type": "module" }');
  execFileSync('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', join(dir, filename)], { cwd: dir });
  writeFileSync(
    join(dir, 'monocore.toml'),
    '[[service]]\nname = "one"\nisolation = "none"\ncommand = "echo"\nargs = ["hi"]\n',
  );
  const home = join(dir, 'home');
  const run = (...args: string[]) =>
    execFileSync('npx', ['monocore', ...args], {
      cwd: dir,
      encoding: 'utf8',
      env: { ...process.env, MONOCORE_HOME: home },
    });
  t.after(() =>
    spawnSync('npx', ['monocore', 'daemon', 'stop'], { cwd: dir, env: { ...process.env, MONOCORE_HOME: home } }),
  );

  assert.equal(run('--version').trim(), version);
  run('start');
  assert.match(run('logs'), /INFO \[one\] hi\n/);
  run('daemon', 'stop');

  const script = `import { Supervisor, Orchestrator, loadConfig } from 'monocore';
    const { services } = await loadConfig('monocore.toml');
    console.log(typeof Supervisor, typeof Orchestrator, services[0].name);`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd: dir, encoding: 'utf8' });
  assert.equal(output.trim(), 'function function one');
});
