/** Descriptors that whoever started this process left open by mistake, and every child of this one would inherit. */
import { closeSync } from 'node:fs';
import { isInheritable, listDescriptors } from '../lib/proc.ts';

const LAST_STDIO_FD = 2;

/**
 * Closes what this process has inherited beyond its standard streams, as far as children would inherit it again. Node
 * opens nothing that children inherit, and marks what it finds at its start, but only up to descriptor 15 and then up
 * to the first gap. A shell's `exec 40<file` or `<(program)` is behind that.
 *
 * To be called at the start of a process that is monocore's alone, before other threads run. Main thread.
 */
export function closeStrayDescriptors(): void {
  for (const { fd } of listDescriptors('self')) if (fd > LAST_STDIO_FD && isInheritable(fd)) closeSync(fd);
}
