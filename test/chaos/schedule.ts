/** Schedule of actions. It is decided before the run, so that a seed repeats it whatever the machine does. Pure. */
import type { SeededRandom } from './random.ts';

/** Which process of a service is killed: its command, the process above that, or all of its group; a VM has only one. */
export type Victim = 'command' | 'parent' | 'group';

/** Damages of a service's files: a state file that is missing or cut off, a stream or the whole folder that is missing. */
const DAMAGES = ['delete-state', 'cut-state', 'delete-stream', 'delete-both'] as const;
export type Damage = (typeof DAMAGES)[number];

/** Threads of the daemon that crash, by name, and the process that starts all others. */
const THREADS = ['logs', 'metrics', 'api', 'jobs', 'spawner'] as const;

/** Ports of a VM that root in its guest can write to. */
const PORTS = ['control', 'exit', 'stdout', 'stderr', 'console'] as const;
export type Port = (typeof PORTS)[number];

/** Commands during which the disk becomes full. */
const STEPS = ['start', 'stop', 'restart', 'remove'] as const;
export type Step = (typeof STEPS)[number];

/** Processes that run out of descriptors. */
const STARVED = ['daemon', 'spawner'] as const;

/** Something that is done to the services, the daemon or the host. */
export type Action =
  | { readonly type: 'start'; readonly services: readonly string[] }
  /** `timeoutMs` 0: no time to end in order. */
  | { readonly type: 'stop' | 'restart'; readonly services: readonly string[]; readonly timeoutMs: number | null }
  /** It is stopped and forgotten with all that it printed, then started anew. */
  | { readonly type: 'remove'; readonly service: string }
  /** It is started, and removed before it can be up; then it is started anew. */
  | { readonly type: 'remove-during-start'; readonly service: string; readonly afterMs: number }
  /** SIGKILL to the daemon, and the files of a service are damaged before the next one starts. */
  | { readonly type: 'damage-home'; readonly downMs: number; readonly service: string; readonly damage: Damage }
  /** Another user runs a program with a path of the service's runtime folder in its arguments. */
  | { readonly type: 'decoy'; readonly service: string }
  | { readonly type: 'kill-service'; readonly service: string; readonly victim: Victim }
  | { readonly type: 'crash-thread'; readonly thread: (typeof THREADS)[number] }
  /** SIGKILL; the next daemon is started that much later. */
  | { readonly type: 'kill-daemon'; readonly downMs: number }
  /** It is told to end and to leave its services running; the next one is started that much later. */
  | { readonly type: 'replace-daemon'; readonly downMs: number }
  | { readonly type: 'fill-disk'; readonly forMs: number }
  /** A command is given, and the disk becomes full while it is carried out. */
  | {
      readonly type: 'fill-disk-during';
      readonly step: Step;
      readonly service: string;
      readonly afterMs: number;
      readonly forMs: number;
    }
  /** A process may open that many files more, and no others, for a while. */
  | {
      readonly type: 'starve-descriptors';
      readonly of: (typeof STARVED)[number];
      readonly spare: number;
      readonly forMs: number;
    }
  /** A service of its own is started, whose root writes to a port of its VM without end. */
  | { readonly type: 'flood-port'; readonly port: Port }
  /** Another project declares the service, too, and wants to start it. */
  | { readonly type: 'claim-name'; readonly service: string }
  /** A command without names, in the folder of a project. */
  | { readonly type: 'command-project'; readonly command: Step; readonly project: string }
  | { readonly type: 'delete-log-folder' }
  | { readonly type: 'delete-runtime-folder'; readonly service: string }
  | { readonly type: 'step-clock'; readonly byMs: number };
export type ActionType = Action['type'];

/** An action and its time since the begin of the run. */
export interface PlannedAction {
  readonly atMs: number;
  readonly action: Action;
}

/** Relative frequency of each action. */
const WEIGHTS: Readonly<Record<ActionType, number>> = {
  start: 24,
  stop: 12,
  restart: 10,
  remove: 3,
  'remove-during-start': 3,
  'damage-home': 3,
  decoy: 1,
  'kill-service': 18,
  'crash-thread': 8,
  'kill-daemon': 5,
  'replace-daemon': 3,
  'fill-disk': 4,
  'fill-disk-during': 6,
  'starve-descriptors': 4,
  'flood-port': 2,
  'claim-name': 4,
  'command-project': 3,
  'delete-log-folder': 4,
  'delete-runtime-folder': 2,
  'step-clock': 5,
};
export const ACTION_TYPES = Object.keys(WEIGHTS) as ActionType[];
const TICKETS = ACTION_TYPES.flatMap((type) => Array.from({ length: WEIGHTS[type] }, () => type));

