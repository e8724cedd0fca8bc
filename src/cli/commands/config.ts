/** `monocore config`: checks and shows a config, without a daemon. */
import { basename } from 'node:path';
import { loadWithFileNames } from '../../config/load.ts';
import { type Language, maskVariables, writeConfig } from '../../config/print.ts';
import { configJsonSchema } from '../../config/schema/json-schema.ts';
import { toPrintableJson } from '../../lib/control-characters.ts';
import type { CliContext } from '../connection.ts';
import { configPath } from '../selection.ts';

interface ConfigOptions {
  readonly file?: string;
  readonly profile?: readonly string[];
}

/** @throws MonocoreError `ConfigInvalid` with all problems, or `Usage` for an unknown profile */
function load(options: ConfigOptions) {
  return loadWithFileNames(configPath(options), { profiles: options.profile ?? [] });
}

export async function checkConfig(context: CliContext, options: ConfigOptions): Promise<void> {
  const { config } = await load(options);
  const counts = [count(config.services.length, 'service'), count(config.groups.length, 'group')];
  context.stdout.write(`${basename(configPath(options))} is valid: ${counts.join(', ')}\n`);
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

export async function showConfig(
  context: CliContext,
  options: ConfigOptions & { readonly format: Language; readonly reveal?: boolean },
): Promise<void> {
  const { config, fileNames } = await load(options);
  const shown = options.reveal ? config : maskVariables(config, fileNames);
  context.stdout.write(writeConfig(shown, options.format));
}

export async function printSchema(context: CliContext): Promise<void> {
  context.stdout.write(`${toPrintableJson(configJsonSchema(), 2)}\n`);
}
