/** The demo that the quickstart starts, through the built command: four microVMs in two groups. */
import assert from 'node:assert/strict';
import { readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually } from '../../helpers/eventually.ts';
import { makeTestHome } from '../../helpers/home.ts';
import { findProcesses } from '../../helpers/processes/command-lines.ts';

const demo = fileURLToPath(new URL('../../../scripts/demo.toml', import.meta.url));

it('starts, shows, serves, logs and stops the demo', async (t) => {
  const home = await makeTestHome(t);
  const started = await home.run(['start', '-f', demo]);
  assert.equal(started.code, 0, started.stderr);
  for (const name of ['counter', 'site', 'report', 'client'])
    assert.match(started.stdout + started.stderr, new RegExp(name));

  const report = await home.reached('report', 'Stopped');
  assert.equal(report.exit_code, 3);
  assert.equal(report.pid, null);

  const site = await home.status('site');
  assert.equal(site.isolation, 'vm');
  for (const name of ['counter', 'site', 'client']) {
    const { status, pid } = await home.status(name);
    assert.equal(status, 'Started');
    assert.match(readlinkSync(`/proc/${pid}/exe`), /qemu-system/);
  }
  const answer = await eventually('the site to answer', () => fetch(site.addresses[0]!).catch(() => null));
  assert.match(await answer.text(), /Hello from a microVM/);

  // The group's variable, and two services that do not share a file.
  assert.ok(home.lines('counter', 'stdout').includes('hello from the demo group'));
  assert.deepEqual(home.lines('report', 'stderr'), ['moon phase: cannot be measured']);
  assert.match(home.lines('report', 'stdout').join('\n'), /^disk: fine\nmemory: /);
  const logged = await home.ok('logs', 'report');
  assert.match(logged, /INFO \[report\] disk: fine\n/);
  assert.match(logged, /ERROR \[report\] moon phase: cannot be measured\n/);

  const table = await home.ok('status');
  assert.match(table, /Service.*Group.*vCPUs.*RAM.*VM PID.*Status.*IP.*CPU.*Memory.*Uptime.*Restarts.*Ports/);
  assert.match(table, /site.*127\.0\.0\.\d+:8080->80/);

  assert.equal(statSync(join(home.dir, 'run', 'site')).mode & 0o777, 0o700);
  assert.equal(statSync(join(home.dir, 'daemon.sock')).mode & 0o777, 0o600);
  assert.equal(JSON.parse(readFileSync(join(home.dir, 'run', 'site.json'), 'utf8')).status, 'Started');

  await home.ok('stop', '-f', demo);
  assert.deepEqual(
    findProcesses(home.dir).filter(({ commandLine }) => commandLine.includes('qemu-system')),
    [],
  );
  const counter = await home.status('counter');
  assert.equal(counter.status, 'Stopped');
  assert.equal(counter.exit_code, 0);
  assert.match(home.lines('counter', 'stdout').at(-1)!, /^stopped at \d+$/);
  await home.ok('remove', '--yes', '-f', demo);
  assert.deepEqual(JSON.parse(await home.ok('status', '--json')), { services: [] });
});
