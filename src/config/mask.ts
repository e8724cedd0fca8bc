/** What of a config is not for everybody's eyes. */
import type { Config } from '../protocol/service.ts';

/** Words in names of variables whose values are secrets more often than not. */
const SECRET_NAME = /PASS|PWD|SECRET|TOKEN|KEY|CREDENTIAL|AUTH|PRIVATE|SALT|COOKIE|DSN/i;
/** A user's name and password in an address. */
const CREDENTIALS = /:\/\/[^/\s@]*:[^/\s@]+@/;

/** Stands for a value that is not shown. */
export const MASK = '********';

/**
 * The config without values of variables that look like secrets: by their name, by a password in an address, or because an
 * `env_file` sets them. Secrets proper are files, of which a config knows only the path. Pure.
 *
 * @param fileNames names of the variables that files set
 */
export function maskVariables(config: Config, fileNames: ReadonlySet<string>): Config {
  const isSecret = (name: string, value: string) =>
    fileNames.has(name) || SECRET_NAME.test(name) || CREDENTIALS.test(value);
  const services = config.services.map((service) => {
    const envs = Object.entries(service.envs).map(([name, value]) => [name, isSecret(name, value) ? MASK : value]);
    return { ...service, envs: Object.fromEntries(envs) as Record<string, string> };
  });
  return { ...config, services };
}
