import { readdirSync, readlinkSync } from 'node:fs';

/** How many descriptors of a process, by default this one, lead to `dir` or files below. */
export function openFilesBelow(dir: string, pid: number = process.pid): number {
  const fds = `/proc/${pid}/fd`;
  return readdirSync(fds).filter((fd) => linkTarget(`${fds}/${fd}`).startsWith(dir)).length;
}

function linkTarget(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // It was closed meanwhile, as that of the listing itself is.
    return '';
  }
}
