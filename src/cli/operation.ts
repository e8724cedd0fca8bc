/** Runs a command that changes services: shows its progress and failures and handles Ctrl-C. */
import { setTimeout as delay } from 'node:timers/promises';
import type { CommandReply, ControlEvent, ServiceOutcome } from '../protocol/api.ts';
import type { ServiceStatus } from '../protocol/service.ts';
import type { DaemonClient } from './client.ts';
import type { CliContext } from './connection.ts';
import { EXIT } from './exit-codes.ts';
import { createPlainProgress, type Progress } from './progress/progress.ts';
import { commandFor } from './project.ts';
import { terminalOf } from './render/safe-output.ts';
import { isChanging, renderFailures, renderNotes, type Verb } from './render/status-text.ts';
import { textOptionsFor } from './render/terminal-text.ts';

/** Minimum width for progress rows. Terminals that do not know their size, as in some CI systems, report 0. */
const MIN_COLUMNS = 20;

const INTERRUPTED: Record<Verb, readonly [text: string, next: 'stop' | 'status']> = {
  start: ['services keep starting; to stop them', 'stop'],
  stop: ['services keep stopping; to see them', 'status'],
  restart: ['services keep restarting; to stop them', 'stop'],
  remove: ['services are still being removed; to see them', 'status'],
};

/**
 * Performs a command on the services `names` and shows its progress: rows on a terminal, lines elsewhere. Failures go
 * to stderr.
 *
 * @param perform sends the command; its signal fires on Ctrl-C
 * @param file config that the command was given, for hints
 * @returns the exit code
 * @throws MonocoreError if the operation as a whole failed
 */
export async function runOperation(
  context: CliContext,
  client: DaemonClient,
  verb: Verb,
  names: readonly string[],
  perform: (signal: AbortSignal) => Promise<CommandReply>,
  file?: string,
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
    context.stderr.write(renderNotes(reply.notes));
    context.stderr.write(renderFailures(verb, outcomes, textOptionsFor(context.stderr)));
    return outcomes.some(({ outcome }) => outcome === 'failed') ? EXIT.failed : EXIT.done;
  } catch (error) {
    watching.abort();
    await progress.close();
    if (!interrupt.signal.aborted) throw error;
    const [text, next] = INTERRUPTED[verb];
    context.stderr.write(`\nmonocore: interrupted: ${text}: ${commandFor(next, file)}\n`);
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

/**
 * Passes on changes of `names` until the stream is aborted. The result of the operation comes with the reply, not from
 * here.
 */
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
      // The stream begins with the current status of each service: `Stopped` from an earlier run is not news.
      if (isChanging(event.service) || event.service.detail !== null) changed.add(name);
      if (changed.has(name)) onChange(event.service);
    }
  } catch {
    // The stream was aborted at the end, or the daemon is gone, which the reply reports.
  }
}

/** Time within which a command that cannot work usually ends. */
const FIRST_MOMENTS_MS = 200;
/** Longest wait for services that ended right after their start: their last output may still be on its way. */
const END_PATIENCE_MS = 5000;

/**
 * Status of started services after {@link FIRST_MOMENTS_MS}, once none of them is stopping. Empty if the daemon cannot
 * tell, for example because a service has been removed meanwhile.
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

/**
 * Outcome of a start, given the latest status: a service has failed if it has given up since then, or if its command ended
 * in a failure and waits for its restart.
 */
function concludeStart(outcome: ServiceOutcome, now: ServiceStatus): ServiceOutcome {
  if (outcome.outcome === 'failed') return outcome;
  const error = now.status === 'Failed' ? now.error : describeRetry(now);
  if (now.status !== 'Failed' && error === null) return { ...outcome, service: now };
  return { service: now, outcome: 'failed', error, last_lines: now.last_lines };
}

/** Failure of a service that waits for its restart, as a sentence; null for any other. A service may end with 0 each time. */
function describeRetry({ restarts_at, error, signal, exit_code }: ServiceStatus): string | null {
  if (restarts_at === null) return null;
  const end = signal === null ? `exit code ${exit_code}` : signal;
  const reason = error ?? (signal === null && !exit_code ? null : `it ended with ${end}`);
  return reason === null ? null : `${reason}; it is tried again`;
}

/**
 * Outcome with the latest status. An outcome holds the status at the moment when the operation finished with that
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
