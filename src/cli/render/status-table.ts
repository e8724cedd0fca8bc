/** The table of `monocore status`. */

import { stripVTControlCharacters } from 'node:util';
import stringWidth from 'string-width';
import { maskControls } from '../../lib/control-characters.ts';
import { formatDuration, formatSize } from '../../lib/units.ts';
import { capabilitiesOf } from '../../protocol/isolation.ts';
import type { ServiceStatus } from '../../protocol/service.ts';
import { paintStatus, statusLabel } from './status-text.ts';
import { type Column, renderTable } from './table.ts';
import { type Colors, fold, type TextOptions, wrap } from './terminal-text.ts';

/** Mark of services that run without a VM, explained below the table. */
const NO_VM_MARK = '*';

interface TableOptions extends TextOptions {
  /** Milliseconds since the epoch, to compute uptimes. */
  readonly now: number;
  /** Number of services that are hidden because they belong to other projects. */
  readonly otherServices?: number;
}

/** Columns to drop on a narrow terminal, in this order; `--json` has everything. */
const DISPENSABLE = ['IP', 'RAM', 'vCPUs', 'VM PID', 'Restarts', 'Memory', 'CPU', 'Group', 'Uptime'];

/** The table, the explanation of the mark, and remarks on services. Ends in a newline. */
export function renderStatusTable(services: readonly ServiceStatus[], options: TableOptions): string {
  const lines = fitTable(tableColumns(services, options), services, options);
  if (!services.every(hasGuest)) {
    lines.push('', `${NO_VM_MARK} a plain process of this host, not a VM (isolation = "none")`);
  }
  const remarks = services.flatMap((service) =>
    renderRemarks(service, options.now).flatMap((remark) => {
      const [first = '', ...lines] = remark.split('\n');
      const headline = wrap(`${paintName(service, options.colors)}: ${first}`, options.columns, '', '  ');
      return [...headline, ...lines.flatMap((line) => fold(line, options.columns, '    '))];
    }),
  );
  if (remarks.length > 0) lines.push('', ...remarks);
  const { otherServices = 0 } = options;
  if (otherServices > 0) {
    const others = otherServices === 1 ? '1 service of another project' : `${otherServices} services of other projects`;
    lines.push('', `${others}; to see all: monocore status --all`);
  }
  return `${lines.join('\n')}\n`;
}

/**
 * Lines that fit the terminal: first the gaps between columns shrink, then columns are dropped, and finally cells are
 * wrapped.
 */
function fitTable(
  all: readonly NamedColumn[],
  services: readonly ServiceStatus[],
  { columns: width, colors }: TableOptions,
): string[] {
  const render = (columns: readonly NamedColumn[], layout?: { readonly gap: number; readonly width?: number }) =>
    renderTable(
      columns.map(([head, ...rest]) => [colors.bold(head), ...rest]),
      services,
      layout,
    );
  const fits = (lines: readonly string[]) =>
    lines.every((line) => stringWidth(stripVTControlCharacters(line)) <= width);
  const wide = render(all);
  if (fits(wide)) return wide;
  for (let dropped = 0; dropped <= DISPENSABLE.length; dropped += 1) {
    const without = new Set(DISPENSABLE.slice(0, dropped));
    const lines = render(
      all.filter(([head]) => !without.has(head)),
      { gap: 1 },
    );
    if (fits(lines)) return lines;
  }
  const without = new Set(DISPENSABLE);
  return render(
    all.filter(([head]) => !without.has(head)),
    { gap: 1, width },
  );
}

function hasGuest({ isolation }: ServiceStatus): boolean {
  return capabilitiesOf(isolation).guest;
}

function paintName(service: ServiceStatus, { red, yellow }: Colors): string {
  return service.error === null ? yellow(service.name) : red(service.name);
}

type NamedColumn = Column<ServiceStatus>;

