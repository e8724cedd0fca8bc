/** `monocore config`: checks and shows a config, without a daemon. */
import { basename } from 'node:path';
import { loadWithFileNames } from '../../config/load.ts';
import { type Language, maskVariables, writeConfig } from '../../config/print.ts';
import { configJsonSchema } from '../../config/schema/json-schema.ts';
import type { CliContext } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';
import { configPath } from '../selection.ts';

/** Options of `config check`. */
export interface ConfigOptions {
  /** Path of the config; by default the one of the current folder. */
  readonly file?: string;
  readonly profile?: readonly string[];
}

/** Options of `config show`. */
export interface ConfigShowOptions extends ConfigOptions {
  readonly format: Language;
  /** Show the values of variables that look like secrets. */
  readonly reveal?: boolean;
}

/** Checks a config. @throws MonocoreError `ConfigInvalid` with all problems where it is not valid */
export async function checkConfig(context: CliContext, options: ConfigOptions): Promise<number> {
  const path = configPath(options);
  const { config } = await loadWithFileNames(path, { profiles: options.profile ?? [] });
  const counts = [count(config.services.length, 'service'), count(config.groups.length, 'group')];
  context.stdout.write(`${basename(path)} is valid: ${counts.join(', ')}\n`);
  return EXIT.done;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** Prints a config with all defaults filled in. @throws MonocoreError `ConfigInvalid`, or `Usage` for an unknown profile */
export async function showConfig(context: CliContext, options: ConfigShowOptions): Promise<number> {
  const { config, fileNames } = await loadWithFileNames(configPath(options), { profiles: options.profile ?? [] });
  const shown = options.reveal ? config : maskVariables(config, fileNames);
  context.stdout.write(writeConfig(shown, options.format));
  return EXIT.done;
}

/** Prints the JSON Schema of configs. */
export async function printSchema(context: CliContext): Promise<number> {
  context.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  return EXIT.done;
}
