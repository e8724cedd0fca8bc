/** Environment of plain processes. */
import type { Service } from '../../protocol/service.ts';
import { type HostUser, renderUserEnvironment } from '../host/limits/user.ts';
import { resolveEnvs } from '../host/service-command.ts';

/** Variables of the daemon that a plain process cannot do without; the others may be secrets. */
const INHERITED_VARIABLES = ['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR'];

/**
 * Environment of a service's commands; its own variables win.
 *
 * @param user user that they run as; null for the daemon's own
 * @throws MonocoreError `StartFailed` for variables that cannot be resolved
 */
export function renderEnvironment(service: Service, user: HostUser | null): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const name of INHERITED_VARIABLES) if (process.env[name] !== undefined) env[name] = process.env[name];
  return { ...env, ...renderUserEnvironment(user), ...resolveEnvs(service) };
}
