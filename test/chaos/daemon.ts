/** A daemon of the home in its argument, with fake machines when told; a line on stdin names a thread to crash. */
import { createInterface } from 'node:readline';
import { runDaemon } from '../../src/daemon/daemon.ts';
import { FAKE_BACKENDS } from '../helpers/fakes/fake-machine/backend.ts';

/** Time for handles that are still open when the daemon has ended, as in `monocore daemon run`. */
const EXIT_GRACE_MS = 50;

const [home, fake] = process.argv.slice(2);
if (home === undefined) throw new Error('usage: daemon.ts HOME [fake]');

const exitCode = await runDaemon({
  home,
  settings: { log_level: 'info', log_workers: 1, background: true, leave_running: false },
  ...(fake && { backends: FAKE_BACKENDS }),
  hooks: {
    onServing(crash) {
      createInterface({ input: process.stdin }).on('line', (line) => void crash(line));
    },
  },
});
process.stdin.destroy();
process.exitCode = exitCode;
setTimeout(() => process.exit(), EXIT_GRACE_MS).unref();
