/** A folder of kernel modules that only look like some. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** An object file as far as its `.modinfo` section is read: entries that end in NUL, see modinfo(8). */
export function moduleContent(name: string, depends: string): Buffer {
  const entries = ['license=GPL', `depends=${depends}`, 'retpoline=Y', `name=${name}`].map((entry) => `${entry}\0`);
  return Buffer.from(`\x7fELF\x02\x01\0\0rest of the object\0\0${entries.join('')}\0more`, 'latin1');
}

/**
 * Writes modules below `<modulesDir>/kernel`.
 *
 * @param modules what each depends on, by its path; the path's ending says how it is compressed
 */
export function writeModules(modulesDir: string, modules: Readonly<Record<string, string>>): void {
  for (const [path, depends] of Object.entries(modules)) {
    const file = join(modulesDir, 'kernel', path);
    mkdirSync(dirname(file), { recursive: true });
    const name = path.replace(/^.*\/|\.ko.*$/g, '').replaceAll('-', '_');
    writeFileSync(file, compress(path, moduleContent(name, depends)));
  }
}

function compress(path: string, content: Buffer): Buffer {
  if (path.endsWith('.gz')) return gzipSync(content);
  if (path.endsWith('.xz')) return execFileSync('xz', ['-c'], { input: content });
  if (path.endsWith('.zst')) return execFileSync('zstd', ['-cq'], { input: content });
  return content;
}
