/** Host users that services run as, and switching to them. Main thread. */
import { errorText, MonocoreError } from '../../../lib/errors.ts';
import { findSetpriv, run } from '../host-tools.ts';

/** User other than that of the daemon. */
export interface HostUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** Groups of the user, including the primary one. */
  readonly groups: readonly number[];
  readonly home: string;
}

function refuse(message: string, cause?: unknown): MonocoreError {
  return new MonocoreError('StartFailed', message, { cause });
}

/** Output of a lookup program, which works wherever the host keeps its users. */
async function lookUp(what: string, program: string, args: readonly string[]): Promise<string> {
  try {
    return (await run(program, args)).trimEnd();
  } catch (cause) {
    // Exit code 2 of getent(1) means that the key was not found.
    const isUnknown = program === 'getent' && (cause as { code?: unknown }).code === 2;
    const reason = isUnknown ? 'does not exist on this host' : `cannot be looked up: ${errorText(cause)}`;
    throw refuse(`${what} ${reason}`, cause);
  }
}

/**
 * Finds the user that a service runs as; null if it is the daemon's own.
 *
 * @param user name or number; null for the daemon's own
 * @param daemonUid only root can switch to another user
 * @throws MonocoreError `StartFailed` for a user that does not exist or that the daemon cannot switch to
 */
export async function findUser(user: string | null, daemonUid = process.getuid?.()): Promise<HostUser | null> {
  if (user === null) return null;
  // Entry of passwd(5).
  const [name, , uid, gid, , home] = (await lookUp(`the user ${user}`, 'getent', ['passwd', user])).split(':');
  if (!name || !uid || !gid) throw refuse(`the user ${user} cannot be looked up`);
  if (Number(uid) === daemonUid) return null;
  if (daemonUid !== 0) {
    throw refuse(
      `the daemon does not run as root and cannot switch to the user ${user}; start it as root, or leave user out`,
    );
  }
  const groups = await lookUp(`the groups of the user ${name}`, 'id', ['-G', '--', name]);
  return { name, uid: Number(uid), gid: Number(gid), groups: groups.split(' ').map(Number), home: home || '/' };
}

/** Environment variables that describe the user, see environ(7). */
export function renderUserEnvironment(user: HostUser | null): NodeJS.ProcessEnv {
  return user ? { HOME: user.home, USER: user.name, LOGNAME: user.name } : {};
}

/**
 * Words to put in front of a program so that it runs as `user`, in the same process: see setpriv(1). Capabilities are
 * dropped by leaving user 0, except inheritable ones, which are cleared explicitly. Empty for null.
 *
 * @throws MonocoreError `ToolMissing`
 */
export function renderUserSwitch(user: HostUser | null): string[] {
  if (!user) return [];
  const { uid, gid, groups } = user;
  return [findSetpriv(), `--reuid=${uid}`, `--regid=${gid}`, `--groups=${groups.join(',')}`, '--inh-caps=-all'];
}

const NO_WORKDIR = 3;
const NO_PROGRAM = 4;

/**
 * Tries, as `user`, to enter `workdir` and to access `program`, because a process that has already switched cannot
 * report a failure.
 *
 * @throws MonocoreError `StartFailed`, `ToolMissing`
 */
export async function checkUserMayRun(user: HostUser | null, program: string, workdir: string): Promise<void> {
  const [setpriv, ...switching] = renderUserSwitch(user);
  if (!user || setpriv === undefined) return;
  const script = `cd -- "$1" 2>/dev/null || exit ${NO_WORKDIR}; [ -x "$2" ] || exit ${NO_PROGRAM}`;
  try {
    await run(setpriv, [...switching, '/bin/sh', '-c', script, 'sh', workdir, program], { cwd: '/' });
  } catch (cause) {
    const { code } = cause as { code?: unknown };
    if (code === NO_WORKDIR)
      throw refuse(`the user ${user.name} may not enter the working directory ${workdir}`, cause);
    if (code === NO_PROGRAM) throw refuse(`the user ${user.name} may not execute ${program}`, cause);
    const [reason] = errorText(cause).split('\n');
    throw refuse(`the daemon cannot switch to the user ${user.name}: ${reason}`, cause);
  }
}
