/** A VM that is booted only to see whether it can be. */
import { spawn } from 'node:child_process';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VmPaths } from '../../state/paths.ts';
import { ControlChannel } from '../guest/control-channel.ts';
import { type MachineSpec, renderCommandLine } from './command-line.ts';

/** KVM boots in well under a second; a guest that hangs early must not hold up the first start for long. */
const PROBE_TIMEOUT_MS = 8000;

/**
 * Boots a VM until its init says `ready`, and ends it.
 *
 * @returns null when it got ready, else why not, in a line
 */
export async function probeBoot(qemu: string, spec: Omit<MachineSpec, 'paths' | 'fds'>): Promise<string | null> {
  const dir = await mkdtemp(join(tmpdir(), 'monocore-probe-'));
  const paths = new VmPaths(dir);
  const output = await open(join(dir, 'output'), 'a');
  const args = renderCommandLine({ ...spec, paths, fds: { stdout: 3, stderr: 3, console: 3 } });
  const child = spawn(qemu, args, { stdio: ['ignore', output.fd, output.fd, output.fd] });
  let timer: NodeJS.Timeout | undefined;
  let control: ControlChannel | undefined;
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  try {
    const outcome = await Promise.race([
      new Promise<null>((resolve) => {
        control = new ControlChannel(paths.control, (message) => {
          if (message.type === 'ready') resolve(null);
        });
      }),
      ended.then(() => 'it ended at once'),
      new Promise<string>((resolve) => {
        timer = setTimeout(() => resolve(`it was not ready in ${PROBE_TIMEOUT_MS / 1000} s`), PROBE_TIMEOUT_MS);
      }),
    ]);
    if (outcome === null) return null;
    const lastLine = (await readFile(join(dir, 'output'), 'utf8')).trim().split('\n').at(-1);
    return lastLine ? `${outcome}: ${lastLine.slice(0, 300)}` : outcome;
  } finally {
    clearTimeout(timer);
    control?.close();
    child.kill('SIGKILL');
    await ended;
    await output.close();
    await rm(dir, { recursive: true, force: true });
  }
}
