/** The shippers' configs that the README quotes. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const configDir = fileURLToPath(new URL('../../fixtures/shippers/', import.meta.url));

/** What the configs name, to be replaced by the folders of a test. */
const README_LOG_DIR = '/var/lib/monocore/log';
const README_OUTPUT = '/var/log/monocore.ndjson';

/** A config as it is quoted, with other paths; throws where it does not name the quoted ones. */
export function renderShipperConfig(name: string, logDir: string, outputFile: string): string {
  return replaceFound(replaceFound(readQuoted(name), README_LOG_DIR, logDir), README_OUTPUT, outputFile);
}

/** What a config selects files with. */
export interface Selection {
  /** Relative to the log folder. */
  readonly globs: readonly string[];
  /** Regular expressions with groups named `service` or `level`, as they are understood here. */
  readonly expressions: readonly RegExp[];
}

/** Picks globs and regular expressions out of a config, whatever its language. */
export function readShipperConfig(name: string): Selection {
  const quoted = readQuoted(name);
  const globs = [...quoted.matchAll(/\/var\/lib\/monocore\/log\/([^\s"',]*\*[^\s"',]*)/g)].map((match) => match[1]!);
  const expressions = [...quoted.matchAll(/(['`])([^'`\n]*\(\?P?<(?:service|level)>[^'`\n]*)\1/g)].map(
    // Node 20 knows (?<name>) alone, Go and Rust (?P<name>) of old.
    (match) => new RegExp(match[2]!.replaceAll('(?P<', '(?<')),
  );
  return { globs, expressions };
}

function readQuoted(name: string): string {
  return readFileSync(`${configDir}${name}`, 'utf8');
}

function replaceFound(text: string, what: string, replacement: string): string {
  if (!text.includes(what)) throw new Error(`the config does not name ${what}`);
  return text.replaceAll(what, () => replacement);
}
