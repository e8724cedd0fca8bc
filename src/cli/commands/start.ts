/** `monocore start`. */
import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { loadForStart } from '../../config/load.ts';
import { maskControls } from '../../lib/control-characters.ts';
import { MonocoreError } from '../../lib/errors.ts';
import type { PlannedAction, PlanReply, StartRequestInput } from '../../protocol/api.ts';
import { checkOwners, isSameProject, isSuccessor } from '../../protocol/selection.ts';
import type { Config, ServiceStatus } from '../../protocol/service.ts';
import { readStoredServices } from '../../state/stored-services.ts';
import type { DaemonClient } from '../client.ts';
import { type CliContext, connect, requireDaemon } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';
import { watchFiles } from '../file-watch.ts';
import { catchInterrupt, runOperation } from '../operation.ts';
import { createSelection } from '../options.ts';
import { commandFor } from '../project.ts';
import { renderFailure } from '../render/failure.ts';
import { renderNotes } from '../render/status-text.ts';
import { type Colors, padderOf, textOptionsFor } from '../render/terminal-text.ts';
import { configPath, selectFromConfig } from '../selection.ts';
import { writeLogs } from './logs.ts';

interface StartOptions {
  readonly file?: string;
  readonly profile?: readonly string[];
  readonly group?: string;
  readonly attach?: boolean;
  readonly kernel?: string;
  readonly prune?: boolean;
  readonly takeOver?: boolean;
  readonly atomic?: boolean;
  readonly dryRun?: boolean;
  readonly watch?: boolean;
}

/** Request to the daemon, with the names of its services and the config that it came from. */
interface Request {
  readonly body: StartRequestInput & { readonly config: Config };
  readonly names: readonly string[];
  /** Other files that the config depends on. */
  readonly files: readonly string[];
}

function renderRunOn({ file }: StartOptions): string {
  return `monocore: the services keep running; to stop them: ${commandFor('stop', file)}\n`;
}

/**
 * Starts services and their dependencies, and the daemon if none is running.
 *
 * @throws MonocoreError `ConfigInvalid`, `ServiceUnknown` or `Usage`, before a daemon is started
 */
export async function start(context: CliContext, options: StartOptions, names: readonly string[]): Promise<number> {
  checkOptions(names, options);
  const request = await readRequest(names, options);
  if (options.dryRun) return showPlan(context, request);
  if (request.names.length === 0 && !options.prune && !options.watch) {
    context.stdout.write('nothing to start: the config declares no services\n');
    return EXIT.done;
  }
  const startedAtMs = Date.now();
  const client = await connectToStart(context);
  const exitCode = await send(context, client, request, options.file);
  if (options.watch && exitCode !== EXIT.interrupted) return follow(context, request, names, options);
  if (exitCode !== EXIT.done || !options.attach) return exitCode;

  const end = await writeLogs(context, client, {
    services: request.names,
    streams: ['stdout', 'stderr'],
    tail: null,
    follow: true,
    // Only output since this start, none of earlier runs.
    filter: { sinceMs: startedAtMs, untilMs: null, grep: null },
  });
  if (end === EXIT.interrupted) context.stderr.write(`\n${renderRunOn(options)}`);
  return end;
}

function connectToStart(context: CliContext): Promise<DaemonClient> {
  return requireDaemon(context, 'always', 'to see why: monocore daemon run');
}

function checkOptions(names: readonly string[], { prune, attach, watch, dryRun }: StartOptions): void {
  if (prune && names.length > 0) {
    throw new MonocoreError('Usage', '--prune takes no names of services: give a --group, or nothing for all');
  }
  const [first, second] = Object.entries({ '--attach': attach, '--watch': watch, '--dry-run': dryRun })
    .filter(([, isGiven]) => isGiven)
    .map(([name]) => name);
  if (second !== undefined) throw new MonocoreError('Usage', `give ${first} or ${second}, not both`);
}

async function readRequest(names: readonly string[], options: StartOptions): Promise<Request> {
  const { prune = false, atomic = false, takeOver: take_over = false, kernel } = options;
  const selection = createSelection(names, options.group);
  const loaded = await loadForStart(configPath(options), { profiles: options.profile ?? [], names });
  const config = kernel === undefined ? loaded.config : { ...loaded.config, kernel: checkKernel(kernel) };
  const body = { ...selection, config, prune, atomic, take_over };
  return { body, names: selectFromConfig(config, selection), files: loaded.files };
}

