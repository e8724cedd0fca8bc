/** Runs the `monocore` command as people do: as a process of its own. */
import { type ChildProcessWithoutNullStreams, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { isSource } from '../../../src/lib/package-info.ts';
import { TYPESCRIPT_OPTIONS } from './typescript.ts';

const bin = fileURLToPath(import.meta.resolve('../../../src/cli/bin.ts'));
/** The build needs none. */
const loader = isSource ? TYPESCRIPT_OPTIONS : [];

/** Result of a run. */
export interface CliResult {
  readonly exitCode: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Where and how the command runs. */
interface CliSettings {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Further options of Node. */
  readonly nodeOptions?: readonly string[];
  /** A descriptor that the command inherits besides its standard streams, and its number there. */
  readonly stray?: { readonly fd: number; readonly number: number };
}

/** Starts the command. */
export function spawnCli(args: readonly string[], settings: CliSettings = {}): ChildProcessWithoutNullStreams {
  const { cwd, env, nodeOptions = [], stray } = settings;
  const stdio: StdioOptions = ['pipe', 'pipe', 'pipe'];
  if (stray) stdio.push(...Array.from({ length: stray.number - 3 }, () => 'ignore' as const), stray.fd);
  return spawn(process.execPath, [...loader, ...nodeOptions, bin, ...args], {
    cwd,
    env: { ...process.env, MONOCORE_HOME: undefined, MONOCORE_DEBUG: undefined, ...env },
    stdio,
  }) as ChildProcessWithoutNullStreams;
}

/** Runs the command to its end. */
export async function runCli(args: readonly string[], settings: CliSettings = {}): Promise<CliResult> {
  return waitForCli(spawnCli(args, settings));
}

/** Waits for the end of a command that was started. */
export async function waitForCli(child: ChildProcessWithoutNullStreams): Promise<CliResult> {
  const [stdout, stderr] = await Promise.all([buffer(child.stdout), buffer(child.stderr), once(child, 'close')]);
  return { exitCode: child.exitCode, stdout, stderr: stderr.toString() };
}
