/** A command that changes services, with its progress, its failures and Ctrl-C. */
import type { CommandReply, ControlEvent, ServiceOutcome, StopRequest } from '../protocol/api.ts';
import type { ServiceStatus } from '../protocol/service.ts';
import type { DaemonClient } from './client.ts';
import type { CliContext } from './connection.ts';
import { EXIT } from './exit-codes.ts';
import { createSelection } from './options.ts';
import { createPlainProgress, type Progress } from './progress/progress.ts';
import { isChanging, renderFailures, type Verb } from './render/status-text.ts';
import { colorsFor } from './render/terminal-text.ts';

/** A command to the daemon, and its services. */
export interface Operation {
  readonly verb: Verb;
  /** The services to show, in order. */
  readonly names: readonly string[];
  perform(signal: AbortSignal): Promise<CommandReply>;
}

/** Options of `stop`, `restart` and `remove`. */
export interface ChangeOptions {
  readonly group?: string;
  /** Replaces each service's own stop timeout, milliseconds. */
  readonly timeout?: number;
}

/** A row needs some room. A terminal that does not know its size, as in some CI systems, reports 0. */
const MIN_COLUMNS = 20;

const INTERRUPTED: Record<Verb, string> = {
  start: 'services keep starting; to stop them: monocore stop',
  stop: 'services keep stopping; to see them: monocore status',
  restart: 'services keep restarting; to stop them: monocore stop',
  remove: 'services are still being removed; to see them: monocore status',
};

/** The daemon's request for `stop`, `restart` and `remove`. @throws MonocoreError `Usage` for names with a group */
export function createRequest(names: readonly string[], { group, timeout }: ChangeOptions): StopRequest {
  return { ...createSelection(names, group), timeout_ms: timeout ?? null };
}

/** Runs `stop`, `restart` or `remove` on the selected services. @returns the exit code */
export async function changeServices(
  context: CliContext,
  client: DaemonClient,
  verb: Exclude<Verb, 'start'>,
  request: StopRequest,
): Promise<number> {
  // Refuses unknown names before anything is changed.
  const { services } = await client.services(request);
  if (services.length === 0) {
    context.stdout.write(`nothing to ${verb}\n`);
    return EXIT.done;
  }
  return runOperation(context, client, {
    verb,
    names: services.map(({ name }) => name),
    perform: (signal) => client[verb](request, signal),
  });
}

/**
 * Runs the operation and shows it: rows on a terminal, else lines. Failures go to stderr.
 *
 * @returns the exit code
 * @throws MonocoreError where the operation as a whole failed
 */
export async function runOperation(context: CliContext, client: DaemonClient, operation: Operation): Promise<number> {
  const interrupt = catchInterrupt();
  const watching = new AbortController();
  // Opened first, so that no change is missed.
  const events = await client.events(watching.signal);
  const progress = await createProgress(context, operation);
  const seen = new Map<string, ServiceStatus>();
  const watched = watch(events, new Set(operation.names), (service) => {
    seen.set(service.name, service);
    progress.update(service);
  });
  try {
    const { services: outcomes } = await operation.perform(interrupt.signal);
    watching.abort();
    await watched;
    for (const outcome of outcomes) progress.finish(bringUpToDate(outcome, seen.get(outcome.service.name)));
    await progress.close();
    context.stderr.write(renderFailures(operation.verb, outcomes, colorsFor(context.stderr)));
    return outcomes.some(({ outcome }) => outcome === 'failed') ? EXIT.failed : EXIT.done;
  } catch (error) {
    watching.abort();
    await progress.close();
    if (!interrupt.signal.aborted) throw error;
    context.stderr.write(`\nmonocore: interrupted: ${INTERRUPTED[operation.verb]}\n`);
    return EXIT.interrupted;
  } finally {
    interrupt.release();
  }
}

async function createProgress({ stdout, stderr }: CliContext, { verb, names }: Operation): Promise<Progress> {
  if (!stdout.isTTY || stdout.columns < MIN_COLUMNS) return createPlainProgress(verb, (text) => stdout.write(text));
  const { createTerminalProgress } = await import('./progress/terminal.ts');
  return createTerminalProgress(verb, names, stdout, stderr);
}

/** Passes on the changes of `names` until the stream is aborted; the reply tells the result of the operation. */
async function watch(
  events: AsyncIterable<ControlEvent>,
  names: ReadonlySet<string>,
  onChange: (service: ServiceStatus) => void,
): Promise<void> {
  const changed = new Set<string>();
  try {
    for await (const event of events) {
      if (event.type !== 'service' || !names.has(event.service.name)) continue;
      const { name } = event.service;
      // The stream begins with the present status of each service: `Stopped` of an earlier run is not news.
      if (isChanging(event.service) || event.service.detail !== null) changed.add(name);
      if (changed.has(name)) onChange(event.service);
    }
  } catch {
    // Aborted at the end, or the daemon is gone, which the reply reports.
  }
}

/**
 * The outcome with the latest status. An outcome holds the status at the moment when the operation was done with the
 * service; if the service ended while others were still starting, a later event has reported its end.
 */
function bringUpToDate(outcome: ServiceOutcome, seen: ServiceStatus | undefined): ServiceOutcome {
  const isLater = seen && !isChanging(seen) && seen.started_at === outcome.service.started_at;
  return isLater ? { ...outcome, service: seen } : outcome;
}

/** A signal that fires at the first Ctrl-C. The second Ctrl-C ends the process at once. */
export interface Interrupt {
  readonly signal: AbortSignal;
  /** Restores the default effect of Ctrl-C. */
  release(): void;
}

/** Handles Ctrl-C until {@link Interrupt.release} is called. */
export function catchInterrupt(): Interrupt {
  const controller = new AbortController();
  // Not `once`: signal-exit, which listr2 uses to restore the cursor, kills the process when it is the only listener.
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  return { signal: controller.signal, release: () => process.off('SIGINT', onSignal) };
}