/** Absolute path of a kernel image. @throws MonocoreError `Usage` if there is no such file */
function checkKernel(path: string): string {
  const absolute = resolve(path);
  if (statSync(absolute, { throwIfNoEntry: false })?.isFile()) return absolute;
  throw new MonocoreError('Usage', `--kernel: ${absolute} is not a file`);
}

async function send(
  context: CliContext,
  client: DaemonClient,
  { body }: Request,
  file: string | undefined,
): Promise<number> {
  // Only the daemon knows which services are stopped.
  const shown = (await client.plan(body)).actions.map(({ name }) => name);
  return runOperation(context, client, 'start', shown, (signal) => client.start(body, signal), file);
}

/** Prints the plan. Starts no daemon for it: a new one would restart services by their policy. */
async function showPlan(context: CliContext, { body, names }: Request): Promise<number> {
  const client = await connect(context, 'never');
  const { services } = client ? { services: [] } : await readStoredServices(context.paths, Date.now());
  if (!client) {
    const { services: declared, project }: Config = body.config;
    const starting = declared.filter(({ name }) => names.includes(name));
    checkOwners(starting, project, services, body.take_over ?? false);
  }
  const withoutDaemon = (name: string): PlannedAction => {
    const known = services.find((service) => service.name === name);
    if (known && known.pid !== null) return { name, action: 'keep', reason: 'unless its config has changed' };
    const predecessor = findPredecessor(context, body.config, services, name);
    const reason = predecessor ? `takes the disk of ${predecessor}` : null;
    return { name, action: known ? 'start' : 'create', reason };
  };
  const { actions, notes }: PlanReply = client ? await client.plan(body) : { actions: names.map(withoutDaemon) };
  context.stdout.write(renderPlan(actions, context.colors) || 'nothing to do\n');
  context.stderr.write(renderNotes(notes));
  return EXIT.done;
}

/** Name of the service whose disk a start would give to the service of that name; undefined if there is none. */
function findPredecessor(
  { paths }: CliContext,
  { services: declared, unselected, project }: Config,
  known: readonly ServiceStatus[],
  name: string,
): string | undefined {
  const service = declared.find((candidate) => candidate.name === name);
  if (!service || service.disk_mib === null || existsSync(paths.disk(name))) return undefined;
  const names = new Set([...unselected, ...declared.map((other) => other.name)]);
  return known.find(
    (other) =>
      isSuccessor(service, other) &&
      !names.has(other.name) &&
      (other.project === null || isSameProject(other.project, project)) &&
      existsSync(paths.disk(other.name)),
  )?.name;
}

/** A line per action: `restart  web  cpus changed from 1 to 2`. Ends in a newline; empty without actions. */
export function renderPlan(actions: readonly PlannedAction[], colors: Colors): string {
  const paint: Record<PlannedAction['action'], Colors['green']> = {
    create: colors.green,
    start: colors.green,
    restart: colors.yellow,
    keep: colors.dim,
    stop: colors.red,
  };
  const padAction = padderOf(actions.map(({ action }) => action));
  const padName = padderOf(actions.map(({ name }) => name));
  return actions
    .map(({ name, action, reason }) => {
      const rest = reason === null ? name : `${padName(name)}  ${maskControls(reason)}`;
      return `${paint[action](padAction(action))}  ${rest}\n`;
    })
    .join('');
}

/**
 * Applies every change of the config until Ctrl-C. If the config becomes invalid, shows its problems and keeps the
 * services running.
 */
async function follow(
  context: CliContext,
  first: Request,
  names: readonly string[],
  options: StartOptions,
): Promise<number> {
  const { stdout, stderr } = context;
  const interrupt = catchInterrupt();
  const path = configPath(options);
  const filesOf = ({ files }: Request) => [resolve(path), ...files];
  const watched = watchFiles(filesOf(first), interrupt.signal);
  let applied = first;
  try {
    stdout.write(`watching ${path}; Ctrl-C ends the watch\n`);
    while (await watched.next()) {
      try {
        const request = await readRequest(names, options);
        watched.setFiles(filesOf(request));
        if (isDeepStrictEqual(request.body, applied.body)) continue;
        stdout.write(`${path} has changed\n`);
        // Connects again, because the daemon may have been replaced.
        const exitCode = await send(context, await connectToStart(context), request, options.file);
        applied = request;
        if (exitCode === EXIT.interrupted) break;
      } catch (error) {
        stderr.write(renderFailure(error, textOptionsFor(stderr)));
      }
    }
  } finally {
    watched.close();
    interrupt.release();
  }
  stderr.write(`\n${renderRunOn(options)}`);
  return EXIT.interrupted;
}
