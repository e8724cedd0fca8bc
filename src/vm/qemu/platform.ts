/** What all VMs of a host share: QEMU, a kernel, the guest's initramfs and the accelerator. Found once, kept. */
import type { BuildInitramfsJob, InitramfsImage } from '../../protocol/jobs.ts';
import type { HomePaths } from '../../state/paths.ts';
import { findKernel, type Kernel } from '../guest/kernel.ts';
import { type Architecture, findQemu, findStaticBusybox, hostArchitecture } from '../host/host-tools.ts';
import { type AcceleratorVerdict, chooseAccelerator } from './accelerator.ts';
import { readTscKhz } from './command-line.ts';
import { probeBoot } from './kvm-test.ts';

/** Everything that a VM is launched with, whatever its service. */
export interface Platform {
  readonly architecture: Architecture;
  readonly qemu: string;
  readonly kernel: Kernel;
  readonly initramfs: InitramfsImage;
  readonly verdict: AcceleratorVerdict;
  readonly tscKhz: number | null;
}

/** Runs a job off the main thread. */
export type RunInitramfsJob = (job: BuildInitramfsJob) => Promise<InitramfsImage>;

/** Sizes of the probe VM: the smallest that stock kernels boot with. */
const PROBE_RAM_MIB = 128;

/**
 * Finds and prepares everything.
 *
 * @param kernelPath the config's kernel, or null
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
  const initramfs = await buildInitramfs({
    type: 'build-initramfs',
    busyboxPath,
    modulesDir: kernel.modulesDir,
    cacheDir: paths.initramfsDir,
  });
  const tscKhz = architecture === 'x86_64' ? readTscKhz() : null;
  const verdict = await chooseAccelerator(qemu, kernel, paths.acceleratorVerdict, () =>
    probeBoot(qemu, {
      architecture,
      accelerator: 'kvm',
      name: 'probe',
      cpus: 1,
      ramMib: PROBE_RAM_MIB,
      kernelImage: kernel.image,
      initramfs: initramfs.path,
      tscKhz,
      network: null,
      share: false,
      disk: null,
    }),
  );
  return { architecture, qemu, kernel, initramfs, verdict, tscKhz };
}
