/** Lookup of the references in variables: in the environment of the command and in `.env` beside the config. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../protocol/service.ts';
import type { ParsedService } from './keys.ts';
import type { Path } from './languages/document.ts';
import { type PathProblem, valueProblem } from './problems.ts';
import { type EnvFile, readEnvFile } from './referenced-files.ts';
import type { EnvFiles } from './resolve.ts';
import { attributeToKeys, type ParsedConfig } from './schema/parsed-config.ts';
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

/** True if variables of the config or of its `env_file`s refer to others. Pure. */
export function hasReferences({ document, services, groups }: ParsedConfig, envFiles: EnvFiles): boolean {
  const tables = [
    document.values.defaults,
    ...services,
    ...groups,
    ...groups.flatMap(({ values }) => values.env ?? []),
  ];
  const declared = tables.map((table) => (table?.values as { readonly envs?: Record<string, string> })?.envs);
  let isAsked = false;
  const note: Lookup = () => {
    isAsked = true;
    return undefined;
  };
  for (const envs of [...declared, ...envFiles.values()]) {
    for (const text of Object.values(envs ?? {})) interpolate(text, note);
  }
  return isAsked;
}

/**
 * Config with the references in its variables replaced, and a problem for each reference without a value, at the place
 * where the variable is written. Pure.
 */
export function resolveReferences(
  config: Config,
  parsed: ParsedConfig,
  envFiles: EnvFiles,
  lookup: Lookup,
): { config: Config; problems: readonly PathProblem[] } {
  const problems = new Map<string, PathProblem>();
  const services = config.services.map((service) => {
    const declared = parsed.services.find(({ values }) => values.name === (service.replica_of ?? service.name))!;
    const envs = Object.entries(service.envs).map(([variable, text]) => {
      const resolved = interpolate(text, lookup);
      if (resolved.ok) return [variable, resolved.value];
      // The schema has already reported malformed references.
      const reference = resolved.fault.type === 'unset' ? resolved.fault.name : text;
      const message =
        `${variable} refers to ${reference}, which is not set; set it in the environment or in .env beside the config, ` +
        `or write \${${reference}:-default}`;
      const path = placeOf(variable, declared, parsed, envFiles);
      // Services share what is written once.
      problems.set(JSON.stringify([path, message]), valueProblem(path, message));
      return [variable, text];
    });
    return { ...service, envs: Object.fromEntries(envs) as Record<string, string> };
  });
  return { config: { ...config, services }, problems: attributeToKeys([...problems.values()], parsed) };
}

/** Place that gives a service the value of a variable, in the order of precedence of `mergeEnvs`. */
function placeOf(variable: string, service: ParsedService, { groups }: ParsedConfig, envFiles: EnvFiles): Path {
  const has = (envs: Readonly<Record<string, string>> | undefined) =>
    envs !== undefined && Object.hasOwn(envs, variable);
  const { path, table, values } = service;
  if (has(values.envs)) return [...path, 'envs', variable];
  const file = (values.env_file ?? []).findLastIndex((name) => has(envFiles.get(name)));
  if (file !== -1) return [...path, 'env_file', ...(Array.isArray(table.env_file) ? [file] : [])];
  const group = groups.find((one) => one.values.name === values.group);
  const named = (values.group_envs ?? []).map((name) => group?.values.env?.find((env) => env.values.name === name));
  const holder = named.findLast((env) => has(env?.values.envs)) ?? (has(group?.values.envs) ? group : undefined);
  return [...(holder?.path ?? ['defaults']), 'envs', variable];
}
