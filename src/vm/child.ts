/** Starting a process that outlives the daemon: its own session, no descriptor but those given. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { errorText, MonocoreError } from '../errors.ts';
import type { ProcessIdentity } from './driver.ts';
import { forkTurn } from './fork-turn.ts';
import { identify } from './process-identity.ts';

/** A child and who it is. */
export interface Child {
  readonly process: ChildProcess;
  readonly identity: ProcessIdentity;
}

/**
 * Spawns `program` as the leader of a new session and process group. Main thread.
 *
 * @param stdio descriptors by their number in the child, `ignore` for /dev/null
 * @throws MonocoreError `StartFailed` when the program cannot be executed; no process is left then
 */
export async function spawnDetached(
  program: string,
  args: readonly string[],
  stdio: (number | 'ignore')[],
  options: Pick<SpawnOptions, 'cwd' | 'env'> = {},
): Promise<Child> {
  await forkTurn();
  const child = spawn(program, args, { ...options, stdio, detached: true });
  try {
    await once(child, 'spawn');
  } catch (cause) {
    throw new MonocoreError('StartFailed', `${program} could not be executed: ${cause}`, { cause });
  }
  // It may outlive the daemon, so it must not hold it up.
  child.unref();
  try {
    // A child that is waited for keeps its pid until then, so there is an identity even if it has ended already.
    const identity = identify(child.pid!);
    if (!identity) throw new Error('it ended at once');
    return { process: child, identity };
  } catch (cause) {
    // Nobody could find it again. It cannot have been waited for in this turn of the event loop, so the number is its.
    process.kill(-child.pid!, 'SIGKILL');
    throw new MonocoreError('StartFailed', `${program} was lost: ${errorText(cause)}`, { cause });
  }
}
