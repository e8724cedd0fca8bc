/** A service's status and the outcome of a command in words. */
import { maskControls } from '../../lib/control-characters.ts';
import type { ServiceOutcome } from '../../protocol/api.ts';
import type { ServiceStatus, StatusName } from '../../protocol/service.ts';
import type { Colors } from './terminal-text.ts';

/** `Started`, `Started (unhealthy)`, `Restarting`, `Stopped (3)`, `Stopped (SIGKILL)`, `Stopped (out of memory)`. */
export function statusLabel(service: ServiceStatus): string {
  const { status, exit_code, signal, health, restarts_at, reason } = service;
  if (restarts_at !== null) return 'Restarting';
  if (status === 'Started' && health !== null) return `${status} (${health})`;
  if (status !== 'Stopped') return status;
  const end = reason === 'out-of-memory' ? 'out of memory' : (exit_code ?? signal);
  return end === null ? status : `${status} (${end})`;
}

/** True while something is being done to the service. */
export function isChanging({ status }: ServiceStatus): boolean {
  return status === 'Starting' || status === 'Stopping';
}

/** As {@link statusLabel}, with what is being done or where the service can be reached: `Starting (booting)`. */
export function progressText(service: ServiceStatus): string {
  const label = statusLabel(service);
  if (service.status === 'Started' && service.addresses.length > 0) return `${label}, ${service.addresses.join(' ')}`;
  return service.detail === null ? label : `${label} (${service.detail})`;
}

/** Colours `text` by a status. A stop with an exit code other than 0 is worth a look. */
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

/** The commands that change services. */
export type Verb = 'start' | 'stop' | 'restart' | 'remove';

const PARTICIPLES: Record<Verb, string> = {
  start: 'started',
  stop: 'stopped',
  restart: 'restarted',
  remove: 'removed',
};

/** The last word on a service: `Started`, `Stopped (0)`, `Removed`, `Started (nothing to do)`, `Failed`. */
export function outcomeText(verb: Verb, { outcome, service }: ServiceOutcome): string {
  if (outcome === 'failed') return 'Failed';
  if (verb === 'remove' && outcome === 'changed') return 'Removed';
  const text = progressText(service);
  return outcome === 'unchanged' ? `${text} (nothing to do)` : text;
}

/** For each service that failed its error, then indented what it printed last. Empty when none failed. */
export function renderFailures(verb: Verb, outcomes: readonly ServiceOutcome[], colors: Colors): string {
  return outcomes
    .filter(({ outcome }) => outcome === 'failed')
    .map(({ service, error, last_lines }) => {
      const what = maskControls(`${service.name} could not be ${PARTICIPLES[verb]}: ${error}`);
      const lines = [`${colors.red('monocore:')} ${what}`];
      if (last_lines.length > 0) {
        lines.push('  it printed last:', ...last_lines.map((line) => `    ${maskControls(line)}`));
      }
      return `${lines.join('\n')}\n`;
    })
    .join('');
}
