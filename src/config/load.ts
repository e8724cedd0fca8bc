/** A config file, read, checked and filled in. Runs in the CLI's process or a library user's, never in the daemon. */
import { dirname, resolve } from 'node:path';
import type { Config } from '../protocol/service.ts';
import { parseDocument } from './document.ts';
import type { Fault } from './fault.ts';
import { checkFiles } from './files.ts';
import { hostLimits } from './host.ts';
import { type ImageValues, toImageSettings } from './image-schema.ts';
import { locate } from './locate.ts';
import { type HomeLogValues, toHomeLogSettings } from './log-schema.ts';
import { type Outline, readOutline } from './outline.ts';
import { configInvalid } from './problem.ts';
import { readConfigText } from './read.ts';
import type { GroupValues, ServiceValues, Surroundings } from './schema.ts';
import { type EnvFiles, toService } from './service.ts';
import { crossCheck } from './validate.ts';
import { checkShares } from './validate-volumes.ts';

/**
 * Reads a config file. Throws `ConfigInvalid`, whose `details` are all {@link Problem}s in order of position.
 *
 * @param path of a `.toml` file; relative paths inside it are relative to its folder
 */
export async function loadConfig(path: string): Promise<Config> {
  const text = await readConfigText(path);
  const { outline, faults } = check(text, path, hostLimits());
  const files = await checkFiles(outline);
  return finish(text, path, outline, [...faults, ...files.faults], files.envFiles);
}

/**
 * The config that `text` is. Throws as {@link loadConfig} does; the disk is not looked at, so a file
 * that does not exist passes, and what an `env_file` says is not there.
 *
 * @param path of the file, for problems and as the origin of relative paths; need not exist
 * @param host upper limits of cpus and ram
 */
export function parseConfig(text: string, path: string, host = hostLimits()): Config {
  // The same mark that decoding a file drops; left in, it would shift the columns of the first line.
  const bare = text.replace(/^\uFEFF/, '');
  const { outline, faults } = check(bare, path, host);
  return finish(bare, path, outline, faults);
}

function check(text: string, path: string, host: Surroundings['host']): { outline: Outline; faults: Fault[] } {
  const surroundings = { folder: dirname(resolve(path)), host };
  const { outline, faults } = readOutline(parseDocument(path, text), surroundings);
  return { outline, faults: [...faults, ...crossCheck(outline), ...checkShares(outline)] };
}

function finish(
  text: string,
  path: string,
  outline: Outline,
  faults: readonly Fault[],
  envFiles: EnvFiles = new Map(),
): Config {
  if (faults.length > 0) throw configInvalid(path, locate(path, text, faults));
  // Without a fault the values of every table are complete, see Declaration.values.
  const services = outline.services.map(({ values }) => values as ServiceValues);
  const groups = new Map(outline.groups.map(({ values }) => [values.name, values as GroupValues]));
  return {
    services: services.map((service) => toService(service, groups.get(service.group ?? '') ?? null, envFiles)),
    groups: [...groups.values()].map(({ name, local_only }) => ({ name, local_only })),
    kernel: outline.kernel ?? null,
    logs: toHomeLogSettings(outline.logs as HomeLogValues),
    images: toImageSettings(outline.images as ImageValues),
  };
}
