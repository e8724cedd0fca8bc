/** Commands of plain processes, completed for the host. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { MonocoreError } from '../../lib/errors.ts';
import type { Service } from '../../protocol/service.ts';
import { findExecutable } from '../host/host-tools.ts';
import { type HostUser, renderUserEnvironment, renderUserSwitch } from '../host/limits/user.ts';
import { ownCommand } from '../host/service-command.ts';

/** Variables of the daemon that a plain process needs; all others may be secrets. */
const INHERITED_VARIABLES = ['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR'];

/**
 * Completes a command of a service or of one of its probes. The variables of the service take precedence.
 *
 * @param user that it runs as; null for the daemon's own
 * @returns `words` switch to the user and become `program`
 * @throws MonocoreError `StartFailed` for a program that is not found, `ToolMissing`
 */
export function completeCommand(service: Service, user: HostUser | null, [name = '', ...args]: readonly string[]) {
  const inherited = INHERITED_VARIABLES.map((variable) => [variable, process.env[variable]]);
  const known = Object.fromEntries(inherited.filter(([, value]) => value !== undefined));
  const env: NodeJS.ProcessEnv = { ...known, ...renderUserEnvironment(user), ...service.envs };
  const { workdir } = ownCommand(service);
  const program = findExecutable(name, workdir, env.PATH ?? '');
  return { program, words: [...renderUserSwitch(user), program, ...args], workdir, env };
}

/**
 * Path of the shim for this host, part of the package: the parent of a plain process, see shim/shim.c. Called with
 * `<exit record> <program> <arguments…>`, it records how the program ended, even if the daemon is dead, and holds the
 * streams open until their reader is done.
 *
 * @throws MonocoreError `ToolMissing`
 */
export function findShim(): string {
  const shim = fileURLToPath(new URL(`./shim/${process.arch}/monocore-shim`, import.meta.url));
  if (existsSync(shim)) return shim;
  throw new MonocoreError('ToolMissing', `plain processes need x86-64 or aarch64; this host is ${process.arch}`);
}
