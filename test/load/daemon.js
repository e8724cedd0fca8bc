/** The built daemon of the home in its argument, whose main thread watches its event loop. */
import { runDaemon } from '../../dist/src/daemon/daemon.js';
import { watchLoop } from './loop-delay.js';

process.exitCode = await runDaemon({
  home: process.argv[2],
  settings: { log_level: 'info', log_workers: 1, background: true, leave_running: false },
  hooks: { onServing: () => watchLoop() },
});
process.stdin.destroy();
// What is open still when the daemon has ended gets this long, as in `monocore daemon run`.
setTimeout(() => process.exit(), 50).unref();