const LEAST_PAUSE_MS = 100;
const MOST_PAUSE_MS = 900;
/** Of a daemon: none, or long enough for services to fill their pipes. */
const DOWN_MS = [0, 0, 500, 3000];
/** Time that a daemon gets to come up and to be asked something, before the next one. */
const DAEMON_LIFE_MS = 8000;
/** From none to enough for some starts. */
const SPARES = [0, 1, 3, 10, 30];
const MINUTE_MS = 60_000;
const CLOCK_STEPS_MS = [-24 * 60, -60, -1, -1 / 60, 1 / 60, 1, 60, 24 * 60].map((minutes) => minutes * MINUTE_MS);

/** Services and projects of a run. */
export interface Cast {
  readonly services: readonly string[];
  /** The one that is removed now and then; null for none. */
  readonly passing: string | null;
  /** Project of {@link Cast.passing} alone. */
  readonly passingProject: string;
  readonly projects: readonly string[];
}

/**
 * Plans a run. Every kind of action that is possible comes once, in a random order, before they are drawn by weight;
 * daemons come and go no faster than that services get to know them.
 *
 * @param types the kinds that are possible
 */
export function planActions(
  random: SeededRandom,
  durationMs: number,
  cast: Cast,
  types: readonly ActionType[] = ACTION_TYPES,
): PlannedAction[] {
  const planned: PlannedAction[] = [];
  const first = random.shuffle(types);
  const tickets = TICKETS.filter((type) => types.includes(type));
  let daemonUpAtMs = 0;
  for (let atMs = 0; ; ) {
    atMs += random.between(LEAST_PAUSE_MS, MOST_PAUSE_MS);
    if (atMs >= durationMs) return planned;
    const isTooSoon = (type: ActionType) => endsDaemon(type) && atMs < daemonUpAtMs;
    const at = first.findIndex((type) => !isTooSoon(type));
    const drawn = at === -1 ? random.pick(tickets) : first.splice(at, 1)[0]!;
    if (isTooSoon(drawn)) continue;
    const action = drawAction(random, drawn, cast);
    if ('downMs' in action) daemonUpAtMs = atMs + action.downMs + DAEMON_LIFE_MS;
    planned.push({ atMs, action });
  }
}

function endsDaemon(type: ActionType): boolean {
  return type === 'kill-daemon' || type === 'damage-home' || type === 'replace-daemon';
}

function drawAction(random: SeededRandom, type: ActionType, cast: Cast): Action {
  const { services, passing, projects, passingProject } = cast;
  const steps = passing === null ? STEPS.filter((step) => step !== 'remove') : STEPS;
  const some = () => random.shuffle(services).slice(0, random.between(1, Math.min(4, services.length)));
  switch (type) {
    case 'start':
      return { type, services: some() };
    case 'stop':
    case 'restart':
      return { type, services: some(), timeoutMs: random.next() < 0.2 ? 0 : null };
    case 'remove':
      return { type, service: passing! };
    case 'remove-during-start':
      return { type, service: passing!, afterMs: random.between(0, 300) };
    case 'damage-home':
      return { type, service: passing!, downMs: random.pick(DOWN_MS), damage: random.pick(DAMAGES) };
    case 'decoy':
      return { type, service: random.pick(services) };
    case 'kill-service':
      return { type, service: random.pick(services), victim: random.pick(['command', 'parent', 'group']) };
    case 'crash-thread':
      return { type, thread: random.pick(THREADS) };
    case 'kill-daemon':
    case 'replace-daemon':
      return { type, downMs: random.pick(DOWN_MS) };
    case 'fill-disk':
      return { type, forMs: random.between(500, 4000) };
    case 'fill-disk-during': {
      const step = random.pick(steps);
      const service = step === 'remove' ? passing! : random.pick(services);
      return { type, step, service, afterMs: random.between(0, 400), forMs: random.between(50, 3000) };
    }
    case 'starve-descriptors':
      return { type, of: random.pick(STARVED), spare: random.pick(SPARES), forMs: random.between(500, 4000) };
    case 'flood-port':
      return { type, port: random.pick(PORTS) };
    case 'claim-name':
      return { type, service: random.pick(services.filter((service) => service !== passing)) };
    case 'command-project': {
      const command = random.pick(steps);
      return { type, command, project: command === 'remove' ? passingProject : random.pick(projects) };
    }
    case 'delete-log-folder':
      return { type };
    case 'delete-runtime-folder':
      return { type, service: random.pick(services) };
    case 'step-clock':
      return { type, byMs: random.pick(CLOCK_STEPS_MS) };
  }
}

/** An action in a line. */
export function describeAction({ type, ...data }: Action): string {
  const words = Object.entries(data).map(
    ([name, value]) => `${name}=${Array.isArray(value) ? value.join(',') : value}`,
  );
  return [type, ...words].join(' ');
}
