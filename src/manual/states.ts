/** State machine of a service as Markdown, generated from its table for `monocore help states`. */
import { EVENTS, type Ignored, MACHINE, STATES, type Step } from '../supervisor/machine.ts';
import type { MachineEventType, StateName } from '../supervisor/states.ts';

type Row = Readonly<Partial<Record<MachineEventType, Step | Ignored>>>;

/** Table cells of one state, or of several states that share them. */
interface Section {
  readonly title: string;
  readonly row: Row;
}

const NAMES = Object.keys(MACHINE) as StateName[];
const EVENT_TYPES = Object.keys(EVENTS) as MachineEventType[];
const STOPPING = NAMES.filter((name) => name.startsWith('Stopping/'));
/**
 * Longest list of events for a reason; a reason with more events applies to all events that are not listed separately.
 */
const MAX_NAMES = 8;

/** The whole table as Markdown: states, events, and the cell of each pair. */
export function renderStates(): string {
  return [
    '### States',
    ...renderTable(['State', 'Meaning'], Object.entries(STATES)),
    '### Events',
    ...renderTable(['Event', 'Meaning'], Object.entries(EVENTS)),
    ...sections().flatMap(({ title, row }) => [`### ${title}`, ...renderSteps(row), ...renderIgnored(row)]),
  ].join('\n');
}

function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return ['', line(head), line(head.map(() => '---')), ...rows.map(line), ''];
}

/** Groups values by key, in the order of the keys. */
function group<K, V>(pairs: readonly (readonly [K, V])[]): [K, V[]][] {
  const groups = new Map<K, V[]>();
  for (const [key, value] of pairs) groups.set(key, [...(groups.get(key) ?? []), value]);
  return [...groups];
}

/** Sections: states with equal rows share one; phases of a stop share what they have in common. */
function sections(): Section[] {
  const shared = sharedRow(STOPPING);
  const others = NAMES.filter((name) => !STOPPING.includes(name));
  const differences = (row: Row): Row =>
    Object.fromEntries(Object.entries(row).filter(([type, cell]) => cell !== shared[type as MachineEventType]));
  return [
    ...group(others.map((name) => [MACHINE[name], name])).map(([row, names]) => ({ title: names.join(', '), row })),
    { title: 'Stopping, in every phase unless stated otherwise', row: shared },
    ...STOPPING.map((name) => ({ title: name, row: differences(MACHINE[name]) })),
  ].filter(({ row }) => Object.keys(row).length > 0);
}

/** Row with the most common cell for each event. */
function sharedRow(names: readonly StateName[]): Row {
  return Object.fromEntries(
    EVENT_TYPES.map((type) => {
      const cells = names.map((name): Step | Ignored => MACHINE[name][type]);
      const count = (cell: Step | Ignored) => cells.filter((other) => other === cell).length;
      return [type, cells.reduce((most, cell) => (count(cell) > count(most) ? cell : most))];
    }),
  );
}

function stepsOf(row: Row): [string, Step][] {
  return Object.entries(row).filter((entry): entry is [string, Step] => 'to' in entry[1]);
}

function renderSteps(row: Row): string[] {
  const rows = stepsOf(row).map(([type, { to, does }]) => {
    const names = [...to.filter((name) => name !== 'same'), ...(to.includes('same') ? ['no change'] : [])];
    return [type, does, names.join(' or ')];
  });
  return rows.length === 0 ? [''] : renderTable(['Event', 'What monocore does', 'Next state'], rows);
}

/** A line for each reason, with its events. */
function renderIgnored(row: Row): string[] {
  const ignored = Object.entries(row).flatMap(([type, cell]) =>
    'ignored' in cell ? [[cell.ignored, type] as const] : [],
  );
  const lines = group(ignored)
    .sort(([, a], [, b]) => a.length - b.length)
    .map(
      ([reason, types]) => `- ignores ${types.length > MAX_NAMES ? 'all other events' : types.join(', ')}: ${reason}`,
    );
  return [...lines, ''];
}
