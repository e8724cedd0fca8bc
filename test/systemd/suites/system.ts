/** The unit of root in a real systemd: each promise of the manual's page on the daemon. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { DaemonUnit } from '../daemon-unit.ts';
import { Machine } from '../machine.ts';
import { chosenRelease } from '../release.ts';
import { stepsOf } from '../steps.ts';

describe(`the unit of root under ${chosenRelease}`, () => {
  let machine: Machine;
  let unit: DaemonUnit;
  before(async () => {
    machine = await Machine.boot(chosenRelease);
    unit = new DaemonUnit(machine);
  });
  after(() => machine?.close());
  const step = stepsOf(() => machine);

  it(
    'counts as started when the daemon answers',
    step(async () => {
      await unit.install();
      assert.equal(await unit.property('StatusText'), '0 services, 0 running');
      assert.equal(await machine.sh('systemd-analyze verify monocore.service'), '');
    }),
  );

  it(
    'gives each service a scope with its limits',
    step(async () => {
      await unit.startServices();
      await unit.assertLimited();
      await machine.sh('systemctl daemon-reload');
      assert.doesNotMatch(await machine.sh('journalctl -b --no-pager -o cat'), /monocore.*ignoring/);
      const doctor = JSON.parse((await machine.run('monocore doctor --json')).output);
      const check = doctor.checks.find(({ name }: { name: string }) => name === 'cgroups');
      assert.equal(check.finding, 'cpu and memory by a scope of systemd for each service');
      const { a, b } = await unit.status();
      assert.ok(a!.metrics.memory_usage! > 50e6, `${a!.metrics.memory_usage} bytes with all processes`);
      assert.ok(b!.metrics.memory_usage! < 20e6);
    }),
  );

  it(
    'outlives a crash of the daemon with its limits, and a command in between waits for systemd',
    step(async () => {
      const before = await unit.status();
      const restarts = Number(await unit.property('NRestarts'));
      await machine.sh(`kill -9 ${await unit.property('MainPID')}`);
      const between = await unit.status();
      assert.deepEqual(between.a!.notes, [], 'a daemon has answered');
      await unit.active();
      assert.ok(Number(await unit.property('NRestarts')) > restarts);
      for (const name of ['a', 'b']) assert.equal(between[name]!.pid, before[name]!.pid);
      await unit.assertLimited();
      await unit.sh('monocore restart a');
      await unit.assertLimited();
      assert.equal(await machine.sh('pgrep -cx -f "sleep 4242"'), '1', 'the first one ended with its service');
    }),
  );

  it(
    'stops its services in order, says so, and leaves nothing',
    step(async () => {
      await unit.sh('systemctl stop monocore');
      assert.equal(await unit.property('StatusText'), 'ended with all services');
      assert.equal(await unit.property('Result'), 'success');
      assert.deepEqual(await unit.scopes(), {});
      assert.equal(await unit.ended(), 'a b a', 'a by its restart, then dependents first');
      assert.equal(await machine.sh('pgrep -f "sleep 424" || echo none'), 'none');
    }),
  );

  it(
    'is started by no command while it is stopped; questions are answered all the same',
    step(async () => {
      const { output } = await unit.run('monocore status');
      assert.match(output, /^monocore: note: the daemon is stopped; to start it: systemctl start monocore$/m);
      assert.match(output, /^a .* exited \(0\)/m);
      assert.match(await unit.sh('monocore logs b'), /bye$/);
      assert.match(await unit.sh('monocore start --dry-run'), /^start +a$/m);
      const { status, output: refusal } = await unit.run('monocore restart b');
      assert.equal(status, 3);
      assert.match(refusal, /the daemon is stopped\n +to start it: systemctl start monocore$/);
      assert.equal(await machine.sh('pgrep -f "daemon run" || echo none'), 'none');
    }),
  );

  it(
    'takes over from a daemon in the background, whose services run on in their scopes',
    step(async () => {
      const run = 'monocore daemon run --background >/dev/null 2>&1';
      await machine.until(`monocore daemon status || { pgrep -f "daemon run" || ${run} & false; }`);
      await unit.startServices();
      const before = await unit.status();
      await unit.run('systemctl start monocore');
      await unit.active();
      const { a, b } = await unit.status();
      assert.deepEqual([a!.pid, b!.pid], [before.a!.pid, before.b!.pid]);
      await unit.assertLimited();
    }),
  );
});
