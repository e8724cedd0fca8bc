/** A command that changes services, with its progress, its failures and Ctrl-C. */
import { setTimeout as delay } from 'node:timers/promises';
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
  let onChange = () => {};
  const nextChange = () =>
    new Promise<void>((resolve) => {
      onChange = resolve;
    });
  const watched = watch(events, new Set(names), (service) => {
    seen.set(service.name, service);
    progress.update(service);
    onChange();
  });
  try {
    const reply = await perform(interrupt.signal);
    const starts = verb === 'start' || verb === 'restart';
    const settled = starts ? await awaitEnds(client, reply.services, nextChange) : [];
    watching.abort();
    await watched;
    const outcomes = reply.services.map((outcome) => {
      const { name } = outcome.service;
      const now = settled.find((service) => service.name === name);
      return now ? concludeStart(outcome, now) : bringUpToDate(outcome, seen.get(name));
    });
    for (const outcome of outcomes) progress.finish(outcome);
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

/** Time in which a command that cannot work usually ends. */
const FIRST_MOMENTS_MS = 200;
/** Longest wait for the end of services that ended at once: their last output may still be on its way. */
const END_PATIENCE_MS = 5000;

/**
 * Status of started services as `status` shows them after their first moments, once none of them is on its way down.
 * Empty where the daemon does not tell: a service may have been removed meanwhile.
 *
 * @param nextChange resolves at the next change of a service
 */
async function awaitEnds(
  client: DaemonClient,
  outcomes: readonly ServiceOutcome[],
  nextChange: () => Promise<void>,
): Promise<readonly ServiceStatus[]> {
  const names = outcomes.filter(({ outcome }) => outcome !== 'failed').map(({ service }) => service.name);
  if (outcomes.some(({ outcome }) => outcome === 'changed')) await delay(FIRST_MOMENTS_MS);
  const patience = AbortSignal.timeout(END_PATIENCE_MS);
  const isOver = new Promise((resolve) => patience.addEventListener('abort', resolve));
  while (names.length > 0) {
    const change = nextChange();
    const services = await client.services({ names, group: null }).then(
      (reply) => reply.services,
      () => [],
    );
    if (patience.aborted || !services.some(({ status }) => status === 'Stopping')) return services;
    await Promise.race([change, isOver]);
  }
  return [];
}

/** The outcome of a start with the status of now: a service that has given up since has failed. */
function concludeStart(outcome: ServiceOutcome, now: ServiceStatus): ServiceOutcome {
  if (outcome.outcome === 'failed') return outcome;
  if (now.status !== 'Failed') return { ...outcome, service: now };
  return { service: now, outcome: 'failed', error: now.error, last_lines: now.last_lines };
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
