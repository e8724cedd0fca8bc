/** A config file, read, checked and filled in. Runs in the CLI's process or a library user's, never in the daemon. */
import { dirname, resolve } from 'node:path';
import type { Config } from '../protocol/service.ts';
import type { Fault } from './fault.ts';
import { parseDocument } from './languages/document.ts';
import type { Document } from './languages/syntax.ts';
import { locate } from './locate.ts';
import { configInvalid } from './problems.ts';
import { type Choice, choose } from './profiles.ts';
import { readConfigText } from './read.ts';
import { checkFiles } from './referenced-files.ts';
import { type EnvFiles, toServices } from './resolve.ts';
import { crossCheck } from './rules/rules.ts';
import { checkShares } from './rules/volumes.ts';
import type { GroupValues, ServiceValues, Surroundings } from './schema/config.ts';
import { blameDefaults } from './schema/defaults.ts';
import { hostLimits } from './schema/host-limits.ts';
import { type ImageValues, toImageSettings } from './schema/images.ts';
import { type HomeLogValues, toHomeLogSettings } from './schema/log.ts';
import { type Outline, readOutline } from './schema/outline.ts';
import { replicaNames } from './schema/replicas.ts';

/**
 * Reads a config file. Throws `ConfigInvalid`, whose `details` are all {@link Problem}s in order of position.
 *
 * @param path of a `.toml`, `.yaml`, `.yml` or `.json` file; relative paths inside it are relative to its folder
 * @param choice which services are meant; without it those that have no profile. The others are checked, too
 * @throws MonocoreError `Usage` for a profile that no service has
 */
export async function loadConfig(path: string, choice: Choice = {}): Promise<Config> {
  return (await loadWithFileNames(path, choice)).config;
}

/** As {@link loadConfig}, with the names of all variables that an `env_file` has. */
export async function loadWithFileNames(
  path: string,
  choice: Choice,
): Promise<{ config: Config; fileNames: ReadonlySet<string> }> {
  const reading = read(await readConfigText(path), path, hostLimits());
  const { faults, envFiles } = await checkFiles(reading.outline);
  const fileNames = new Set([...envFiles.values()].flatMap((envs) => Object.keys(envs)));
  return { config: finish(reading, faults, envFiles, choice), fileNames };
}

/**
 * The config that `text` is. Throws as {@link loadConfig} does; the disk is not looked at, so a file
 * that does not exist passes, and what an `env_file` says is not there.
 *
 * @param path of the file, for its language, for problems and as the origin of relative paths; need not exist
 * @param host upper limits of cpus and ram
 */
export function parseConfig(text: string, path: string, host = hostLimits(), choice: Choice = {}): Config {
  // The same mark that decoding a file drops; left in, it would shift the columns of the first line.
  return finish(read(text.replace(/^\uFEFF/, ''), path, host), [], new Map(), choice);
}

/** A text, and what is known of it. */
interface Reading {
  readonly path: string;
  readonly text: string;
  readonly document: Document;
  readonly outline: Outline;
  readonly faults: readonly Fault[];
}

function read(text: string, path: string, host: Surroundings['host']): Reading {
  const document = parseDocument(path, text);
  const { outline, faults } = readOutline(document.table, { folder: dirname(resolve(path)), host });
  return { path, text, document, outline, faults: [...faults, ...crossCheck(outline), ...checkShares(outline)] };
}

function finish(
  { path, text, document, outline, faults }: Reading,
  more: readonly Fault[],
  envFiles: EnvFiles,
  choice: Choice,
): Config {
  const all = blameDefaults([...faults, ...more], outline.services);
  if (all.length > 0) throw configInvalid(path, locate(path, text, document.findPlaces(), all));
  // Without a fault the values of every table are complete, see Declaration.values.
  const services = outline.services.map(({ values }) => values as ServiceValues);
  const groups = new Map(outline.groups.map(({ values }) => [values.name!, values as GroupValues]));
  const replicas = new Map(services.map((service) => [service.name, replicaNames(service)]));
  const common = { groups, envFiles, envs: outline.envs, replicas };
  const chosen = new Set(choose(services, choice));
  return {
    services: [...chosen].flatMap((service) => toServices(service, common)),
    unselected: services.filter((service) => !chosen.has(service)).flatMap(replicaNames),
    groups: [...groups.values()].map(({ name, local_only }) => ({ name, local_only })),
    kernel: outline.kernel ?? null,
    logs: toHomeLogSettings(outline.logs as HomeLogValues),
    images: toImageSettings(outline.images as ImageValues),
  };
}
