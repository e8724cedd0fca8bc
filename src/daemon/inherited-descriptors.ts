/** Closes descriptors that the parent process left open by mistake; every child would inherit them. */
import { closeSync } from 'node:fs';
import { isInheritable, listDescriptors } from '../lib/proc.ts';

const LAST_STDIO_FD = 2;

/**
 * Closes inherited descriptors other than the standard streams, if children would inherit them. Node opens nothing that
 * children inherit, and at its start it marks existing descriptors as close-on-exec, but only up to 15 and then up to
 * the first gap. Descriptors from a shell's `exec 40<file` or `<(program)` are beyond that.
 *
 * Call this at the start of a process that belongs to monocore alone, before other threads run. Main thread.
 */
export function closeInheritedDescriptors(): void {
  for (const { fd } of listDescriptors('self')) if (fd > LAST_STDIO_FD && isInheritable(fd)) closeSync(fd);
}
