/** Hangs of the daemon, signals, and hosts that go down, in a real systemd. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { DaemonUnit } from '../daemon-unit.ts';
import { Machine } from '../machine.ts';
import { chosenRelease } from '../release.ts';

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

  it('goes on after SIGHUP', async () => {
    const pid = await unit.property('MainPID');
    await unit.sh('systemctl kill -s HUP --kill-whom=main monocore');
    await unit.assertLimited();
    assert.equal(await unit.property('MainPID'), pid);
  });

  it('is started again when it hangs, while its services run on', async () => {
    const before = await unit.status();
    const pid = await unit.property('MainPID');
    await machine.sh(`kill -STOP ${pid}`);
    await machine.until(`[ "$(systemctl show monocore -p MainPID --value)" != ${pid} ]`);
    await unit.active();
    assert.equal((await unit.property('NRestarts').then(Number)) > 0, true);
    assert.equal((await unit.status()).a!.pid, before.a!.pid);
    await unit.assertLimited();
  });

  it('comes back with its services after a reboot, having stopped them in order', async () => {
    await machine.reboot();
    await unit.active();
    await machine.until('monocore status --json | grep -c \'"status":"Started"\'');
    assert.match(await machine.sh('cat /root/.monocore/log/a.stdout.*.log'), /bye\n.* up$/m);
    const journal = await machine.sh('journalctl -b -1 -u monocore --no-pager -o cat');
    assert.match(journal, /Deactivated successfully/);
  });
});
