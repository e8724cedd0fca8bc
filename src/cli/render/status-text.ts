/** Wording of a service's status and of a command's outcome; uses the words of `docker compose` where it has them. */
import { maskControls } from '../../lib/control-characters.ts';
import { formatDuration } from '../../lib/units.ts';
import type { ServiceOutcome } from '../../protocol/api.ts';
import type { ServiceStatus, StatusName } from '../../protocol/service.ts';
import { type Colors, fold, type TextOptions, wrap } from './terminal-text.ts';

/** Commands that change services. */
export type Verb = 'start' | 'stop' | 'restart' | 'remove';

const PARTICIPLES: Record<Verb, string> = {
  start: 'started',
  stop: 'stopped',
  restart: 'restarted',
  remove: 'removed',
};

const LABELS: Record<StatusName, string> = {
  Unstarted: 'not started',
  Starting: 'starting',
  Started: 'running',
  Stopping: 'stopping',
  Stopped: 'stopped',
  Failed: 'failed',
};

/** `running (healthy)`, `running (health: starting)`, `restarting`, `exited (3)`, `exited (SIGKILL)`, `stopped`. */
export function statusLabel(service: ServiceStatus): string {
  const { status, exit_code, signal, health, restarts_at, reason, started_at, ended_by } = service;
  if (restarts_at !== null) return 'restarting';
  const label = LABELS[status];
  if (status === 'Started' && health !== null) {
    return `${label} (${health === 'starting' ? 'health: starting' : health})`;
  }
  if (status !== 'Stopped') return label;
  // The exit code of an adopted VM may be unknown, but the signal that monocore sent is known.
  const killedBy = started_at !== null && ended_by === 'vm_sigkill' ? 'SIGKILL' : null;
  const end = reason === 'out-of-memory' ? 'out of memory' : (signal ?? exit_code ?? killedBy);
  return end === null ? label : `exited (${end})`;
}

export function isChanging({ status }: ServiceStatus): boolean {
  return status === 'Starting' || status === 'Stopping';
}

/**
 * Progress of a service during a command: the current step, or else the status, with the addresses if it runs.
 * `booting`, `restarting in 2s`, `running, http://127.0.0.1:8080`.
 *
 * @param nowMs milliseconds since the epoch
 */
export function progressText(service: ServiceStatus, nowMs: number): string {
  const { detail, status, addresses, restarts_at } = service;
  if (restarts_at !== null) {
    const seconds = Math.ceil((Date.parse(restarts_at) - nowMs) / 1000);
    return seconds > 0 ? `restarting in ${formatDuration(seconds * 1000)}` : 'restarting';
  }
  if (status !== 'Started') return detail ?? statusLabel(service);
  const label = `${statusLabel(service)}${addresses.length > 0 ? `, ${addresses.join(' ')}` : ''}`;
  return detail === null ? label : `${label} (${detail})`;
}

/** Colours `text` by a status. An exit code other than 0 stands out. */
export function paintStatus(service: ServiceStatus, text: string, colors: Colors): string {
  const paint: Record<StatusName, Colors['green']> = {
    Unstarted: colors.dim,
    Starting: colors.yellow,
    Started: service.health === 'unhealthy' ? colors.red : colors.green,
    Stopping: colors.yellow,
    Stopped: service.exit_code ? colors.yellow : colors.dim,
    Failed: colors.red,
  };
  return paint[service.status](text);
}

/** Final text for a service: `running`, `exited (0)`, `removed`, `running (unchanged)`, `failed`. */
export function outcomeText(verb: Verb, { outcome, service }: ServiceOutcome, nowMs: number): string {
  if (outcome === 'failed') {
    if (verb === 'start' && service.status === 'Unstarted') return 'not started';
    if (service.restarts_at !== null) return progressText(service, nowMs);
    return verb === 'start' && service.status === 'Started' ? 'failed; runs as before' : 'failed';
  }
  if (verb === 'remove' && outcome === 'changed') return 'removed';
  if (service.status === 'Unstarted') return statusLabel(service);
  const text = progressText(service, nowMs);
  return outcome === 'unchanged' ? `${text} (unchanged)` : text;
}

/** A line for each fact that the user should know although nothing failed. Empty without any. */
export function renderNotes(notes: readonly string[] = []): string {
  return notes.map((note) => `monocore: note: ${maskControls(note)}\n`).join('');
}

/** The error of each service that failed, then its last output, indented. Empty when none failed. */
export function renderFailures(verb: Verb, outcomes: readonly ServiceOutcome[], options: TextOptions): string {
  const { colors, columns } = options;
  return outcomes
    .filter(({ outcome }) => outcome === 'failed')
    .map(({ service, error, last_lines }) => {
      const what = maskControls(`${service.name} could not be ${PARTICIPLES[verb]}: ${error}`);
      const lines = wrap(`${colors.red('monocore:')} ${what}`, columns, '', '  ');
      if (last_lines.length > 0) {
        lines.push('  last output:', ...last_lines.flatMap((line) => fold(maskControls(line), columns, '    ')));
      }
      return `${lines.join('\n')}\n`;
    })
    .join('');
}
