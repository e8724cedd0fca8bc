/** A command that changes services, with its progress, its failures and Ctrl-C. */
import type { CommandReply, ControlEvent, ServiceOutcome } from '../protocol/api.ts';
import type { ServiceStatus } from '../protocol/service.ts';
import type { DaemonClient } from './client.ts';
import type { CliContext } from './connection.ts';
import { EXIT } from './exit-codes.ts';
import { createPlainProgress, type Progress } from './progress/progress.ts';
import { terminalOf } from './render/safe-output.ts';
import { isChanging, renderFailures, type Verb } from './render/status-text.ts';
import { textOptionsFor } from './render/terminal-text.ts';

/** A row needs some room. A terminal that does not know its size, as in some CI systems, reports 0. */
const MIN_COLUMNS = 20;

const INTERRUPTED: Record<Verb, string> = {
  start: 'services keep starting; to stop them: monocore stop',
  stop: 'services keep stopping; to see them: monocore status',
  restart: 'services keep restarting; to stop them: monocore stop',
  remove: 'services are still being removed; to see them: monocore status',
};

/**
 * Performs a command on the services `names` and shows it: rows on a terminal, else lines. Failures go to stderr.
 *
 * @param perform sends the command; the signal fires at Ctrl-C
 * @returns the exit code
 * @throws MonocoreError where the operation as a whole failed
 */
export async function runOperation(
  context: CliContext,
  client: DaemonClient,
  verb: Verb,
  names: readonly string[],
  perform: (signal: AbortSignal) => Promise<CommandReply>,
): Promise<number> {
  const interrupt = catchInterrupt();
  const watching = new AbortController();
  // Opened first, so that no change is missed.
  const events = await client.events(watching.signal);
  const progress = await createProgress(context, verb, names);
  const seen = new Map<string, ServiceStatus>();
  const watched = watch(events, new Set(names), (service) => {
    seen.set(service.name, service);
    progress.update(service);
  });
  try {
    const { services: outcomes } = await perform(interrupt.signal);
    watching.abort();
    await watched;
    for (const outcome of outcomes) progress.finish(bringUpToDate(outcome, seen.get(outcome.service.name)));
    await progress.close();
    context.stderr.write(renderFailures(verb, outcomes, textOptionsFor(context.stderr)));
    return outcomes.some(({ outcome }) => outcome === 'failed') ? EXIT.failed : EXIT.done;
  } catch (error) {
    watching.abort();
    await progress.close();
    if (!interrupt.signal.aborted) throw error;
    context.stderr.write(`\nmonocore: interrupted: ${INTERRUPTED[verb]}\n`);
    return EXIT.interrupted;
  } finally {
    interrupt.release();
  }
}

async function createProgress({ stdout, stderr }: CliContext, verb: Verb, names: readonly string[]): Promise<Progress> {
  if (!stdout.isTTY || stdout.columns < MIN_COLUMNS) return createPlainProgress(verb, (text) => stdout.write(text));
  const { createTerminalProgress } = await import('./progress/terminal.ts');
  return createTerminalProgress(verb, names, terminalOf(stdout), terminalOf(stderr));
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

/** Handles Ctrl-C until `release` is called: the first one fires `signal`, the second one ends the process at once. */
export function catchInterrupt(): { readonly signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  // Not `once`: signal-exit, which listr2 uses to restore the cursor, kills the process when it is the only listener.
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  return { signal: controller.signal, release: () => process.off('SIGINT', onSignal) };
}
