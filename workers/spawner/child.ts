/** Starts one process that outlives the daemon: in its own session, with only the given descriptors. */
import { spawn } from 'node:child_process';
import { accessSync, closeSync, constants, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { errorText, errorTextWithPath } from '../../src/lib/errors.ts';
import { identify, type ProcessIdentity } from '../../src/lib/proc.ts';
import type { SpawnCommand, SpawnEvent } from '../../src/protocol/spawner.ts';

/** Helper program, part of the package, see launch/launch.c. */
const LAUNCHER = fileURLToPath(new URL(`./launch/${process.arch}/monocore-launch`, import.meta.url));

/**
 * Starts the process and reports its start and its end. Never throws.
 *
 * @param daemonPid parent of this process: a child with a record is executed only while the daemon is alive
 */
export function spawnChild(
  { id, program, args, fds, workdir, env, record }: SpawnCommand,
  daemonPid: number,
  tell: (event: SpawnEvent) => void,
): void {
  const fail = (error: unknown) => tell({ type: 'failed', id, error: errorTextWithPath(error, program) });
  const opened: number[] = [];
  try {
    const stdio = fds.map((fd) => {
      if (fd === 'null') return 'ignore' as const;
      opened.push(openFifo(fd.fifo, fd.nonBlocking));
      return opened.at(-1)!;
    });
    // Afterwards a missing program could not be reported.
    if (record !== null) accessSync(program, constants.X_OK);
    const launched = record === null ? [program, ...args] : [LAUNCHER, record, String(daemonPid), program, ...args];
    const child = spawn(launched[0]!, launched.slice(1), {
      stdio,
      detached: true,
      ...(workdir === null ? {} : { cwd: workdir }),
      ...(env === null ? {} : { env }),
    });
    child.once('error', fail);
    if (child.pid === undefined) return;
    child.once('exit', (code, signal) => tell({ type: 'ended', id, code, signal }));
    tell({ type: 'spawned', id, identity: identifyChild(child.pid) });
  } catch (error) {
    fail(error);
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

function openFifo(path: string, nonBlocking: boolean): number {
  try {
    return openSync(path, constants.O_RDWR | (nonBlocking ? constants.O_NONBLOCK : 0));
  } catch (cause) {
    throw new Error(`${path} cannot be opened: ${errorText(cause)}`, { cause });
  }
}

/** Identifies the child; kills a child that cannot be identified, because it could not be found again. */
function identifyChild(pid: number): ProcessIdentity {
  try {
    // The pid is not reused until the child is reaped, in a later turn: there is an identity even if it has already
    // ended.
    const identity = identify(pid);
    if (!identity) throw new Error('it ended at once');
    return identity;
  } catch (error) {
    process.kill(-pid, 'SIGKILL');
    throw error;
  }
}
