/** Reference of the config keys for the manual, generated from `keys.ts`. */
import { capabilitiesOf, IsolationSchema } from '../protocol/isolation.ts';
import { DEFAULT_KEYS, DOCUMENT_KEYS } from './keys.ts';
import { type AnyKey, type Change, type KeyTable, printScalar } from './schema/types.ts';

const CHANGES: Readonly<Record<Change, string>> = {
  restart: 'the affected services are restarted',
  live: 'it takes effect without a restart',
  services: 'services are created, or no longer declared',
};

/** Markdown tables of all keys, one per table of the config. Pure. */
export function configReference(): string {
  const tables = new Map([['Top of the file', DOCUMENT_KEYS as KeyTable], ...nestedTables(DOCUMENT_KEYS)]);
  const sections = [...tables].map(([header, keys]) => `## ${header}\n\n${describeTable(keys)}`);
  const effects = Object.entries(CHANGES).map(([change, effect]) => `- ${change}: ${effect}`);
  return `${sections.join('\n\n')}\n\n## Changes\n\nThe next \`start\` applies a change:\n\n${effects.join('\n')}\n`;
}

function nestedTables(keys: KeyTable): [header: string, keys: KeyTable][] {
  return Object.values(keys).flatMap(({ type }) =>
    type.kind === 'scalar'
      ? []
      : [
          [`\`${type.header}\``, type.keys] as [string, KeyTable],
          ...(type.keys === DEFAULT_KEYS ? [] : nestedTables(type.keys)),
        ],
  );
}

function describeTable(keys: KeyTable): string {
  // `[defaults]` has the keys of a service, which are described there.
  if (keys === DEFAULT_KEYS) {
    return `These keys of \`[[service]]\`: ${Object.keys(keys)
      .map((name) => `\`${name}\``)
      .join(', ')}.`;
  }
  const rows = Object.entries(keys).map(([name, key]) => {
    const cells = [describeName(name, key), describeMeaning(key), describeValue(key), describeDefault(key)];
    return `| ${[...cells, key.change ?? 'restart'].map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return ['| Key | Meaning | Value | Default | Change |', '|---|---|---|---|---|', ...rows].join('\n');
}

function describeName(name: string, { alias }: AnyKey): string {
  return alias === undefined ? `\`${name}\`` : `\`${name}\` or \`${alias}\``;
}

function describeMeaning({ summary, needs, inherited }: AnyKey): string {
  const lacking = IsolationSchema.options.filter(
    (isolation) => needs !== undefined && !capabilitiesOf(isolation)[needs],
  );
  const limits = lacking.map((isolation) => `not with isolation \`"${isolation}"\``);
  return [summary, ...limits, ...(inherited ? ['allowed in `[defaults]`'] : [])].join('; ');
}

function describeValue({ type }: AnyKey): string {
  if (type.kind === 'scalar') return type.expected(null);
  return type.kind === 'entries' ? type.expected : `\`${type.header}\``;
}

function describeDefault({ type, presence, default: value, unset = 'none' }: AnyKey): string {
  if (presence === 'required') return 'required';
  if (presence === 'optional') return unset;
  if (type.kind === 'table') return 'the defaults of its keys';
  const printed = type.kind === 'scalar' ? printScalar(type, value) : null;
  const isEmpty = printed === null || (typeof printed === 'object' && Object.keys(printed).length === 0);
  return isEmpty ? 'none' : `\`${JSON.stringify(printed)}\``;
}
