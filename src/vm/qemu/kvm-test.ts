/**
 * Selects the accelerator. The existence of /dev/kvm proves nothing: on some hosts it can be opened and create a VM,
 * but not run a stock guest. So KVM is used only after a test VM has booted with it, and the verdict is kept until the
 * kernel, QEMU or the host changes.
 */
import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { release } from 'node:os';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import * as v from 'valibot';
import writeFileAtomic from 'write-file-atomic';
import { errorCode, errorText } from '../../lib/errors.ts';
import { makeTempFolder, readBounded } from '../../lib/files.ts';
import { deferred, within } from '../../lib/promises.ts';
import { MIB } from '../../lib/units.ts';
import { MAX_BYTES } from '../../protocol/input.ts';
import { VmPaths } from '../../state/paths.ts';
import { ControlChannel, type GuestMessage } from '../guest/control-channel.ts';
import type { Kernel } from '../guest/kernel.ts';
import { readQemuVersion } from '../host/host-tools.ts';
import { type Accelerator, listMachineFiles, type MachineSpec, renderCommandLine } from './command-line.ts';
import { type JailSpec, jailCommand } from './jail/jail.ts';

/**
 * Time for the test boot. KVM boots in well under a second; a guest that hangs early must not delay the first start for
 * long.
 */
const BOOT_TIMEOUT_MS = 8000;

const VerdictSchema = v.object({
  accelerator: v.picklist(['kvm', 'tcg']),
  /** Text for people. */
  reason: v.string(),
  /** True if a test VM was started; false if there was no KVM to test. */
  tested: v.boolean(),
  /** Scope of the verdict: version of QEMU, file of the guest's kernel, kernel of the host. */
  qemu_version: v.string(),
  guest_kernel: v.string(),
  host_kernel: v.string(),
});
/** Content of `cache/accelerator.json`. */
export type AcceleratorVerdict = v.InferOutput<typeof VerdictSchema>;

/** Reason why KVM cannot be used; null if only a test can decide. */
function kvmObstacle(): string | null {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return null;
  } catch (error) {
    return errorCode(error) === 'ENOENT' ? 'the host has no /dev/kvm' : `/dev/kvm cannot be used: ${errorText(error)}`;
  }
}

/** Reads the saved verdict; null if it is missing, torn or of another version, so that the test must run again. */
export async function readVerdict(path: string): Promise<AcceleratorVerdict | null> {
  try {
    return v.parse(v.pipe(v.string(), v.parseJson(), VerdictSchema), await readBounded(path, MAX_BYTES.record));
  } catch {
    return null;
  }
}

/**
 * Selects the accelerator.
 *
 * @param verdictPath file that keeps the verdict
 * @param testKvm boots a VM with KVM; resolves with null if its guest became ready, otherwise with the reason
 * @param obstacle see {@link kvmObstacle}; if there is one, nothing is tested
 */
export async function chooseAccelerator(
  qemu: string,
  kernel: Kernel,
  verdictPath: string,
  testKvm: () => Promise<string | null>,
  obstacle: string | null = kvmObstacle(),
): Promise<AcceleratorVerdict> {
  const { size, mtimeMs } = statSync(kernel.image);
  const scope = {
    qemu_version: await readQemuVersion(qemu),
    guest_kernel: `${kernel.image} ${size} ${Math.round(mtimeMs)}`,
    host_kernel: release(),
  };
  if (obstacle !== null) return { accelerator: 'tcg', reason: obstacle, tested: false, ...scope };

  const known = await readVerdict(verdictPath);
  if (known && isDeepStrictEqual(known, { ...known, ...scope })) return known;

  const failure = await testKvm();
  const accelerator: Accelerator = failure === null ? 'kvm' : 'tcg';
  const reason = failure === null ? 'a test VM booted with KVM' : `a test VM did not boot with KVM: ${failure}`;
  const verdict: AcceleratorVerdict = { accelerator, reason, tested: true, ...scope };
  await mkdir(dirname(verdictPath), { recursive: true, mode: 0o700 });
  await writeFileAtomic(verdictPath, `${JSON.stringify(verdict, null, 2)}\n`, { mode: 0o600 });
  return verdict;
}

/**
 * Boots a VM until its init reports `ready`, and ends it.
 *
 * @param cacheDir folder to use if there is none for temporary files
 * @returns null if it was ready in time, otherwise the reason in one line
 */
export async function testBoot(
  qemu: string,
  machine: Omit<MachineSpec, 'paths'>,
  jail: Pick<JailSpec, 'kind' | 'visible' | 'devices'>,
  cacheDir: string,
): Promise<string | null> {
  const dir = makeTempFolder('monocore-kvm-test-', cacheDir);
  const paths = new VmPaths(dir);
  const output = await open(paths.fifo('console'), 'a');
  const spec = { ...machine, paths };
  const rest = {
    files: listMachineFiles(spec),
    forwards: [],
    goesOut: false,
    fileBytes: MIB,
    openFiles: null,
    user: null,
    dir,
  };
  const command = await jailCommand({ program: qemu, args: renderCommandLine(spec) }, paths.jail, { ...jail, ...rest });
  const stdio = ['ignore' as const, ...Array<number>(5).fill(output.fd)];
  const child = spawn(command.program, command.args, { stdio, env: {} });
  const ended = deferred<'ended'>();
  for (const event of ['exit', 'error']) child.once(event, () => ended.resolve('ended'));
  const ready = deferred<'ready'>();
  const onMessage = ({ type }: GuestMessage): void => {
    if (type === 'ready') ready.resolve('ready');
  };
  // No command runs in this guest that could misuse the port.
  const control = new ControlChannel(paths.control, onMessage, () => {});
  try {
    const outcome = await within(Promise.race([ready.promise, ended.promise]), BOOT_TIMEOUT_MS);
    if (outcome === 'ready') return null;
    const failure = outcome === 'ended' ? 'it ended at once' : `it was not ready in ${BOOT_TIMEOUT_MS / 1000} s`;
    const lastLine = (await readFile(paths.fifo('console'), 'utf8')).trim().split('\n').at(-1);
    return lastLine ? `${failure}: ${lastLine.slice(0, 300)}` : failure;
  } finally {
    control.close();
    child.kill('SIGKILL');
    await ended.promise;
    await output.close();
    await rm(dir, { recursive: true, force: true });
  }
}
