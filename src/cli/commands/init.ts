/** `monocore init`: a first config, or the config of a log shipper. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { basename, dirname, extname, resolve } from 'node:path';
import { findConfig } from '../../config/load.ts';
import { closest } from '../../config/problems.ts';
import { errorCode, errorText, MonocoreError } from '../../lib/errors.ts';
import { SHIPPERS, shipperConfig } from '../../manual/shippers.ts';
import type { CliContext } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';

/** One service that runs on any host that runs VMs, and next to it what most configs need sooner or later. */
export const FIRST_CONFIG = `# What monocore runs. \`monocore start\` boots it, \`monocore config check\` says whether it is right.
#
# For an editor that knows TOML schemas: monocore config schema >monocore.schema.json, and then
#:schema ./monocore.schema.json

# What holds for every service that does not say otherwise.
[defaults]
restart = "on-failure"

# A service is a program in a microVM of its own.
[[service]]
name = "web"
command = "/bin/sh"
args = ["-c", "mkdir -p /srv && echo hello >/srv/index.html && exec httpd -f -p 80 -h /srv"]
# http://127.0.0.1:8080 on this host leads to port 80 of the guest.
port = "8080:80"
cpus = 1
ram = "128MiB"

# An image instead of the small root that is built in; it says itself what to run.
# image = "nginx:1.27"

# Files of the host in the guest, and a file that only the service can read.
# volumes = ["/srv/site:/usr/share/nginx/html:ro"]
# secrets = ["api_key=/etc/monocore/api_key"]

# Variables. \${HOME} is what it is for the daemon.
# envs = { LOG_LEVEL = "info" }

# When it is ready, for those that depend on it.
# [service.healthcheck]
# http = ":80/"

# Another service, which starts when the first one has started.
# [[service]]
# name = "worker"
# command = "/bin/sh"
# args = ["-c", "while :; do date; sleep 5; done"]
# depends_on = ["web"]
`;

/** Options of `init`. */
export interface InitOptions {
  readonly file?: string;
  /** Name of a shipper; true for the list of them. */
  readonly shipper?: string | true;
}

/**
 * Writes a commented config that starts, or prints the config of a log shipper.
 *
 * @throws MonocoreError `Usage` if there is a config already, it cannot be written, or the shipper is unknown
 */
export async function init(context: CliContext, options: InitOptions): Promise<number> {
  if (options.shipper !== undefined) context.stdout.write(renderShipper(options.shipper, context.paths.logDir));
  else await writeFirstConfig(context, options.file);
  return EXIT.done;
}

function renderShipper(name: string | true, logDir: string): string {
  const shipper = SHIPPERS.find((known) => known.name === name);
  if (shipper) return shipperConfig(shipper, logDir);
  const names = SHIPPERS.map((known) => known.name);
  if (name === true) {
    const width = Math.max(...names.map(({ length }) => length));
    return SHIPPERS.map((known) => `${known.name.padEnd(width)}  ${known.installAt}\n`).join('');
  }
  const suggestion = closest(name, names);
  const guess = suggestion === null ? '' : `; did you mean "${suggestion}"?`;
  throw new MonocoreError('Usage', `there is no config for the shipper "${name}"${guess}`, {
    details: { hint: `shippers: ${names.join(', ')}` },
  });
}

async function writeFirstConfig(context: CliContext, file: string | undefined): Promise<void> {
  const path = resolve(file ?? 'monocore.toml');
  if (extname(path) !== '.toml') throw new MonocoreError('Usage', `${path} would be TOML: give it a name with .toml`);
  // Beside another one of the folder it would keep both from being found.
  const other = findConfig(dirname(path));
  if (file === undefined && existsSync(other)) throw existing(other);
  try {
    await writeFile(path, FIRST_CONFIG, { flag: 'wx' });
  } catch (error) {
    if (errorCode(error) === 'EEXIST') throw existing(path);
    throw new MonocoreError('Usage', `${path} cannot be written: ${errorText(error)}`, { cause: error });
  }
  context.stdout.write(
    `${basename(path)} was written; monocore start${file === undefined ? '' : ` -f ${file}`} boots it\n`,
  );
}

function existing(path: string): MonocoreError {
  return new MonocoreError('Usage', `${path} exists already; it was left as it is`);
}
