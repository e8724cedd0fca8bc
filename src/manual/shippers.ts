/**
 * Configs of log shippers: one row for each, with its file in `shippers/`. Printed by `monocore init --shipper NAME`.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { MonocoreError } from '../lib/errors.ts';

const FOLDER = fileURLToPath(new URL('./shippers/', import.meta.url));
/** Log folder used in the files. */
const EXAMPLE_LOG_DIR = '/var/lib/monocore/log';

export interface Shipper {
  readonly name: string;
  readonly title: string;
  /** Name of the file in `shippers/`. */
  readonly file: string;
  /** Path at which the shipper reads the config. */
  readonly installAt: string;
}

export const SHIPPERS: readonly Shipper[] = [
  { name: 'vector', title: 'Vector', file: 'vector.toml', installAt: '/etc/vector/vector.toml' },
  { name: 'fluent-bit', title: 'Fluent Bit', file: 'fluent-bit.yaml', installAt: '/etc/fluent-bit/fluent-bit.yaml' },
  { name: 'filebeat', title: 'Filebeat', file: 'filebeat.yml', installAt: '/etc/filebeat/filebeat.yml' },
  { name: 'alloy', title: 'Grafana Alloy', file: 'alloy.alloy', installAt: '/etc/alloy/config.alloy' },
  { name: 'promtail', title: 'Promtail', file: 'promtail.yaml', installAt: '/etc/promtail/config.yaml' },
  { name: 'rsyslog', title: 'rsyslog', file: 'rsyslog.conf', installAt: '/etc/rsyslog.d/monocore.conf' },
  { name: 'syslog-ng', title: 'syslog-ng', file: 'syslog-ng.conf', installAt: '/etc/syslog-ng/conf.d/monocore.conf' },
];

/**
 * Paths of characters that have no special meaning in any of the configs, neither in globs nor in patterns. Others
 * would need escapes, which differ between the configs and do not exist in some: a comma separates paths in Fluent Bit.
 */
const PLAIN_PATH = /^[\p{L}\p{M}\p{N}/._ +@=~-]+$/u;

/**
 * Returns a shipper's config for the log files in `logDir`.
 *
 * @throws MonocoreError `Usage` if the path has characters that are special in configs
 */
export function shipperConfig({ file, title }: Shipper, logDir: string): string {
  if (!PLAIN_PATH.test(logDir)) {
    const special = [...new Set([...logDir].filter((character) => !PLAIN_PATH.test(character)))];
    throw new MonocoreError(
      'Usage',
      `no config for ${title}: the path ${JSON.stringify(logDir)} has characters that are special in its config: ` +
        `${special.map((character) => JSON.stringify(character)).join(' ')}; use a --home without them`,
    );
  }
  return readFileSync(`${FOLDER}${file}`, 'utf8').replaceAll(EXAMPLE_LOG_DIR, () => logDir);
}
