/** Loads a config file, in the CLI or in a program that uses the library, never in the daemon. */
import { realpathSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import * as v from 'valibot';
import { errorCode, errorText, MonocoreError } from '../lib/errors.ts';
import type { Config, Project } from '../protocol/service.ts';
import { dotEnvOf, hasReferences, type Lookup, readEnvironment, resolveReferences } from './environment.ts';
import { EXTENSIONS, fileError } from './find.ts';
import { ConfigSyntaxError, type Document, Lines } from './languages/document.ts';
import { parseJson } from './languages/json.ts';
import { parseToml } from './languages/toml.ts';
import { parseYaml } from './languages/yaml.ts';
import { configInvalid, locate, type PathProblem, toConfigProblem } from './problems.ts';
import { projectOf } from './project.ts';
import { checkFiles } from './referenced-files.ts';
import { type Choice, type EnvFiles, toConfig } from './resolve.ts';
import { checkRules } from './rules/rules.ts';
import { checkShares } from './rules/volumes.ts';
import { attributeToKeys, readConfig } from './schema/parsed-config.ts';
import { type HostLimits, hostLimits } from './schema/types.ts';
import { Name } from './schema/values.ts';

const LANGUAGES = new Map<string, { readonly name: string; readonly parse: (text: string) => Document }>([
  ['.toml', { name: 'TOML', parse: parseToml }],
  ['.yaml', { name: 'YAML', parse: parseYaml }],
  ['.yml', { name: 'YAML', parse: parseYaml }],
  ['.json', { name: 'JSON', parse: parseJson }],
]);

/**
 * Reads a config file. Throws `ConfigInvalid`, whose `details` are all {@link ConfigProblem}s in order of position.
 *
 * @param path of a `.toml`, `.yaml`, `.yml` or `.json` file; relative paths inside it are relative to its folder
 * @param choice services to select; by default those without a profile. The others are validated as well
 * @throws MonocoreError `Usage` for a profile that no service has
 */
export async function loadConfig(path: string, choice: Choice = {}): Promise<Config> {
  return (await loadForStart(path, choice)).config;
}

/**
 * Does the same as {@link loadConfig} and also lists the other files that the config depends on; they need not exist.
 */
export async function loadForStart(path: string, choice: Choice): Promise<{ config: Config; files: string[] }> {
  const folder = dirname(resolve(path));
  const reading = await readWithEnvironment(path);
  const { parsed, finish } = reading;
  const { problems, envFiles } = await checkFiles(parsed);
  let { environment } = reading;
  if (hasReferences(parsed, envFiles)) environment ??= await readEnvironment(folder);
  const { lookup, problems: ofEnvironment } = environment ?? NO_ENVIRONMENT;
  const config = finish([...problems, ...ofEnvironment], envFiles, choice, lookup);
  return { config, files: [...envFiles.keys(), dotEnvOf(folder)] };
}

type Environment = Awaited<ReturnType<typeof readEnvironment>>;

const NO_ENVIRONMENT: Environment = { lookup: () => undefined, problems: [] };

/**
 * Parses a config with the values of its references. Where nothing refers to a variable, `environment` is null and
 * `.env` is not read: it may belong to another program.
 */
async function readWithEnvironment(
  path: string,
): Promise<ReturnType<typeof read> & { readonly environment: Environment | null }> {
  const text = await readConfigText(path);
  let isAsked = false;
  const note: Lookup = () => {
    isAsked = true;
    return undefined;
  };
  const readWith = (lookup: Lookup) => read(text, path, hostLimits(), lookup, realFolder(path));
  const reading = readWith(note);
  if (!isAsked) return { ...reading, environment: null };
  const environment = await readEnvironment(dirname(resolve(path)));
  return { ...readWith(environment.lookup), environment };
}

/**
 * Does the same as {@link loadConfig}, but leaves references in variables unresolved and also returns the names of all
 * variables that come from an `env_file`.
 */
export async function loadWithFileNames(
  path: string,
  choice: Choice,
): Promise<{ config: Config; fileNames: ReadonlySet<string> }> {
  const { parsed, finish } = await readWithEnvironment(path);
  const { problems, envFiles } = await checkFiles(parsed);
  const fileNames = new Set([...envFiles.values()].flatMap((envs) => Object.keys(envs)));
  return { config: finish(problems, envFiles, choice), fileNames };
}

/**
 * Parses a config like {@link loadConfig}, but without reading the disk: missing files are not reported, variables of
 * an `env_file` are absent, and references in variables are not resolved. `path` determines the language and the base
 * of relative paths; the file need not exist.
 */
export function parseConfig(text: string, path: string, host = hostLimits(), choice: Choice = {}): Config {
  // Drops the byte order mark, as decoding a file does: it would shift the columns of the first line.
  return read(text.replace(/^\uFEFF/, ''), path, host, () => undefined).finish([], new Map(), choice);
}

/** Parses a text, as TOML if the extension is unknown. Throws `ConfigInvalid` with the first problem. */
function parseDocument(file: string, text: string): Document {
  const { name, parse } = LANGUAGES.get(extname(file)) ?? LANGUAGES.get('.toml')!;
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof ConfigSyntaxError)) throw error;
    const message = `not ${name}: ${error.message}`;
    throw configInvalid(file, [toConfigProblem(file, new Lines(text), error.span, '', message, null)]);
  }
}