function tableColumns(services: readonly ServiceStatus[], { colors, now }: TableOptions): readonly NamedColumn[] {
  const projects = new Set(services.map(({ project }) => (project ? `${project.name} ${project.folder}` : '')));
  const project: NamedColumn = ['Project', 'left', (service) => maskControls(service.project?.name ?? '-')];
  return [
    ['Service', 'left', ({ name }) => name],
    ...(projects.size > 1 ? [project] : []),
    ['Group', 'left', ({ group }) => group],
    // Plain processes are not limited.
    ['vCPUs', 'right', (service) => (hasGuest(service) ? service.cpus : null)],
    ['RAM', 'right', (service) => (hasGuest(service) ? formatCompactSize(service.ram_mib * 2 ** 20) : null)],
    ['VM PID', 'right', ({ pid }) => pid],
    ['Status', 'left', (service) => paintStatus(service, markedLabel(service), colors)],
    ['IP', 'left', ({ group_ip }) => group_ip],
    ['CPU', 'right', ({ metrics: { cpu_usage } }) => (cpu_usage === null ? null : `${cpu_usage.toFixed(1)}%`)],
    [
      'Memory',
      'right',
      ({ metrics: { memory_usage } }) => (memory_usage === null ? null : formatCompactSize(memory_usage)),
    ],
    ['Uptime', 'right', (service) => formatUptime(service, now)],
    ['Restarts', 'right', ({ restarts }) => restarts],
    ['Ports', 'left', ({ ports = [] }) => ports.map(formatForward).join(', ') || null],
  ];
}

/** `127.0.0.2:8080->80`, as Docker shows it, with the suffix `/udp` for UDP. */
function formatForward({ address, host, guest, protocol }: ServiceStatus['ports'][number]): string {
  return `${address}:${host}->${guest}${protocol === 'udp' ? '/udp' : ''}`;
}

function markedLabel(service: ServiceStatus): string {
  return `${statusLabel(service)}${hasGuest(service) ? '' : NO_VM_MARK}`;
}

/** `128M` for 128 MiB, like `free -h` and `ls -h`, because columns are narrow. */
function formatCompactSize(bytes: number): string {
  return formatSize(bytes).replace(/ (?:([KMGT])i)?B$/, (_, prefix: string | undefined) => prefix ?? 'B');
}

function formatUptime({ status, started_at }: ServiceStatus, now: number): string | null {
  if (started_at === null || (status !== 'Started' && status !== 'Stopping')) return null;
  return formatDuration(now - Date.parse(started_at));
}

/** Lines of last output to show per service; `--json` has all that are known. */
const LAST_LINES = 5;

/**
 * Remarks below the table on one service, most serious first.
 *
 * @param nowMs milliseconds since the epoch
 */
function renderRemarks(service: ServiceStatus, nowMs: number): string[] {
  return [
    ...remarkOnEnd(service),
    ...(service.log_stalled === null ? [] : [maskControls(`its output cannot be written: ${service.log_stalled}`)]),
    ...(isSettled(service) && service.detail !== null ? [maskControls(service.detail)] : []),
    ...(service.health === 'unhealthy' ? [maskControls(`unhealthy: ${service.health_detail}`)] : []),
    ...remarkOnRestarts(service, nowMs),
    ...service.notes.map(maskControls),
    ...(service.undeclared ? [`no longer in the config; to forget it: monocore remove ${service.name}`] : []),
  ];
}

function isSettled({ status }: ServiceStatus): boolean {
  return status === 'Started' || status === 'Unstarted';
}

function remarkOnEnd({ error, reason, last_lines }: ServiceStatus): string[] {
  const what = error ?? (reason === 'out-of-memory' ? 'the guest ran out of memory and killed its command' : null);
  if (what === null) return [];
  const lines = last_lines.slice(-LAST_LINES);
  return [[what, ...lines].map(maskControls).join('\n')];
}

function remarkOnRestarts({ restarts, last_restart_reason, restarts_at }: ServiceStatus, nowMs: number): string[] {
  if (restarts === 0) return [];
  const times = restarts === 1 ? 'once' : `${restarts} times`;
  const count =
    restarts_at === null
      ? `restarted ${times}`
      : `restart ${restarts} is due in ${formatDuration(Date.parse(restarts_at) - nowMs)}`;
  return [maskControls(`${count}; last reason: ${last_restart_reason}`)];
}
