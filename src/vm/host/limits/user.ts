/** Users of the host that services run as. Main thread. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { errorText, MonocoreError } from '../../../lib/errors.ts';

const run = promisify(execFile);

/** A user that is not the daemon's own. */
export interface HostUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** The user's groups, the primary one among them. */
  readonly groups: readonly number[];
  readonly home: string;
}

/** What a program said that failed, in a line. */
export function outputOf(error: unknown): string {
  const { stderr, code } = error as { stderr?: string; code?: unknown };
  return stderr?.trim().split('\n')[0] || (typeof code === 'number' ? `exit code ${code}` : errorText(error));
}

function refuse(message: string, cause?: unknown): MonocoreError {
  return new MonocoreError('StartFailed', message, { cause });
}

/** A record of passwd(5), by name or number, from wherever the host keeps its users. */
async function readPasswd(user: string): Promise<string[]> {
  try {
    const { stdout } = await run('getent', ['passwd', user]);
    return stdout.trimEnd().split(':');
  } catch (cause) {
    // getent(1): 2 stands for a key that was not found.
    if ((cause as { code?: unknown }).code === 2) throw refuse(`the user ${user} does not exist on this host`, cause);
    throw refuse(`the user ${user} cannot be looked up: getent: ${outputOf(cause)}`, cause);
  }
}

async function readGroups(name: string): Promise<number[]> {
  try {
    const { stdout } = await run('id', ['-G', '--', name]);
    return stdout.trim().split(' ').map(Number);
  } catch (cause) {
    throw refuse(`the groups of the user ${name} cannot be looked up: ${outputOf(cause)}`, cause);
  }
}

/**
 * The user that a service is to run as; null when that is the daemon's own.
 *
 * @param user name or number; null for the daemon's own
 * @param daemonUid only root may change its user
 * @throws MonocoreError `StartFailed` for one that does not exist or that the daemon cannot switch to
 */
export async function findUser(user: string | null, daemonUid = process.getuid?.()): Promise<HostUser | null> {
  if (user === null) return null;
  const [name, , uid, gid, , home] = await readPasswd(user);
  if (!name || !uid || !gid) throw refuse(`the user ${user} cannot be looked up`);
  if (Number(uid) === daemonUid) return null;
  if (daemonUid !== 0) {
    throw refuse(
      `the daemon does not run as root and cannot switch to the user ${user}; start it as root, or leave user out`,
    );
  }
  return { name, uid: Number(uid), gid: Number(gid), groups: await readGroups(name), home: home || '/' };
}

/** Variables that say who the user is, see environ(7). */
export function renderUserEnvironment(user: HostUser | null): NodeJS.ProcessEnv {
  return user ? { HOME: user.home, USER: user.name, LOGNAME: user.name } : {};
}
