/** The services of a run: what they print, how they end, and what their policies make of that. */
import { join } from 'node:path';
import type { Isolation } from '../../src/protocol/isolation.ts';
import { DEFAULT_LOG_SETTINGS, type LogSettings } from '../../src/protocol/log-settings.ts';
import type { Project, Service } from '../../src/protocol/service.ts';
import {
  type Condition,
  DEFAULT_RESTART_SETTINGS,
  type HealthCheck,
  type RestartWhen,
} from '../../src/protocol/supervision.ts';
import { scriptService } from '../helpers/fakes/services.ts';
import { ENVIRONMENT_MARK, PROGRAM } from './program.ts';

/** Behaviour of a service. */
interface Character {
  /** Lines between two pauses. */
  readonly burst: number;
  readonly pauseSeconds: number;
  /** Bursts after which it ends by itself; 0 for never. */
  readonly rounds: number;
  /** Exit code when it ends by itself. */
  readonly ownCode: number;
  /** Exit code when it is asked to end; null: it does not listen. */
  readonly askedCode: number | null;
  readonly restart: RestartWhen;
  readonly log: Partial<LogSettings>;
  /** Condition that the previous service must meet first; null starts this one at once. */
  readonly needs?: Condition;
}

/** A service and its expected behaviour. */
export interface Member {
  readonly service: Service;
  readonly character: Character;
  /** Where its runs note what they have printed; null in a VM. */
  readonly ledger: string | null;
  /** It is removed now and then, with all that it printed: its lines cannot be counted. */
  readonly isPassing: boolean;
  /** Its config is that of all members of the project. */
  readonly project: Project;
}

/** Projects on the home. Two share the services that stay; the one that is removed now and then has its own. */
const PROJECTS = ['shop', 'office'] as const;
export const PASSING_PROJECT = 'visit';
/** Of the kinds of processes those of the second project: no other needs them, and they need none. */
const OFFICE_KINDS: readonly number[] = [2, 5];

const GZIP = { compress: 'gzip', compress_delay_ms: 1000 } as const;
const JSON_LOG = { format: 'json' } as const;

const STEADY = { burst: 20, pauseSeconds: 0.25, rounds: 0, ownCode: 0 };
const SHORT = { burst: 20, pauseSeconds: 0.25, rounds: 14 };
const PROCESSES: readonly Character[] = [
  { ...STEADY, askedCode: 40, restart: 'always', log: {} },
  { ...SHORT, ownCode: 7, askedCode: 41, restart: 'on-failure', log: {}, needs: 'healthy' },
  { ...STEADY, burst: 250, askedCode: 42, restart: 'no', log: JSON_LOG },
  { ...SHORT, ownCode: 0, askedCode: 43, restart: 'always', log: GZIP },
  { ...STEADY, askedCode: null, restart: 'unless-stopped', log: {}, needs: 'started' },
  { ...SHORT, rounds: 6, ownCode: 3, askedCode: 44, restart: 'no', log: { ...GZIP, ...JSON_LOG } },
];
const VMS: readonly Character[] = [
  { ...STEADY, askedCode: 45, restart: 'always', log: {} },
  { ...SHORT, rounds: 30, ownCode: 9, askedCode: 46, restart: 'on-failure', log: JSON_LOG },
];

/** So that there are many files. */
const MAX_FILE_BYTES = 64 * 1024;
/** Above it a row of restarts is broken: runs are short here. */
const RESET_MS = 2000;
const HEALTH_CHECK: HealthCheck = {
  probe: { type: 'exec', command: ['/bin/true'] },
  ...{ interval_ms: 2000, timeout_ms: 5000, retries: 3, start_period_ms: 10_000 },
};
const STOP_TIMEOUT_MS = 10_000;
const DEAF_STOP_TIMEOUT_MS = 500;

/** The services: VMs first, then processes, each kind of them in turn; the last one, if it is a process, is passing. */
export function makeFleet(services: number, vms: number, dir: string, ledgerOf: (name: string) => string): Member[] {
  return Array.from({ length: services }, (_, index): Member => {
    const isVm = index < vms;
    const name = isVm ? `vm-${index}` : `process-${index - vms}`;
    const characters = isVm ? VMS : PROCESSES;
    const character = characters[(isVm ? index : index - vms) % characters.length]!;
    const ledger = isVm ? null : ledgerOf(name);
    const service = makeService(name, isVm ? 'vm' : 'none', character, dir, ledger);
    const isPassing = !isVm && index === services - 1 && index > vms;
    const isOffice = !isVm && OFFICE_KINDS.includes((index - vms) % PROCESSES.length);
    const projectName = isPassing ? PASSING_PROJECT : PROJECTS[isOffice ? 1 : 0];
    const project = { name: projectName, folder: join(dir, projectName) };
    const member = { character, ledger, isPassing, project };
    const { needs } = character;
    if (!needs || index === vms || isPassing) return { ...member, service };
    const depends_on = [{ service: `process-${index - vms - 1}`, condition: needs }];
    return { ...member, service: { ...service, depends_on } };
  });
}

function makeService(
  name: string,
  isolation: Isolation,
  character: Character,
  dir: string,
  ledger: string | null,
): Service {
  const { burst, pauseSeconds, rounds, ownCode, askedCode, restart, log } = character;
  const numbers = [burst, pauseSeconds, rounds, ownCode].map(String);
  return scriptService(name, PROGRAM, {
    isolation,
    args: ['-c', PROGRAM, name, ledger ?? '', String(askedCode ?? ''), ...numbers],
    envs: { [ENVIRONMENT_MARK]: dir },
    stop_timeout_ms: askedCode === null ? DEAF_STOP_TIMEOUT_MS : STOP_TIMEOUT_MS,
    restart: { ...DEFAULT_RESTART_SETTINGS, when: restart, reset_ms: RESET_MS },
    healthcheck: isolation === 'none' ? HEALTH_CHECK : null,
    // Nothing is removed, however far the clock steps: lines that were removed cannot be counted.
    log: { ...DEFAULT_LOG_SETTINGS, max_size_bytes: MAX_FILE_BYTES, keep_for_ms: null, keep_total_bytes: null, ...log },
  });
}
