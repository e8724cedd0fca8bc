/**
 * Which accelerator VMs use. /dev/kvm is no proof: there are hosts where it opens and creates a VM that cannot run a
 * stock guest. So KVM is used only after a probe VM has booted with it, and the verdict is kept until the kernel, QEMU
 * or the host change.
 */
import { execFile } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { release } from 'node:os';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import * as v from 'valibot';
import writeFileAtomic from 'write-file-atomic';
import { errorCode, errorText } from '../../lib/errors.ts';
import type { Kernel } from '../guest/kernel.ts';
import type { Accelerator } from './command-line.ts';

const run = promisify(execFile);

const VerdictSchema = v.object({
  accelerator: v.picklist(['kvm', 'tcg']),
  /** Why, for people. */
  reason: v.string(),
  /** Whether a probe VM was started; false where there was no KVM to probe. */
  probed: v.boolean(),
  /** What the verdict holds for: QEMU's version, the guest kernel's file, the host's kernel. */
  qemu_version: v.string(),
  guest_kernel: v.string(),
  host_kernel: v.string(),
});
/** The outcome of a probe, as `cache/accelerator.json` keeps it. */
export type AcceleratorVerdict = v.InferOutput<typeof VerdictSchema>;

/** Version of a QEMU binary: `7.2.22`. */
export async function readQemuVersion(qemu: string): Promise<string> {
  const { stdout } = await run(qemu, ['--version']);
  return /version (\S+)/.exec(stdout)?.[1] ?? 'unknown';
}

/** Why KVM is out of the question, or null when only a probe can tell. */
export function kvmObstacle(): string | null {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return null;
  } catch (error) {
    return errorCode(error) === 'ENOENT' ? 'the host has no /dev/kvm' : `/dev/kvm cannot be used: ${errorText(error)}`;
  }
}

async function readVerdict(path: string): Promise<AcceleratorVerdict | null> {
  try {
    return v.parse(v.pipe(v.string(), v.parseJson(), VerdictSchema), await readFile(path, 'utf8'));
  } catch {
    // Missing, torn or of another version: the probe runs again.
    return null;
  }
}

/**
 * Decides on the accelerator.
 *
 * @param verdictPath where the verdict is kept
 * @param probe boots a VM with KVM; resolves with null when it got ready, else with the reason why not
 * @param obstacle see {@link kvmObstacle}; there is no probe with one
 */
export async function chooseAccelerator(
  qemu: string,
  kernel: Kernel,
  verdictPath: string,
  probe: () => Promise<string | null>,
  obstacle: string | null = kvmObstacle(),
): Promise<AcceleratorVerdict> {
  const { size, mtimeMs } = statSync(kernel.image);
  const key = {
    qemu_version: await readQemuVersion(qemu),
    guest_kernel: `${kernel.image} ${size} ${Math.round(mtimeMs)}`,
    host_kernel: release(),
  };
  if (obstacle !== null) return { accelerator: 'tcg', reason: obstacle, probed: false, ...key };

  const known = await readVerdict(verdictPath);
  const holds =
    known?.qemu_version === key.qemu_version &&
    known.guest_kernel === key.guest_kernel &&
    known.host_kernel === key.host_kernel;
  if (known && holds) return known;

  const failure = await probe();
  const accelerator: Accelerator = failure === null ? 'kvm' : 'tcg';
  const reason = failure === null ? 'a probe VM booted with KVM' : `a probe VM did not boot with KVM: ${failure}`;
  const verdict: AcceleratorVerdict = { accelerator, reason, probed: true, ...key };
  await mkdir(dirname(verdictPath), { recursive: true });
  await writeFileAtomic(verdictPath, `${JSON.stringify(verdict, null, 2)}\n`, { mode: 0o644 });
  return verdict;
}
