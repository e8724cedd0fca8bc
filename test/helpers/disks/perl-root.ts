/** A root directory with busybox and perl: for what busybox has no program. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findProgram, findStaticBusybox } from '../../../src/vm/host/host-tools.ts';

const APPLETS = ['cat', 'grep', 'nc', 'sh', 'sleep'];

/** Fills `root` with the host's perl, the libraries that it needs and the modules of Debian's perl-base. */
export function makePerlRoot(root: string): void {
  const perl = findProgram('perl')!;
  const modules = execFileSync(perl, ['-e', 'print grep { /perl-base$/ } @INC'], { encoding: 'utf8' });
  const libraries = execFileSync('ldd', [perl], { encoding: 'utf8' }).match(/\/\S+/g) ?? [];
  for (const path of [...libraries, modules]) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    cpSync(path, join(root, path), { recursive: true, dereference: true });
  }
  mkdirSync(join(root, 'bin'), { recursive: true });
  cpSync(perl, join(root, 'bin/perl'), { dereference: true });
  cpSync(findStaticBusybox(), join(root, 'bin/busybox'));
  for (const applet of APPLETS) symlinkSync('busybox', join(root, 'bin', applet));
}
