/** `monocore init`: a first config, or the config of a log shipper. */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, resolve } from 'node:path';
import { findConfig } from '../../config/find.ts';
import { didYouMean } from '../../lib/closest.ts';
import { errorCode, errorText, MonocoreError } from '../../lib/errors.ts';
import { SHIPPERS, shipperConfig } from '../../manual/shippers.ts';
import type { CliContext } from '../connection.ts';
import { commandFor } from '../project.ts';
import { padderOf } from '../render/terminal-text.ts';

/** Service that runs on any host that can run VMs, with the most useful keys commented out. */
export const FIRST_CONFIG = new URL('../../manual/first-config.toml', import.meta.url);

interface InitOptions {
  readonly file?: string;
  /** Name of a shipper; true asks for the list. */
  readonly shipper?: string | true;
}

/**
 * Writes a commented config that starts, or prints the config of a log shipper.
 *
 * @throws MonocoreError `Usage` if there is a config already, it cannot be written, or the shipper is unknown
 */
export async function init(context: CliContext, options: InitOptions): Promise<void> {
  if (options.shipper !== undefined) context.stdout.write(renderShipper(options.shipper, context.paths.logDir));
  else await writeFirstConfig(context, options.file);
}

function renderShipper(name: string | true, logDir: string): string {
  const shipper = SHIPPERS.find((known) => known.name === name);
  if (shipper) return shipperConfig(shipper, logDir);
  const names = SHIPPERS.map((known) => known.name);
  if (name === true) {
    const pad = padderOf(names);
    return SHIPPERS.map((known) => `${pad(known.name)}  ${known.installAt}\n`).join('');
  }
  throw new MonocoreError('Usage', `there is no config for the shipper "${name}"${didYouMean(name, names)}`, {
    details: { hint: `shippers: ${names.join(', ')}` },
  });
}

async function writeFirstConfig(context: CliContext, file: string | undefined): Promise<void> {
  const path = resolve(file ?? 'monocore.toml');
  if (extname(path) !== '.toml') {
    throw new MonocoreError('Usage', `${path} does not end in .toml, and init writes TOML; choose another name`);
  }
  // With two configs in a folder, commands would refuse to choose one.
  const other = findConfig(dirname(path));
  if (file === undefined && existsSync(other)) throw existing(other);
  try {
    await writeFile(path, await readFile(FIRST_CONFIG), { flag: 'wx' });
  } catch (error) {
    if (errorCode(error) === 'EEXIST') throw existing(path);
    const reason = errorCode(error) === 'ENOENT' ? `there is no folder ${dirname(path)}` : errorText(error);
    throw new MonocoreError('Usage', `${path} cannot be written: ${reason}`, { cause: error });
  }
  context.stdout.write(`wrote ${basename(path)}; to boot it: ${commandFor('start', file)}\n`);
}

function existing(path: string): MonocoreError {
  return new MonocoreError('Usage', `${path} exists already and was left as it is; choose another path with -f`);
}
