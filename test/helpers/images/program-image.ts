/** Images with programs in them, for guests. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { findProgram, findStaticBusybox } from '../../../src/vm/host/host-tools.ts';
import { type ImageSettings, makeImage, type TestImage } from './images.ts';
import { type LayerEntry, packTar } from './layers.ts';

/** Files of a root with a busybox, programs that are links to it, and the users that there are. */
export function busyboxEntries(programs: readonly string[]): LayerEntry[] {
  const directory = (name: string, mode = 0o755): LayerEntry => ({ name, type: 'directory', mode });
  return [
    ...['bin', 'etc', 'home'].map((name) => directory(name)),
    directory('tmp', 0o1777),
    { name: 'bin/busybox', mode: 0o755, content: readFileSync(findStaticBusybox()) },
    ...programs.map((name): LayerEntry => ({ name: `bin/${name}`, type: 'symlink', linkname: 'busybox' })),
    {
      name: 'etc/passwd',
      content: 'root:x:0:0:root:/root:/bin/sh\nweb:x:1001:1002:Web:/home/web:/bin/sh\nbroken\n',
    },
    { name: 'etc/group', content: 'root:x:0:\nweb:x:1002:\nlog:x:1500:other,web\nspare:x:1501:\n' },
  ];
}

/** An image with a busybox in its lowest layer. */
export async function makeBusyboxImage(
  programs: readonly string[],
  config: NonNullable<ImageSettings['config']>,
  ...layers: readonly (readonly LayerEntry[])[]
): Promise<TestImage> {
  const packed = await Promise.all([busyboxEntries(programs), ...layers].map((entries) => packTar(entries)));
  return makeImage({ layers: packed, config });
}

/**
 * Dynamically linked programs of the host with the libraries that they need, as a distribution has them: at the paths
 * where the dynamic linker looks.
 */
export function hostProgramEntries(programs: readonly string[]): LayerEntry[] {
  const files = new Set<string>();
  for (const name of programs) {
    const path = findProgram(name)!;
    files.add(path);
    const listed = execFileSync('ldd', [path], { encoding: 'utf8' });
    for (const [, library] of listed.matchAll(/(\/\S+) \(0x/g)) files.add(library!);
  }
  return [...files].map((path) => ({ name: path.slice(1), mode: 0o755, content: readFileSync(path) }));
}
