/** Descriptors that the parent of this process left open by mistake; every child of this process would inherit them. */
import { closeSync } from 'node:fs';
import { isInheritable, listDescriptors } from '../lib/proc.ts';

const LAST_STDIO_FD = 2;

/**
 * Closes inherited descriptors other than the standard streams, if children would inherit them. Node opens nothing that
 * children inherit, and marks the descriptors that it finds at its start, but only up to 15 and then up to the first gap.
 * A shell's `exec 40<file` or `<(program)` lies behind that.
 *
 * Call it at the start of a process that is monocore's alone, before other threads run. Main thread.
 */
export function closeInheritedDescriptors(): void {
  for (const { fd } of listDescriptors('self')) if (fd > LAST_STDIO_FD && isInheritable(fd)) closeSync(fd);
}
