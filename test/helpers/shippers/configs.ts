/** The package's configs of shippers, for tests. */
import { readFileSync } from 'node:fs';
import { SHIPPERS, type Shipper, shipperConfig } from '../../../src/manual/shippers.ts';

/** Output file that the configs of rsyslog and syslog-ng name. */
const EXAMPLE_OUTPUT = '/var/log/monocore.ndjson';

export function findShipper(name: string): Shipper {
  const shipper = SHIPPERS.find((known) => known.name === name);
  if (!shipper) throw new Error(`there is no shipper ${name}`);
  return shipper;
}

/** Config of a shipper that reads `logDir` and writes `outputFile`. */
export function renderShipperConfig(name: string, logDir: string, outputFile: string): string {
  const config = shipperConfig(findShipper(name), logDir);
  if (!config.includes(EXAMPLE_OUTPUT)) throw new Error(`the config of ${name} does not name ${EXAMPLE_OUTPUT}`);
  return config.replaceAll(EXAMPLE_OUTPUT, () => outputFile);
}

/** Parts of a config that select files and split records. */
interface Selection {
  /** Relative to the log folder. */
  readonly globs: readonly string[];
  /** Regular expressions with groups named `service` or `level`, in JavaScript's syntax. */
  readonly expressions: readonly RegExp[];
}

/** Picks globs and regular expressions out of a config, whatever its language. */
export function readSelection({ file }: Shipper): Selection {
  const config = readFileSync(new URL(`../../../src/manual/shippers/${file}`, import.meta.url), 'utf8');
  const globs = [...config.matchAll(/\/var\/lib\/monocore\/log\/([^\s"',]*\*[^\s"',]*)/g)].map((match) => match[1]!);
  const expressions = [...config.matchAll(/(['`])([^'`\n]*\(\?P?<(?:service|level)>[^'`\n]*)\1/g)].map(
    // Node 20 supports only (?<name>), older Go and Rust only (?P<name>).
    (match) => new RegExp(match[2]!.replaceAll('(?P<', '(?<')),
  );
  return { globs, expressions };
}
