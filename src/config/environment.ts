/** Lookup of the references in variables: in the environment of the command and in `.env` beside the config. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../protocol/service.ts';
import { type PathProblem, valueProblem } from './problems.ts';
import { type EnvFile, readEnvFile } from './referenced-files.ts';
import type { ParsedConfig } from './schema/parsed-config.ts';
import { interpolate } from './schema/references.ts';

/** Value of a variable; undefined if it is not set. */
export type Lookup = (name: string) => string | undefined;

/** Path of the `.env` file beside a config, which docker compose reads as well. */
export function dotEnvOf(folder: string): string {
  return join(folder, '.env');
}

const NO_FILE: Pick<EnvFile, 'envs' | 'problems'> = { envs: {}, problems: [] };

/** Variables of `environment` and of the folder's `.env`, in which a value may refer to earlier variables. */
export async function readEnvironment(
  folder: string,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<{ lookup: Lookup; problems: readonly PathProblem[] }> {
  const file = dotEnvOf(folder);
  const { envs, problems } = existsSync(file) ? await readEnvFile({ at: [], file }) : NO_FILE;
  const known = new Map<string, string>();
  const lookup: Lookup = (name) => environment[name] ?? known.get(name);
  for (const [name, text] of Object.entries(envs)) {
    const resolved = interpolate(text, lookup);
    if (resolved.ok) known.set(name, resolved.value);
  }
  return { lookup, problems };
}

/** Config with the references in its variables replaced, and a problem for each reference without a value. Pure. */
export function resolveReferences(
  config: Config,
  { services: parsed }: ParsedConfig,
  lookup: Lookup,
): { config: Config; problems: readonly PathProblem[] } {
  const problems = new Map<string, PathProblem>();
  const services = config.services.map((service) => {
    const envs = Object.entries(service.envs).map(([variable, text]) => {
      const resolved = interpolate(text, lookup);
      if (resolved.ok) return [variable, resolved.value];
      // Replicas share the problem. The schema has already reported malformed references.
      const declared = service.replica_of ?? service.name;
      const path = parsed.find(({ values }) => values.name === declared)?.path ?? [];
      const reference = resolved.fault.type === 'unset' ? resolved.fault.name : text;
      const message =
        `${variable} refers to ${reference}, which is not set; set it in the environment or in .env beside the config, ` +
        `or write \${${reference}:-default}`;
      problems.set(`${declared} ${variable}`, valueProblem([...path, 'envs', variable], message));
      return [variable, text];
    });
    return { ...service, envs: Object.fromEntries(envs) as Record<string, string> };
  });
  return { config: { ...config, services }, problems: [...problems.values()] };
}
