/** Users of the host that services run as, and the switch to one of them. Main thread. */
import { errorText, MonocoreError } from '../../../lib/errors.ts';
import { findSetpriv, run } from '../host-tools.ts';

/** A user that is not the daemon's own. */
export interface HostUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** The user's groups, the primary one among them. */
  readonly groups: readonly number[];
  readonly home: string;
}

function refuse(message: string, cause?: unknown): MonocoreError {
  return new MonocoreError('StartFailed', message, { cause });
}

/** Output of a program that looks something up, wherever the host keeps its users. */
async function lookUp(what: string, program: string, args: readonly string[]): Promise<string> {
  try {
    return (await run(program, args)).trimEnd();
  } catch (cause) {
    // getent(1): 2 stands for a key that was not found.
    const isUnknown = program === 'getent' && (cause as { code?: unknown }).code === 2;
    const reason = isUnknown ? 'does not exist on this host' : `cannot be looked up: ${errorText(cause)}`;
    throw refuse(`${what} ${reason}`, cause);
  }
}

/**
 * Finds the user that a service runs as; null when that is the daemon's own.
 *
 * @param user name or number; null for the daemon's own
 * @param daemonUid only root may change its user
 * @throws MonocoreError `StartFailed` for one that does not exist or that the daemon cannot switch to
 */
export async function findUser(user: string | null, daemonUid = process.getuid?.()): Promise<HostUser | null> {
  if (user === null) return null;
  // A record of passwd(5).
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

/** Variables that name the user, see environ(7). */
export function renderUserEnvironment(user: HostUser | null): NodeJS.ProcessEnv {
  return user ? { HOME: user.home, USER: user.name, LOGNAME: user.name } : {};
}

/**
 * Words in front of a program that make it run as `user`, in the same process: see setpriv(1). Capabilities go with user
 * 0; inheritable ones would not. None for null.
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
 * Tries, as `user`, to enter `workdir` and to reach `program`: a process that has switched already cannot report it.
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
