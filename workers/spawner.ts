/**
 * Spawner: a process that starts all others. A fork copies the page tables of its process and blocks its thread until
 * the child executes its program: 10 ms and more for a daemon with its threads on a busy host, a tenth of that for a
 * process that does nothing else. It ends with the daemon; its children keep running.
 */
import { EventLoopBatch } from '../src/lib/event-loop-batch.ts';
import type { SpawnCommand, SpawnEvent } from '../src/protocol/spawner.ts';
import { spawnChild } from './spawner/child.ts';

const daemonPid = process.ppid;

// A signal to the daemon's whole session also ends the daemon, and the spawner ends after it.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
process.on('disconnect', () => process.exit());
const events = new EventLoopBatch<SpawnEvent>((batch) => {
  // The daemon may end before its end is noticed here; without a callback that would be an uncaught error.
  if (process.connected) process.send!(batch, () => {});
});
process.on('message', (commands: SpawnCommand[]) => {
  for (const command of commands) {
    // A process requested by a dead daemon would run beside the one that the next daemon starts.
    if (process.ppid !== daemonPid) process.exit();
    spawnChild(command, daemonPid, (event) => events.add(event));
  }
});
