/** FIFOs without a spawner. */
import { execFileSync } from 'node:child_process';

/** Makes FIFOs with mode 0600. */
export function makeFifos(paths: readonly string[]): void {
  execFileSync('mkfifo', ['-m', '0600', '--', ...paths]);
}
