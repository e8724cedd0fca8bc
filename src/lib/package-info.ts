/** Path and version of this package, in the checkout and in the build. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** True if TypeScript sources run through tsx. */
export const isSource = import.meta.url.endsWith('.ts');

/** Absolute path of the folder with package.json; the build is one level deeper, in `dist/`. */
export const packageRoot = fileURLToPath(new URL(isSource ? '../..' : '../../..', import.meta.url));

/** Script behind `monocore setup`, which prepares a host. */
export const SETUP_SCRIPT = join(packageRoot, 'scripts/setup.sh');

export function packageVersion(): string {
  const manifest = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string };
  return manifest.version;
}
