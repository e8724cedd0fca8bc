/** The unit of a user in a real systemd, and a daemon in the background of the user. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { DaemonUnit } from '../daemon-unit.ts';
import { Machine } from '../machine.ts';
import { chosenRelease } from '../release.ts';
import { stepsOf } from '../steps.ts';

describe(`the unit of a user under ${chosenRelease}`, () => {
  let machine: Machine;
  let unit: DaemonUnit;
  before(async () => {
    machine = await Machine.boot(chosenRelease);
    await machine.sh('useradd -m -s /bin/bash mc && loginctl enable-linger mc');
    await machine.until('[ -S /run/user/$(id -u mc)/systemd/private ]');
    unit = new DaemonUnit(machine, 'mc');
  });
  after(() => machine?.close());
  const step = stepsOf(() => machine);

  it(
    'starts, and gives each service a scope of the manager of the user',
    step(async () => {
      await unit.install();
      await unit.startServices();
      await unit.assertLimited();
    }),
  );

  it(
    'outlives a crash of the daemon with its limits',
    step(async () => {
      const before = await unit.status();
      await unit.crash();
      const { a, b } = await unit.status();
      assert.deepEqual([a!.pid, b!.pid], [before.a!.pid, before.b!.pid]);
      await unit.assertLimited();
    }),
  );

  it(
    'ends with the manager of the user, and comes back with it',
    step(async () => {
      await machine.sh('systemctl stop user@$(id -u mc).service');
      assert.equal(await machine.sh('pgrep -u mc || echo none'), 'none');
      assert.equal(await unit.ended(), 'b a', 'dependents first');
      assert.match(await machine.sh('tail -n 1 /home/mc/.monocore/log/b.stdout.log'), /bye$/);
      await machine.sh('systemctl start user@$(id -u mc).service');
      await unit.active();
      await unit.assertLimited();
    }),
  );
});
