/**
 * Spawner: a process that starts all others. A fork copies the page tables of its process and blocks its thread until the
 * child runs its program: 10 ms and more for a daemon with its threads on a busy host, a tenth of that for a process that
 * does nothing else. It ends with the daemon; its children run on.
 */
import { EventLoopBatch } from '../src/lib/event-loop-batch.ts';
import type { SpawnCommand, SpawnEvent } from '../src/protocol/spawner.ts';
import { spawnChild } from './spawner/child.ts';

const daemonPid = process.ppid;

// A signal to the daemon's whole session ends the daemon, too, and the spawner ends with that.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
process.on('disconnect', () => process.exit());
const events = new EventLoopBatch<SpawnEvent>((batch) => {
  if (process.connected) process.send!(batch);
});
process.on('message', (commands: SpawnCommand[]) => {
  for (const command of commands) {
    // A process that a dead daemon had asked for would run beside the one that the next daemon starts.
    if (process.ppid !== daemonPid) process.exit();
    spawnChild(command, daemonPid, (event) => events.add(event));
  }
});
