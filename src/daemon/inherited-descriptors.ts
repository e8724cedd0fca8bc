/** Descriptors that whoever started this process left open by mistake, and every child of this one would inherit. */
import { closeSync, readdirSync, readFileSync } from 'node:fs';

const LAST_STDIO_FD = 2;
/** O_CLOEXEC of `flags` in `/proc/<pid>/fdinfo/<fd>`, see proc(5); the number is that of Linux on x86-64 and AArch64. */
const CLOSE_ON_EXEC = 0o2000000;

/**
 * Closes what this process has inherited beyond its standard streams, as far as children would inherit it again. Node
 * opens nothing that children inherit, and marks what it finds at its start, but only up to descriptor 15 and then up
 * to the first gap. A shell's `exec 40<file` or `<(program)` is behind that.
 *
 * To be called at the start of a process that is monocore's alone, before other threads run. Main thread.
 */
export function closeStrayDescriptors(): void {
  const fds = readdirSync('/proc/self/fd').map(Number);
  for (const fd of fds) if (fd > LAST_STDIO_FD && isInheritable(fd)) closeSync(fd);
}

function isInheritable(fd: number): boolean {
  try {
    const [, flags = ''] = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')) ?? [];
    return flags !== '' && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0;
  } catch {
    // The descriptor of the listing itself.
    return false;
  }
}