/** Folder of a config with links resolved, so that a project has one location however it is reached. */
function realFolder(path: string): string {
  const folder = dirname(resolve(path));
  try {
    return realpathSync(folder);
  } catch {
    return folder;
  }
}

/**
 * Project of the config at `path`. The rest of the config need not be valid.
 *
 * @throws MonocoreError `ConfigInvalid` for a file that cannot be read or parsed
 */
export async function loadProject(path: string): Promise<Project> {
  const { table } = parseDocument(path, await readConfigText(path));
  const name = v.safeParse(Name, table.name);
  return projectOf(name.success ? name.output : undefined, realFolder(path));
}

/**
 * Parses a config. `finish` builds the result, or throws the problems of the config and of the files that it names. If
 * `lookup` is given, it resolves the references in variables.
 */
function read(text: string, path: string, host: HostLimits, lookup: Lookup, projectFolder = dirname(resolve(path))) {
  const { table, findPositions } = parseDocument(path, text);
  const { parsed, problems } = readConfig(table, { folder: dirname(resolve(path)), host, lookup });
  const found = [...problems, ...checkRules(parsed), ...checkShares(parsed)];
  const refuse = (all: readonly PathProblem[]): void => {
    if (all.length > 0) throw configInvalid(path, locate(path, text, findPositions(), all));
  };
  const finish = (more: readonly PathProblem[], envFiles: EnvFiles, choice: Choice, lookup?: Lookup): Config => {
    refuse(attributeToKeys([...found, ...more], parsed));
    const config = toConfig(parsed, projectFolder, envFiles, choice);
    if (!lookup) return config;
    const resolved = resolveReferences(config, parsed, envFiles, lookup);
    refuse(resolved.problems);
    return resolved.config;
  };
  return { parsed, finish };
}

/** Largest config that is read: a hand-written one has a few KiB, and a wrong `-f` may name any file. */
const MAX_CONFIG_BYTES = 1024 * 1024;

/** Text without a byte order mark. Throws `ConfigInvalid` unless the file is UTF-8 and has a known extension. */
async function readConfigText(file: string): Promise<string> {
  const bytes = await readBytes(file);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw unreadableFile(file, 'it is not UTF-8 text');
  }
}

async function readBytes(file: string): Promise<Buffer> {
  try {
    const found = await stat(file);
    if (found.isDirectory()) {
      throw unreadableFile(file, `it is a directory; name a file in it, such as ${join(file, 'monocore.toml')}`);
    }
    if (!EXTENSIONS.includes(extname(file))) {
      throw unreadableFile(
        file,
        `the name of a config ends in ${EXTENSIONS.slice(0, -1).join(', ')} or ${EXTENSIONS.at(-1)}`,
      );
    }
    // Reading a FIFO or a device may block forever.
    if (!found.isFile()) throw unreadableFile(file, 'it is not a regular file');
    if (found.size > MAX_CONFIG_BYTES) throw unreadableFile(file, 'it is larger than 1 MiB');
    return await readFile(file);
  } catch (error) {
    if (error instanceof MonocoreError) throw error;
    throw fromSystem(file, error);
  }
}

function fromSystem(file: string, error: unknown): MonocoreError {
  const hint = 'name another file with the -f option';
  const code = errorCode(error) ?? '';
  if (['EACCES', 'EPERM'].includes(code))
    return unreadableFile(file, 'permission denied; give your user access to it and its folders', error);
  if (code !== 'ENOENT') return unreadableFile(file, `${errorText(error)}; ${hint}`, error);
  const missing = file === basename(file) ? `there is no ${file} here` : 'there is no such file';
  return unreadableFile(file, `${missing}; ${hint}, or write a first one with monocore init`, error);
}

function unreadableFile(file: string, reason: string, cause?: unknown): MonocoreError {
  return fileError(file, `${file} cannot be read: ${reason}`, cause);
}
