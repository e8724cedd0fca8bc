/**
 * The limits of a VM in a real systemd. Its QEMU runs in a machine that is emulated itself, where no guest boots in time:
 * what is seen here is the process on its way there.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { DaemonUnit } from '../daemon-unit.ts';
import { Machine } from '../machine.ts';
import { chosenRelease } from '../release.ts';
import { stepsOf } from '../steps.ts';

const CONFIG = `
[[service]]
name = "vm"
command = "true"
ram = "128MiB"
cpus = 1
cpu_shares = 512
`;

describe(`a VM of the daemon under ${chosenRelease}`, () => {
  let machine: Machine;
  let unit: DaemonUnit;
  before(async () => {
    machine = await Machine.boot(chosenRelease, ['qemu-system-x86', 'busybox-static']);
    unit = new DaemonUnit(machine);
    await unit.install();
  });
  after(() => machine?.close());
  const step = stepsOf(() => machine);

  it(
    'has a scope with its limits',
    step(async () => {
      await machine.sh(`cat >monocore.toml <<'EOF'\n${CONFIG}\nEOF
      systemd-run --quiet --working-directory=/root --unit=start monocore start -f monocore.toml`);
      const scope = `${unit.slice}/*/monocore-*-vm.scope`;
      await machine.until(`grep -l qemu-system $(sed 's,.*,/proc/&/comm,' ${scope}/cgroup.procs)`);
      const files = ['cpu.weight', 'cpu.max', 'memory.max'].map((file) => `${scope}/${file}`);
      assert.equal(await machine.sh(`cat ${files.join(' ')}`), `50\n100000 100000\n${513 * 2 ** 20}`);
      assert.deepEqual((await unit.status()).vm!.notes, []);
    }),
  );

  it(
    'that needs more memory than its limit ends with that reason',
    step(async () => {
      await machine.sh(
        `systemctl set-property --runtime $(basename ${unit.slice}/*/monocore-*-vm.scope) MemoryMax=40M`,
      );
      await machine.until(`monocore status --json | grep '"reason":"memory-limit"'`);
      assert.match((await unit.status()).vm!.error!, /needed more memory than its limit of 513 MiB/);
      assert.equal(await unit.property('ActiveState'), 'active');
    }),
  );
});
