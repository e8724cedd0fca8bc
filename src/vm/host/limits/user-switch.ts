/** Changes the user of a process before its program runs. Main thread. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { MonocoreError } from '../../../lib/errors.ts';
import { findExecutable } from '../executables.ts';
import { type HostUser, outputOf } from './user.ts';

const run = promisify(execFile);

/** Path of setpriv, with which a process changes its user. @throws MonocoreError `ToolMissing` */
export function findSetpriv(): string {
  try {
    return findExecutable('setpriv', '/', `${process.env.PATH ?? ''}:/usr/bin:/bin`);
  } catch (cause) {
    const message = 'setpriv, which user needs, is not installed; install the package util-linux';
    throw new MonocoreError('ToolMissing', message, { cause });
  }
}

/**
 * What stands before a program so that it runs as `user`, in the same process: see setpriv(1). Capabilities go with
 * user 0; inheritable ones would not. Nothing for null.
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

function describeFailure(user: HostUser, program: string, workdir: string, cause: unknown): string {
  switch ((cause as { code?: unknown }).code) {
    case NO_WORKDIR:
      return `the user ${user.name} may not enter the working directory ${workdir}`;
    case NO_PROGRAM:
      return `the user ${user.name} may not execute ${program}`;
    default:
      return `the daemon cannot switch to the user ${user.name}: ${outputOf(cause)}`;
  }
}

/**
 * Tries, as `user`, to enter `workdir` and to reach `program`, because a process that has switched can tell nobody.
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
    throw new MonocoreError('StartFailed', describeFailure(user, program, workdir, cause), { cause });
  }
}
