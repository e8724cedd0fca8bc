/** The rules about files of the host that a config names. */
import { stat } from 'node:fs/promises';
import { errorCode, errorText } from '../errors.ts';
import { type Fault, type Path, quote, valueFault } from './fault.ts';
import type { Outline } from './outline.ts';

type Kind = 'directory' | 'file';

/** A fault for each `rootfs` that is not a directory and for a `kernel` that is not a file. Reads the disk. */
export async function checkFiles({ kernel, services }: Outline): Promise<Fault[]> {
  const checks = services.map(({ path, values }) => checkKind([...path, 'rootfs'], values.rootfs, 'directory'));
  const faults = await Promise.all([checkKind(['kernel'], kernel, 'file'), ...checks]);
  return faults.filter((fault) => fault !== null);
}

async function checkKind(path: Path, file: string | undefined, kind: Kind): Promise<Fault | null> {
  if (file === undefined) return null;
  try {
    const found = await stat(file);
    if (kind === 'directory' ? found.isDirectory() : found.isFile()) return null;
    return valueFault(path, `${quote(file)} is not a ${kind}`);
  } catch (error) {
    const code = errorCode(error);
    const isMissing = code === 'ENOENT' || code === 'ENOTDIR';
    return valueFault(path, isMissing ? `there is no ${kind} ${quote(file)}` : errorText(error));
  }
}
