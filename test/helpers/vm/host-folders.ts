/** Folders of plain files in place of `/proc` and a cgroup file system: for the version that the host does not have. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { makeTempDir } from '../temp.ts';

interface FakeHost {
  /** For `findHostCgroups`. */
  readonly proc: string;
  /** Folder of the mounted hierarchies. */
  readonly mounts: string;
  /** Writes files below {@link FakeHost.mounts}. */
  write(files: Readonly<Record<string, string>>): void;
}

/**
 * @param ownCgroups lines of `/proc/self/cgroup`
 * @param mounted by folder below the mounts: root, type and options of each hierarchy
 */
export async function makeFakeHost(
  t: TestContext,
  ownCgroups: readonly string[],
  mounted: Readonly<Record<string, readonly [root: string, type: string, options: string]>>,
): Promise<FakeHost> {
  const dir = await makeTempDir(t);
  const mounts = join(dir, 'with a blank');
  const proc = join(dir, 'proc');
  mkdirSync(join(proc, 'self'), { recursive: true });
  writeFileSync(join(proc, 'self/cgroup'), `${ownCgroups.join('\n')}\n`);
  const lines = Object.entries(mounted).map(([name, [root, type, options]]) => {
    const path = join(mounts, name).replaceAll(' ', '\\040');
    return `31 23 0:28 ${root} ${path} rw,relatime shared:1 - ${type} ${type} ${options}`;
  });
  writeFileSync(join(proc, 'self/mountinfo'), `22 1 8:1 / / rw - ext4 /dev/sda rw\n${lines.join('\n')}\n`);
  return {
    proc,
    mounts,
    write(files) {
      for (const [path, content] of Object.entries(files)) {
        mkdirSync(dirname(join(mounts, path)), { recursive: true });
        writeFileSync(join(mounts, path), content);
      }
    },
  };
}

/** Files of a cgroup of v2. */
export function v2Files(
  path: string,
  { controllers = 'cpu memory pids', enabled = '', members = [process.pid] as readonly number[] } = {},
): Record<string, string> {
  return {
    [`${path}/cgroup.controllers`]: `${controllers}\n`,
    [`${path}/cgroup.subtree_control`]: `${enabled}\n`,
    [`${path}/cgroup.procs`]: members.map((pid) => `${pid}\n`).join(''),
  };
}
