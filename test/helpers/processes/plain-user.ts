/** A user of this host who is not its administrator, with a home and an installation. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { resolveHome } from '../../../src/state/paths.ts';
import { endWithTest, Home, type OtherUser } from '../home.ts';
import { makeTempDir } from '../temp.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

const numberOf = (option: string) => Number(execFileSync('id', [option, 'nobody'], { encoding: 'utf8' }));

/** Folders of the packages that an installation gets, relative to the root, as package-lock.json has them. */
function installedPackages(): string[] {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean }>;
  };
  return Object.entries(packages)
    .filter(([path, { dev, optional }]) => path !== '' && !dev && !optional)
    .map(([path]) => path);
}

/**
 * A home of the user nobody, which has the guests' kernel, and the command in a copy: the user may reach neither the home of
 * whoever runs the tests nor the checkout.
 */
export async function makePlainUserHome(t: TestContext): Promise<{ home: Home; user: OtherUser }> {
  const dir = await makeTempDir(t);
  chmodSync(dir, 0o755);
  const installation = join(dir, 'monocore');
  for (const path of ['package.json', 'dist', ...installedPackages()]) {
    cpSync(join(root, path), join(installation, path), { recursive: true });
  }
  const homeDir = join(dir, 'home');
  mkdirSync(homeDir);
  cpSync(join(resolveHome(undefined), 'kernel'), join(homeDir, 'kernel'), { recursive: true });
  const user = { uid: numberOf('-u'), gid: numberOf('-g'), bin: join(installation, 'dist/src/cli/bin.js') };
  chownSync(homeDir, user.uid, user.gid);
  const home = new Home(homeDir, user);
  endWithTest(t, home);
  return { home, user };
}
