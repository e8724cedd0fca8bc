/** A config that changes while its services run: planned, applied, watched, put back. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { eventually } from '../../helpers/eventually.ts';
import { makeTestHome } from '../../helpers/home.ts';
import { spawnCli } from '../../helpers/processes/run-cli.ts';

function render(commands: Readonly<Record<string, string>>): string {
  return Object.entries(commands)
    .map(
      ([name, script]) =>
        `[[service]]\nname = "${name}"\nisolation = "none"\ncommand = "/bin/sh"\nargs = ["-c", ${JSON.stringify(script)}]\n`,
    )
    .join('\n');
}

const STAY = 'echo up; exec sleep 1000';

it('plans, applies and watches changes of the config, and puts back what fails', { timeout: 120_000 }, async (t) => {
  const home = await makeTestHome(t);
  const file = join(home.dir, 'monocore.toml');
  const write = (commands: Readonly<Record<string, string>>) => writeFileSync(file, render(commands));
  const plan = async (...args: string[]) => (await home.ok('start', '-f', file, '--dry-run', ...args)).split('\n');

  write({ web: STAY, worker: STAY });
  assert.deepEqual(await plan(), ['create  web', 'create  worker', '']);
  await home.ok('start', '-f', file);
  const { pid: webPid } = await home.status('web');
  const { pid: workerPid } = await home.status('worker');

  write({ web: STAY, worker: `echo second; ${STAY}`, late: STAY });
  assert.deepEqual(await plan(), ['keep     web', 'restart  worker  args changed', 'create   late', '']);
  await home.ok('start', '-f', file);
  assert.equal((await home.status('web')).pid, webPid);
  assert.notEqual((await home.status('worker')).pid, workerPid);

  const printed = '[service.healthcheck]\nlog_line = "second"\ninterval = "100ms"\n';
  const broken = '[[service]]\nname = "broken"\nisolation = "none"\ncommand = "/nope"\n';
  // What is put back may not have come to print.
  const afterWeb = 'depends_on = [{ service = "web", condition = "healthy" }]\n';
  writeFileSync(file, `${render({ web: `echo second; ${STAY}` })}${printed}${broken}${afterWeb}`);
  const failed = await home.run(['start', '-f', file, '--atomic']);
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /web could not be started: restored, because broken failed/);
  assert.match(failed.stderr, /broken could not be started: .*\/nope/);
  await home.reached('web', 'Started');
  assert.deepEqual(home.lines('web', 'stdout'), ['up', 'second', 'up', 'up'], 'it ran, and runs as it did before');
  await home.ok('remove', '--yes', 'broken');

  write({ web: STAY, worker: `echo second; ${STAY}` });
  const watching = spawnCli(['--home', home.dir, 'start', '-f', file, '--watch', '--prune']);
  let said = '';
  for (const stream of [watching.stdout, watching.stderr]) stream.on('data', (text) => (said += text));
  const saying = (text: string) =>
    eventually(`the watch to say ${text}`, () => said.includes(text)).catch((error: unknown) => {
      throw new Error(`${String(error)}; it said:\n${said}`);
    });
  await saying('watching');
  assert.equal((await home.status('late')).status, 'Stopped');
  writeFileSync(file, '[[service]\n');
  await saying('has 1 problem');
  assert.equal((await home.status('web')).status, 'Started');
  write({ web: STAY, other: STAY });
  await saying('other: running');
  await home.reached('worker', 'Stopped');
  watching.kill('SIGINT');
  const [code] = await once(watching, 'close');
  assert.equal(code, 130);
  assert.match(said, /the services keep running/);
  assert.deepEqual((await home.status('other')).status, 'Started');
});
