/** Parts that all VMs of a host share: QEMU, a kernel, the guest's initramfs and the accelerator. */
import { createHash } from 'node:crypto';
import { mkdirSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import writeFileAtomic from 'write-file-atomic';
import { errorText, errorTextWithPath, MonocoreError } from '../../lib/errors.ts';
import type { HomePaths } from '../../state/paths.ts';
import { findKernel } from '../guest/kernel.ts';
import type { RunInitramfsJob } from '../host/host-backend.ts';
import { findQemu, findStaticBusybox, hostArchitecture, run } from '../host/host-tools.ts';
import type { MachineSpec } from './command-line.ts';
import { findJailKind, type JailKind, type JailSpec, listDevices, listProgramFiles } from './jail/jail.ts';
import { type AcceleratorVerdict, chooseAccelerator, testBoot } from './kvm-test.ts';

/** Everything that a VM is launched with, independent of its service. */
export interface Platform {
  readonly qemu: string;
  readonly machine: Pick<MachineSpec, 'architecture' | 'kernelImage' | 'initramfs' | 'tscKhz'>;
  /** Size of the initramfs, which is a file in the cache. */
  readonly initramfsBytes: number;
  readonly verdict: AcceleratorVerdict;
  readonly jail: Pick<JailSpec, 'kind' | 'visible' | 'devices'>;
}

/** Smallest memory with which stock kernels boot. */
const TEST_RAM_MIB = 128;

/**
 * Reason why this QEMU cannot connect the VMs of a group or open UDP ports, for people; null if it can: `-netdev
 * stream` was added in QEMU 7.2.
 *
 * @param version as QEMU prints it: `7.2.22`
 */
export function groupObstacle(version: string): string | null {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10) || 0);
  if (major > 7 || (major === 7 && minor >= 2)) return null;
  return `QEMU ${version} has no -netdev stream; 7.2 and newer have it`;
}

const TSC = fileURLToPath(new URL('./tsc/x64/monocore-tsc', import.meta.url));

/**
 * Measures the rate of the time stamp counter in kHz, which takes a tenth of a second. Under TCG on `microvm`, Debian's
 * kernels hang at clock calibration unless they are given the rate, and they trust it: with a wrong rate, the clock of
 * the guest runs at the wrong speed.
 *
 * @param program prints the rate, see tsc/tsc.c
 * @throws MonocoreError `StartFailed`
 */
export async function measureTscKhz(program = TSC): Promise<number> {
  const text = await run(program, []).catch((cause: unknown) => {
    const reason = `the rate of the processor's time stamp counter could not be measured: ${errorText(cause)}`;
    throw new MonocoreError('StartFailed', reason, { cause });
  });
  return Number(text);
}

/**
 * Kernel that QEMU can open as the user of its jail. The jail gives access despite the modes of folders, not despite
 * those of the file: one that only its owner can read is copied to the cache, which no other user can enter.
 */
async function openableKernel(image: string, copiesDir: string): Promise<string> {
  if ((statSync(image).mode & 0o004) !== 0) return image;
  mkdirSync(copiesDir, { recursive: true, mode: 0o700 });
  const copy = join(copiesDir, createHash('sha256').update(image).digest('hex'));
  await writeFileAtomic(copy, await readFile(image), { mode: 0o644 });
  return copy;
}

/**
 * Kind of jail for QEMU on this host; `none` if its files cannot be listed.
 *
 * @param cacheDir folder to use if there is none for temporary files
 * @throws MonocoreError `ToolMissing`; the system error if there is no folder
 */
async function findQemuJail(qemu: string, cacheDir: string): Promise<{ kind: JailKind; visible: string[] }> {
  const none = (obstacle: string) => ({ kind: { namespaces: 'none', obstacle } as const, visible: [] });
  const kind = await findJailKind(cacheDir);
  return listProgramFiles(qemu).then(
    (visible) => ({ kind, visible }),
    (error: unknown) => none(`the files of ${qemu} cannot be listed: ${errorTextWithPath(error)}`),
  );
}

/**
 * Finds and prepares everything.
 *
 * @param kernelPath kernel set by the config, or null
 * @throws MonocoreError `ToolMissing` naming the package to install
 */
export async function preparePlatform(
  paths: HomePaths,
  kernelPath: string | null,
  buildInitramfs: RunInitramfsJob,
): Promise<Platform> {
  const architecture = hostArchitecture();
  const qemu = findQemu(architecture);
  const kernel = findKernel(kernelPath, paths.kernelDir, architecture);
  const busyboxPath = findStaticBusybox();
  const { modulesDir } = kernel;
  const job = { type: 'build-initramfs', busyboxPath, modulesDir, cacheDir: paths.initramfsDir } as const;
  const { path: initramfs, bytes: initramfsBytes } = await buildInitramfs(job);
  const { kind, visible } = await findQemuJail(qemu, paths.cacheDir);
  const kernelImage =
    kind.namespaces === 'host' ? await openableKernel(kernel.image, paths.kernelCopiesDir) : kernel.image;
  const machine = { architecture, kernelImage, initramfs, tscKhz: null };
  const least = { name: 'kvm-test', cpus: 1, ramMib: TEST_RAM_MIB, network: null, share: false, disk: null };
  const testSpec = { ...machine, ...least, accelerator: 'kvm' } as const;
  const jail = { kind, visible: [...visible, kernelImage, initramfs], devices: listDevices(true) };
  const testKvm = () => testBoot(qemu, testSpec, jail, paths.cacheDir);
  const verdict = await chooseAccelerator(qemu, kernel, paths.acceleratorVerdict, testKvm);
  const devices = listDevices(verdict.accelerator === 'kvm');
  const isEmulated = architecture === 'x86_64' && verdict.accelerator === 'tcg';
  const tscKhz = isEmulated ? await measureTscKhz() : null;
  return { qemu, machine: { ...machine, tscKhz }, initramfsBytes, verdict, jail: { ...jail, devices } };
}
