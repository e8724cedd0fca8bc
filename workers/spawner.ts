/**
 * The spawner: a process that starts all others. A fork copies the page tables of the process that does it, and stops its
 * thread until the child runs its program: 10 ms and more for a daemon with its threads on a busy host, a tenth of that
 * for a process that does nothing else. It ends with the daemon; what it started runs on.
 */

import { EventLoopBatch } from '../src/lib/event-loop-batch.ts';
import type { SpawnCommand, SpawnEvent } from '../src/protocol/spawner.ts';
import { spawnChild } from './spawner/child.ts';

const daemonPid = process.ppid;

// Whoever ends the daemon and all that is with it ends the daemon, too, and this follows.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
process.on('disconnect', () => process.exit());
const events = new EventLoopBatch<SpawnEvent>((batch) => {
  if (process.connected) process.send!(batch);
});
process.on('message', (commands: SpawnCommand[]) => {
  for (const command of commands) {
    // What a daemon that died had still asked for would run beside what the next one starts.
    if (process.ppid !== daemonPid) process.exit();
    spawnChild(command, (event) => events.add(event));
  }
});
