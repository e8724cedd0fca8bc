/** `monocore daemon install`: writes a systemd unit. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { errorCode, errorText, MonocoreError } from '../../../lib/errors.ts';
import { isSource, packageRoot } from '../../../lib/package-info.ts';
import type { LogLevel } from '../../../protocol/http.ts';
import { DaemonClient } from '../../client.ts';
import type { CliContext } from '../../connection.ts';
import { askStatus, ownProgram } from '../../daemon/process.ts';
import { renderUnit, UNIT_MARK, UNIT_NAME, type UnitScope } from '../../daemon/systemd-unit.ts';
import { EXIT } from '../../exit-codes.ts';

/** Options of `daemon install`; the last three are those of `daemon run` in the unit. */
export interface DaemonInstallOptions {
  readonly user?: boolean;
  readonly system?: boolean;
  readonly print?: boolean;
  readonly force?: boolean;
  readonly logLevel: LogLevel;
  readonly logWorkers: number;
  readonly leaveRunning?: boolean;
}

/**
 * Writes the unit, prints it and what to do next. systemd itself is not asked for anything.
 *
 * @returns the exit code
 * @throws MonocoreError `Usage` when a unit is there that is not monocore's, or it cannot be written
 */
export async function daemonInstall(context: CliContext, options: DaemonInstallOptions): Promise<number> {
  const { paths, stdout, stderr } = context;
  const scope: UnitScope = options.system || (!options.user && process.getuid?.() === 0) ? 'system' : 'user';
  const unit = renderOwnUnit(scope, paths.home, options);
  if (options.print) {
    stdout.write(unit);
    return EXIT.done;
  }
  const path = join(unitFolder(scope), UNIT_NAME);
  writeUnit(path, unit, options.force ?? false);
  stdout.write(`${path}:\n\n${unit}\n`);
  const daemon = await askStatus(new DaemonClient(paths.socket));
  stdout.write(renderNextSteps(scope, daemon?.settings?.background ?? daemon !== null));
  // What npx fetches is removed again some day, and with it the program that the unit starts.
  if (ownProgram().args.some((argument) => argument.includes('/_npx/'))) {
    stderr.write(
      'monocore: note: this monocore is in the cache of npx: install it with npm, then write the unit again\n',
    );
  }
  return EXIT.done;
}

function renderOwnUnit(scope: UnitScope, home: string, options: DaemonInstallOptions): string {
  const { execPath, args } = ownProgram();
  const workingDir = isSource ? packageRoot : null;
  const odd = [execPath, ...args, home].find((text) => /\p{Cc}/u.test(text));
  if (odd !== undefined) {
    throw new MonocoreError('Usage', `a unit cannot name ${JSON.stringify(odd)}: it contains control characters`);
  }
  const { logLevel, logWorkers, leaveRunning = false } = options;
  const settings = { log_level: logLevel, log_workers: logWorkers, leave_running: leaveRunning };
  return renderUnit({ scope, execPath, args, home, workingDir, settings });
}

/** Where administrators and users put their own units: systemd.unit(5). */
function unitFolder(scope: UnitScope): string {
  if (scope === 'system') return '/etc/systemd/system';
  const { XDG_CONFIG_HOME: configured } = process.env;
  // XDG Base Directory Specification: a relative path is to be ignored.
  const config = configured && isAbsolute(configured) ? configured : join(homedir(), '.config');
  return join(config, 'systemd', 'user');
}

function writeUnit(path: string, unit: string, force: boolean): void {
  const known = readExisting(path);
  if (known !== null && !known.startsWith(UNIT_MARK) && !force) {
    throw new MonocoreError('Usage', `${path} is there, and monocore has not written it`, {
      details: { hint: 'monocore daemon install --print shows the unit; --force overwrites what is there' },
    });
  }
  try {
    mkdirSync(dirname(path), { recursive: true });
    // In one step, and in the place of a link: a masked unit is one to /dev/null.
    const temporary = `${path}.${process.pid}.tmp`;
    writeFileSync(temporary, unit, { mode: 0o644 });
    renameSync(temporary, path);
  } catch (cause) {
    throw new MonocoreError('Usage', `${path} cannot be written: ${errorText(cause)}`, {
      cause,
      details: { hint: 'run it as root for --system, or use --user, or write what --print prints' },
    });
  }
}

/** Null when nothing is there. A unit that cannot be read is somebody else's. */
function readExisting(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    return errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR' ? null : '';
  }
}

/** @param inTheWay a daemon runs that a command has started, so that the unit's would be refused */
function renderNextSteps(scope: UnitScope, inTheWay: boolean): string {
  const systemctl = scope === 'system' ? 'systemctl' : 'systemctl --user';
  const steps = [
    ...(inTheWay ? ['monocore daemon stop --leave-running'] : []),
    `${systemctl} daemon-reload`,
    `${systemctl} enable --now ${UNIT_NAME}`,
    ...(scope === 'user' ? ['loginctl enable-linger    # lets it run while you are not logged in'] : []),
  ];
  return `next:\n${steps.map((step) => `  ${step}\n`).join('')}`;
}
