/** Hangs of the daemon, signals, stops that take long, and hosts that go down, in a real systemd. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { DaemonUnit } from '../daemon-unit.ts';
import { Machine } from '../machine.ts';
import { chosenRelease } from '../release.ts';
import { stepsOf } from '../steps.ts';

/** Ends when a file is there; an hour after a SIGTERM otherwise. */
const SLOW = `
[[service]]
name = "slow"
command = "/bin/sh"
args = ["-c", "trap '' TERM; until [ -e /root/go ]; do sleep 1; done"]
isolation = "none"
stop_timeout = "1h"
`;

describe(`the daemon under ${chosenRelease}`, () => {
  let machine: Machine;
  let unit: DaemonUnit;
  before(async () => {
    machine = await Machine.boot(chosenRelease);
    unit = new DaemonUnit(machine);
    await unit.install();
    await unit.startServices();
  });
  after(() => machine?.close());
  const step = stepsOf(() => machine);

  it(
    'goes on after SIGHUP',
    step(async () => {
      const pid = await unit.property('MainPID');
      await unit.sh('systemctl kill -s HUP --kill-whom=main monocore');
      await unit.assertLimited();
      assert.equal(await unit.property('MainPID'), pid);
    }),
  );

  it(
    'is started again when it hangs, while its services run on',
    step(async () => {
      const before = await unit.running();
      const pid = await unit.property('MainPID');
      await machine.sh(`kill -STOP ${pid}`);
      await machine.until(`[ "$(systemctl show monocore -p NRestarts --value)" -gt 0 ]`);
      await unit.active();
      assert.notEqual(await unit.property('MainPID'), pid);
      assert.match(await machine.sh('journalctl -b -u monocore --no-pager -o cat'), /Watchdog timeout/);
      assert.deepEqual(await unit.running(), before);
      await unit.assertLimited();
    }),
  );

  it(
    'is upgraded while its services run on',
    step(async () => {
      const before = await unit.running();
      const { status, output } = await unit.run('monocore daemon restart');
      assert.equal(status, 2);
      assert.match(output, /monocore daemon stop --leave-running; systemctl start monocore\.service$/m);
      await unit.sh('monocore daemon stop --leave-running');
      await unit.stopped();
      assert.match((await unit.run('monocore stop a')).output, /systemctl start monocore$/m);
      await unit.run('systemctl start monocore');
      await unit.active();
      assert.deepEqual(await unit.running(), before);
      await unit.assertLimited();
      assert.equal(await unit.ended(), '');
    }),
  );

  it(
    'takes longer to stop than systemd waits without a sign of life',
    step(async () => {
      await unit.change('TimeoutStopSec=40s');
      await machine.sh(`systemctl daemon-reload
        mkdir -p slow && cat >slow/monocore.toml <<'EOF'\n${SLOW}\nEOF`);
      await unit.sh('monocore start -f slow/monocore.toml');
      await unit.sh('systemctl stop --no-block monocore');
      await machine.until('[ "$(systemctl is-active monocore)" = deactivating ]');
      const begin = Number(await unit.property('ActiveExitTimestampMonotonic')) / 1e6;
      await machine.until(`[ "$(cut -d. -f1 /proc/uptime)" -gt ${Math.ceil(begin) + 60} ]`);
      assert.equal((await unit.run('systemctl is-active monocore')).output, 'deactivating');
      await machine.sh('touch go');
      await unit.stopped();
      assert.equal(await unit.ended(), 'b a', 'dependents first');
      await machine.sh('rm go');
    }),
  );

  it(
    'stops at once on a second signal',
    step(async () => {
      await unit.run('systemctl start monocore');
      await unit.active();
      await unit.sh('monocore start -f slow/monocore.toml');
      await unit.sh('systemctl stop --no-block monocore');
      await machine.until('[ "$(systemctl is-active monocore)" = deactivating ]');
      await unit.sh('systemctl kill -s TERM --kill-whom=main monocore');
      await unit.stopped();
      assert.deepEqual(await unit.scopes(), {});
    }),
  );

  it(
    'comes back with its services after a reboot, having stopped them in order',
    step(async () => {
      await unit.run('systemctl start monocore');
      await unit.active();
      await unit.sh('monocore remove slow --yes');
      await unit.running();
      await unit.ended();
      await machine.reboot();
      await unit.active();
      await unit.running();
      assert.equal(await unit.ended(), 'b a', 'dependents first');
      assert.match(await machine.sh('cat /root/.monocore/log/a.stdout.log'), /bye\n.* up$/m);
      assert.match(await lastShutdown(), /Deactivated successfully/);
      await unit.assertLimited();
    }),
  );

  it(
    'with --leave-running lets services run on until the host goes down, and does not hold that up',
    step(async () => {
      await unit.install('--leave-running');
      await unit.run('systemctl restart monocore');
      await unit.active();
      const before = await unit.running();
      await unit.run('systemctl restart monocore');
      await unit.active();
      assert.deepEqual(await unit.running(), before);
      await unit.ended();
      await machine.reboot();
      assert.deepEqual((await unit.ended()).split(' ').sort(), ['a', 'b'], 'systemd has sent them SIGTERM');
      assert.doesNotMatch(await machine.sh('journalctl -b -1 --no-pager -o cat'), /timed out/i);
      await unit.active();
      await unit.running();
      await unit.assertLimited();
    }),
  );

  const lastShutdown = () => machine.sh('journalctl -b -1 -u monocore --no-pager -o cat');
});
