/** A command that changes services, with its progress, its failures and Ctrl-C. */
import type { CommandReply, ControlEvent, ServiceOutcome } from '../protocol/api.ts';
import type { ServiceStatus } from '../protocol/service.ts';
import type { DaemonClient } from './client.ts';
import type { CliContext } from './connection.ts';
import { EXIT } from './exit-codes.ts';
import { createPlainProgress, type Progress } from './progress/progress.ts';
import { isChanging, renderFailures, type Verb } from './render/status-text.ts';
import { colorsFor } from './render/terminal-text.ts';

/** What is to be done. */
export interface Operation {
  readonly verb: Verb;
  /** The services to show, in order. */
  readonly names: readonly string[];
  perform(signal: AbortSignal): Promise<CommandReply>;
}

/** How it went; without outcomes when it was interrupted. */
export interface OperationResult {
  readonly exitCode: number;
  readonly outcomes: readonly ServiceOutcome[];
}

/** Rows need some room. A terminal that does not know its size, as some CI systems have it, says 0. */
const MIN_COLUMNS = 20;

const INTERRUPTED: Record<Verb, string> = {
  start: 'the services keep starting; to stop them: monocore stop',
  stop: 'the services keep stopping; to see them: monocore status',
  restart: 'the services keep restarting; to stop them: monocore stop',
  remove: 'the services are still being removed; to see them: monocore status',
};

/**
 * Runs the operation and shows it: rows on a terminal, else lines. Failures go to stderr.
 *
 * @throws MonocoreError where the operation as a whole failed
 */
export async function runOperation(
  context: CliContext,
  client: DaemonClient,
  operation: Operation,
): Promise<OperationResult> {
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
    const failed = outcomes.some(({ outcome }) => outcome === 'failed');
    return { exitCode: failed ? EXIT.failed : EXIT.done, outcomes };
  } catch (error) {
    watching.abort();
    await progress.close();
    if (!interrupt.signal.aborted) throw error;
    context.stderr.write(`\nmonocore: interrupted, ${INTERRUPTED[operation.verb]}\n`);
    return { exitCode: EXIT.interrupted, outcomes: [] };
  } finally {
    interrupt.release();
  }
}

async function createProgress({ stdout, stderr }: CliContext, { verb, names }: Operation): Promise<Progress> {
  if (!stdout.isTTY || stdout.columns < MIN_COLUMNS) return createPlainProgress(verb, (text) => stdout.write(text));
  const { createTerminalProgress } = await import('./progress/terminal.ts');
  return createTerminalProgress(verb, names, stdout, stderr);
}

/** Passes on the changes of `names`. How the operation itself fares is told by its reply, not here. */
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
      // The stream begins with how things were: `Stopped` of an earlier run is no news.
      if (isChanging(event.service) || event.service.detail !== null) changed.add(name);
      if (changed.has(name)) onChange(event.service);
    }
  } catch {
    // Aborted at the end, or the daemon is gone and the reply says so.
  }
}

/**
 * An outcome tells how a service was when the operation was done with it. One that ended soon after its start, while
 * others were still starting, has been seen to: then that is the last word.
 */
function bringUpToDate(outcome: ServiceOutcome, seen: ServiceStatus | undefined): ServiceOutcome {
  const isLater = seen && !isChanging(seen) && seen.started_at === outcome.service.started_at;
  return isLater ? { ...outcome, service: seen } : outcome;
}

/** A signal that fires at the first Ctrl-C; a second one ends the process at once. */
export interface Interrupt {
  readonly signal: AbortSignal;
  /** Gives Ctrl-C its usual meaning back. */
  release(): void;
}

/** Takes Ctrl-C over until {@link Interrupt.release} is called. */
export function catchInterrupt(): Interrupt {
  const controller = new AbortController();
  // Not `once`: signal-exit, which listr2 brings along to show the cursor again, kills the process if it finds itself
  // to be the only listener.
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  return { signal: controller.signal, release: () => process.off('SIGINT', onSignal) };
}
