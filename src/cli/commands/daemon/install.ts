/** `monocore daemon install`: writes a systemd unit. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errorCode, errorText, MonocoreError } from '../../../lib/errors.ts';
import { isSource, packageRoot } from '../../../lib/package-info.ts';
import type { CliContext } from '../../connection.ts';
import { type DaemonRunOptions, ownProgram, toSettings } from '../../daemon/process.ts';
import { renderUnit, UNIT_MARK, UNIT_NAME, type UnitScope, unitFolder } from '../../daemon/systemd-unit.ts';

/** Options of the command, and those of `daemon run` in the unit. */
interface DaemonInstallOptions extends DaemonRunOptions {
  readonly user?: boolean;
  readonly system?: boolean;
  readonly print?: boolean;
  readonly force?: boolean;
}

/**
 * Writes the unit, and prints it with the next steps. Does not talk to systemd.
 *
 * @throws MonocoreError `Usage` if the unit exists and is not monocore's, or cannot be written
 */
export async function daemonInstall(context: CliContext, options: DaemonInstallOptions): Promise<void> {
  const { paths, stdout, stderr } = context;
  const scope: UnitScope = options.system || (!options.user && process.getuid?.() === 0) ? 'system' : 'user';
  const unit = renderOwnUnit(scope, paths.home, options);
  if (options.print) return void stdout.write(unit);
  const path = join(unitFolder(scope), UNIT_NAME);
  writeUnit(path, unit, options.force ?? false);
  stdout.write(`${path}:\n\n${unit}\n`);
  stdout.write(renderNextSteps(scope));
  // npx may clear its cache and delete the program that the unit starts.
  if (ownProgram().args.some((argument) => argument.includes('/_npx/'))) {
    const remedy = 'install monocore with npm, then run daemon install again';
    stderr.write(`monocore: note: the unit names the cache of npx; ${remedy}\n`);
  }
}

function renderOwnUnit(scope: UnitScope, home: string, options: DaemonInstallOptions): string {
  const { execPath, args } = ownProgram();
  const workingDir = isSource ? packageRoot : null;
  const odd = [execPath, ...args, home].find((text) => /\p{Cc}/u.test(text));
  if (odd !== undefined) {
    throw new MonocoreError('Usage', `the unit cannot be written: ${JSON.stringify(odd)} contains control characters`);
  }
  return renderUnit({ scope, execPath, args, home, workingDir, settings: toSettings(options) });
}

function writeUnit(path: string, unit: string, force: boolean): void {
  const known = readExisting(path);
  if (known !== null && !known.startsWith(UNIT_MARK) && !force) {
    throw new MonocoreError('Usage', `${path} exists, and monocore did not write it`, {
      details: { hint: 'monocore daemon install --print shows the unit; --force overwrites the file' },
    });
  }
  try {
    mkdirSync(dirname(path), { recursive: true });
    // A rename also replaces a symbolic link: a masked unit is a link to /dev/null.
    const temporary = `${path}.${process.pid}.tmp`;
    writeFileSync(temporary, unit, { mode: 0o644 });
    renameSync(temporary, path);
  } catch (cause) {
    throw new MonocoreError('Usage', `${path} cannot be written: ${errorText(cause)}`, {
      cause,
      details: { hint: 'run it as root for --system, use --user, or write the output of --print yourself' },
    });
  }
}

/** The existing unit; null if there is none, empty if it cannot be read. */
function readExisting(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    return errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR' ? null : '';
  }
}

function renderNextSteps(scope: UnitScope): string {
  const systemctl = scope === 'system' ? 'systemctl' : 'systemctl --user';
  const steps = [
    `${systemctl} daemon-reload`,
    `${systemctl} enable --now ${UNIT_NAME}`,
    ...(scope === 'user' ? ['loginctl enable-linger    # keeps it running while you are logged out'] : []),
  ];
  return `next:\n${steps.map((step) => `  ${step}\n`).join('')}`;
}
