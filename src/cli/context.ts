/** What every command gets. */
import { MonocoreError } from '../lib/errors.ts';
import { HomePaths, MAX_SOCKET_PATH_BYTES, resolveHome } from '../state/paths.ts';
import { type Colors, colorsFor } from './terminal.ts';

/** The home that a command works on, and where it writes. */
export interface CliContext {
  readonly paths: HomePaths;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** Colours for stdout. */
  readonly colors: Colors;
}

/**
 * @param home value of `--home`
 * @throws MonocoreError `HomeUnusable` when the path is too long for the daemon's socket: the kernel would cut it off
 */
export function createContext(home: string | undefined): CliContext {
  const paths = new HomePaths(resolveHome(home));
  if (Buffer.byteLength(paths.socket) > MAX_SOCKET_PATH_BYTES) {
    throw new MonocoreError(
      'HomeUnusable',
      `${paths.home} is too long: a unix socket's path has at most ${MAX_SOCKET_PATH_BYTES} bytes. Use a shorter --home`,
    );
  }
  return { paths, stdout: process.stdout, stderr: process.stderr, colors: colorsFor(process.stdout) };
}
