/** Programs that only tests run. */
import { join } from 'node:path';
import { executableFolders, findExecutable } from '../../../scripts/debian-packages.ts';
import { resolveHome } from '../../../src/state/paths.ts';

/**
 * Finds a program that `npm run test:programs` unpacked or, without that, the host's.
 *
 * @throws Error naming that command
 */
export function findTestProgram(
  name: string,
  env: NodeJS.ProcessEnv = process.env,
  folders: readonly string[] = executableFolders(env),
): string {
  const path = findExecutable(name, [join(resolveHome(undefined, env), 'test-packages', 'bin'), ...folders]);
  if (path === undefined) throw new Error(`${name} is missing: run npm run test:programs`);
  return path;
}

/** Command that runs a program for one of Node's architectures: empty for this one, else an emulator. */
export function emulator(architecture: string): string[] {
  if (architecture === process.arch) return [];
  return [findTestProgram(architecture === 'arm64' ? 'qemu-aarch64' : 'qemu-x86_64')];
}
