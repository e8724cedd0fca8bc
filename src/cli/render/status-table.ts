/** The table of `monocore status`. */

import { stripVTControlCharacters } from 'node:util';
import { maskControls } from '../../lib/control-characters.ts';
import { formatDuration, formatSize } from '../../lib/units.ts';
import { capabilitiesOf } from '../../protocol/isolation.ts';
import type { ServiceStatus } from '../../protocol/service.ts';
import { paintStatus, statusLabel } from './status-text.ts';
import { renderTable } from './table.ts';
import type { Colors } from './terminal-text.ts';

const COLUMNS = [
  'Service',
  'Group',
  'vCPUs',
  'RAM',
  'VM PID',
  'Status',
  'IP',
  'CPU',
  'Memory',
  'Uptime',
  'Restarts',
] as const;
const RIGHT_ALIGNED: ReadonlySet<string> = new Set(['vCPUs', 'RAM', 'VM PID', 'CPU', 'Memory', 'Uptime', 'Restarts']);
const RIGHT = new Set(COLUMNS.flatMap((name, column) => (RIGHT_ALIGNED.has(name) ? [column] : [])));

/** Mark of services that run without a VM, explained below the table. */
const NO_VM_MARK = '*';
const UNKNOWN = '-';

/** Surroundings of the table. */
interface TableOptions {
  readonly colors: Colors;
  /** Milliseconds since the epoch, for the uptimes. */
  readonly now: number;
  /** Width of the terminal; Infinity for a file or pipe. To fit it, columns move closer and then wrap between words. */
  readonly columns: number;
}

/** The table, then the explanation of the mark, then remarks on services. Ends in a newline. */
export function renderStatusTable(services: readonly ServiceStatus[], options: TableOptions): string {
  const rows = services.map((service) => renderRow(service, options));
  const head = COLUMNS.map((name) => options.colors.bold(name));
  let lines = renderTable(head, rows, { right: RIGHT });
  if (lines.some((line) => stripVTControlCharacters(line).length > options.columns)) {
    lines = renderTable(head, rows, { right: RIGHT, gap: 1, columns: options.columns });
  }
  if (!services.every(hasGuest)) {
    lines.push('', `${NO_VM_MARK} a plain process of this host, not a VM (isolation = "none")`);
  }
  const remarks = services.flatMap((service) =>
    renderRemarks(service, options.now).map((remark) => `${paintName(service, options.colors)}: ${remark}`),
  );
  if (remarks.length > 0) lines.push('', ...remarks);
  return `${lines.join('\n')}\n`;
}

function hasGuest({ isolation }: ServiceStatus): boolean {
  return capabilitiesOf(isolation).guest;
}

function paintName(service: ServiceStatus, { red, yellow }: Colors): string {
  return service.error === null ? yellow(service.name) : red(service.name);
}

function renderRow(service: ServiceStatus, { colors, now }: TableOptions): string[] {
  const hasVm = hasGuest(service);
  const label = `${statusLabel(service)}${hasVm ? '' : NO_VM_MARK}`;
  return [
    service.name,
    service.group ?? UNKNOWN,
    // Nothing limits a plain process.
    hasVm ? String(service.cpus) : UNKNOWN,
    hasVm ? formatCompactSize(service.ram_mib * 2 ** 20) : UNKNOWN,
    String(service.pid ?? UNKNOWN),
    paintStatus(service, label, colors),
    service.group_ip ?? UNKNOWN,
    service.metrics.cpu_usage === null ? UNKNOWN : `${service.metrics.cpu_usage.toFixed(1)}%`,
    service.metrics.memory_usage === null ? UNKNOWN : formatCompactSize(service.metrics.memory_usage),
    formatUptime(service, now),
    String(service.restarts),
  ];
}

/** `128M` for 128 MiB, like `free -h` and `ls -h`: columns are narrow. */
function formatCompactSize(bytes: number): string {
  return formatSize(bytes).replace(/ (?:([KMGT])i)?B$/, (_, prefix: string | undefined) => prefix ?? 'B');
}

function formatUptime({ status, started_at }: ServiceStatus, now: number): string {
  if (started_at === null || (status !== 'Started' && status !== 'Stopping')) return UNKNOWN;
  return formatDuration(now - Date.parse(started_at));
}

/** Lines of a service's last output that are shown; `--json` has all that are known. */
const LAST_LINES = 5;

/**
 * Remarks on a service beyond its row, the gravest first.
 *
 * @param nowMs milliseconds since the epoch
 */
function renderRemarks(service: ServiceStatus, nowMs: number): string[] {
  return [
    ...remarkOnEnd(service),
    ...(service.log_stalled === null ? [] : [maskControls(`its output cannot be written: ${service.log_stalled}`)]),
    ...(service.status === 'Started' && service.detail !== null ? [maskControls(service.detail)] : []),
    ...(service.health === 'unhealthy' ? [maskControls(`unhealthy: ${service.health_detail}`)] : []),
    ...remarkOnRestarts(service, nowMs),
    ...service.notes.map(maskControls),
  ];
}

function remarkOnEnd({ error, reason, last_lines }: ServiceStatus): string[] {
  const what = error ?? (reason === 'out-of-memory' ? 'the guest ran out of memory and killed its command' : null);
  if (what === null) return [];
  const lines = last_lines.slice(-LAST_LINES).map((line) => `    ${line}`);
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
