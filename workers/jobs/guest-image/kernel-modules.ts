/** Finds kernel modules and their dependencies, without relying on depmod. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { MonocoreError } from '../../../src/lib/errors.ts';

/** Module ready to be loaded. */
interface KernelModule {
  /** Canonical name: that of the file, with underscores, as in the kernel. */
  readonly name: string;
  /** Decompressed ELF object. */
  readonly content: Buffer;
}

function canonicalName(file: string): string {
  return basename(file)
    .replace(/\.ko(\.(xz|zst|gz))?$/, '')
    .replaceAll('-', '_');
}

/**
 * Reads and decompresses a module. Distributions compress modules in several ways, none of which the guest's insmod
 * supports.
 */
function readModule(path: string): Buffer {
  if (path.endsWith('.gz')) return gunzipSync(readFileSync(path));
  const program = path.endsWith('.xz') ? 'xz' : path.endsWith('.zst') ? 'zstd' : null;
  if (program === null) return readFileSync(path);
  try {
    return execFileSync(program, ['-dcq', path], { maxBuffer: 64 * 2 ** 20 });
  } catch (cause) {
    throw new MonocoreError('ToolMissing', `${path} cannot be decompressed; install ${program}`, { cause });
  }
}

/** Entry `depends=` of the `.modinfo` section: names separated by commas (modinfo(8)). */
function readDependencies(content: Buffer): string[] {
  const key = '\0depends=';
  const at = content.indexOf(key, 0, 'latin1');
  if (at === -1) return [];
  const end = content.indexOf(0, at + key.length);
  const names = content.toString('latin1', at + key.length, end);
  return names === '' ? [] : names.split(',').map((name) => name.replaceAll('-', '_'));
}

/** Modules of one kernel. */
export class KernelModules {
  readonly #paths = new Map<string, string>();
  readonly #loaded = new Map<string, KernelModule>();

  /** Finds the modules. @param modulesDir `…/lib/modules/<release>`, or null for a kernel with everything built in */
  constructor(modulesDir: string | null) {
    if (modulesDir === null) return;
    const root = join(modulesDir, 'kernel');
    for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
      if (!/\.ko(\.(xz|zst|gz))?$/.test(entry.name)) continue;
      this.#paths.set(canonicalName(entry.name), join(entry.parentPath, entry.name));
    }
  }

  /**
   * Returns the named modules and all their dependencies, each after those that it depends on. A name without a file is
   * left out: it is built into the kernel, or this kernel lacks it, which becomes apparent when a guest needs it.
   */
  resolve(names: readonly string[]): KernelModule[] {
    const ordered = new Map<string, KernelModule>();
    const visit = (name: string): void => {
      if (ordered.has(name)) return;
      const module = this.#load(name);
      if (!module) return;
      for (const dependency of readDependencies(module.content)) visit(dependency);
      ordered.set(name, module);
    };
    for (const name of names) visit(name);
    return [...ordered.values()];
  }

  #load(name: string): KernelModule | null {
    const known = this.#loaded.get(name);
    if (known) return known;
    const path = this.#paths.get(name);
    if (path === undefined) return null;
    const module = { name, content: readModule(path) };
    this.#loaded.set(name, module);
    return module;
  }
}
