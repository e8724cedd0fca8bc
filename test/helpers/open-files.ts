import { readdirSync, readlinkSync } from 'node:fs';

/** How many descriptors of this process lead to files below `dir`. */
export function openFilesBelow(dir: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => linkTarget(fd).startsWith(dir)).length;
}

function linkTarget(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    // The descriptor of the listing itself.
    return '';
  }
}
