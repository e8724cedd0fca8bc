/** The distribution project's own registry, and skopeo to fill it. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { layoutFiles, type TestImage } from '../images/images.ts';
import { findTestProgram } from '../processes/test-program.ts';
import { defer, makeTempDir } from '../temp.ts';
import type { Certificate } from './certificate.ts';

export const USERNAME = 'me';
export const PASSWORD = 'secret';
/** The password by bcrypt, which is all that the registry takes: `htpasswd -nbB me secret`. */
const HTPASSWD = 'me:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n';

/**
 * Starts a registry that wants the password and ends with the test. Returns its host and port.
 *
 * @param certificate for TLS; by default it speaks plain HTTP
 */
export async function startDockerRegistry(t: TestContext, certificate?: Certificate): Promise<string> {
  const dir = await makeTempDir(t);
  writeFileSync(join(dir, 'htpasswd'), HTPASSWD);
  const config = {
    version: '0.1',
    log: { accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(dir, 'data') } },
    http: {
      addr: '127.0.0.1:0',
      ...(certificate && { tls: { certificate: certificate.path, key: certificate.keyPath } }),
    },
    auth: { htpasswd: { realm: 'test', path: join(dir, 'htpasswd') } },
  };
  // JSON is YAML.
  writeFileSync(join(dir, 'config.yml'), JSON.stringify(config));
  const registry = spawn(findTestProgram('docker-registry'), ['serve', join(dir, 'config.yml')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(registry, 'close');
  defer(t, async () => {
    registry.kill('SIGTERM');
    await ended;
  });
  const said: string[] = [];
  for await (const line of createInterface(registry.stderr)) {
    const address = /listening on (127\.0\.0\.1:\d+)/.exec(line)?.[1];
    if (address) {
      registry.stderr.resume();
      return address;
    }
    said.push(line);
  }
  throw new Error(`the registry ended: ${said.join('\n')}`);
}

/** Runs skopeo; what it says on stdout. */
export async function skopeo(...args: string[]): Promise<string> {
  const run = promisify(execFile);
  const { stdout } = await run(findTestProgram('skopeo'), ['--insecure-policy', ...args]);
  return stdout;
}

/** Writes an image as a layout that skopeo reads as `oci:<dir>:<name>`. */
export async function writeLayout(dir: string, image: TestImage, name: string): Promise<void> {
  for (const [path, bytes] of layoutFiles(image, name)) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), bytes);
  }
}
