/** Starts microVMs with QEMU. */
import { rm } from 'node:fs/promises';
import { MonocoreError } from '../../errors.ts';
import { STREAM_NAMES } from '../../protocol/logs.ts';
import type { HomePaths } from '../../state/paths.ts';
import { spawnDetached } from '../child.ts';
import type { LaunchRequest, PreparedVm, RunningVm, VmDriver, VmEvent } from '../driver.ts';
import { closeAll, openChildEnd, openLossyChildEnd } from '../fifos.ts';
import { makeRuntimeFolder, openReadEnds } from '../runtime-folder.ts';
import { renderCommandLine } from './command-line.ts';
import { renderJobScript } from './job-script.ts';
import { type Platform, preparePlatform, type RunInitramfsJob } from './platform.ts';
import { checkPortsAreFree } from './ports.ts';
import { QemuVm } from './qemu-vm.ts';
import { shareRoot } from './root-share.ts';

/** Descriptors 1 and 2 of QEMU are the console's; the guest's streams follow. */
const CHILD_FDS = { stdout: 3, stderr: 4, console: 5 } as const;

/** The driver of isolation `vm`. Main thread. */
export class QemuDriver implements VmDriver {
  readonly isolation = 'vm';
  readonly #paths: HomePaths;
  readonly #kernelPath: () => string | null;
  readonly #buildInitramfs: RunInitramfsJob;
  #platform: { readonly kernelPath: string | null; readonly ready: Promise<Platform> } | null = null;

  /**
   * @param kernelPath the config's kernel at the time of a launch, or null
   * @param buildInitramfs runs the job in the pool
   */
  constructor(paths: HomePaths, kernelPath: () => string | null, buildInitramfs: RunInitramfsJob) {
    this.#paths = paths;
    this.#kernelPath = kernelPath;
    this.#buildInitramfs = buildInitramfs;
  }

  /** What VMs are launched with: found at the first launch, again after a failure. */
  platform(): Promise<Platform> {
    const kernelPath = this.#kernelPath();
    if (this.#platform?.kernelPath === kernelPath) return this.#platform.ready;
    const ready = preparePlatform(this.#paths, kernelPath, this.#buildInitramfs);
    ready.catch(() => {
      this.#platform = null;
    });
    this.#platform = { kernelPath, ready };
    return ready;
  }

  async prepare(request: LaunchRequest, signal: AbortSignal): Promise<PreparedVm> {
    const { service, address } = request;
    const platform = await this.platform();
    await checkPortsAreFree(service, address);
    if (signal.aborted) throw new MonocoreError('Aborted', `the start of ${service.name} was cancelled`);
    const paths = this.#paths.vm(service.name);
    await makeRuntimeFolder(
      paths,
      STREAM_NAMES.map((stream) => paths.fifo(stream)),
    );
    return {
      streams: openReadEnds(paths, STREAM_NAMES),
      launch: (onEvent) => this.#launch(platform, request, onEvent),
    };
  }

  async cleanUp(service: string): Promise<void> {
    await rm(this.#paths.vm(service).dir, { recursive: true, force: true });
  }

  async #launch(platform: Platform, request: LaunchRequest, onEvent: (event: VmEvent) => void): Promise<RunningVm> {
    const { service, address, localOnly } = request;
    const paths = this.#paths.vm(service.name);
    // A guest that may go out needs the device as much as one that is called from outside.
    const network = service.ports.length > 0 || !localOnly ? { address, ports: service.ports, localOnly } : null;
    const args = renderCommandLine({
      architecture: platform.architecture,
      accelerator: platform.verdict.accelerator,
      name: service.name,
      cpus: service.cpus,
      ramMib: service.ram_mib,
      kernelImage: platform.kernel.image,
      initramfs: platform.initramfs.path,
      tscKhz: platform.tscKhz,
      paths,
      fds: CHILD_FDS,
      network,
      sharedRoot: service.rootfs !== null,
    });
    const childEnds: number[] = [];
    let stopSharing: (() => void) | undefined;
    try {
      // A console that nobody reads must not stop QEMU itself, so it may lose text; the service's streams may not.
      const console = openLossyChildEnd(paths.fifo('console'));
      childEnds.push(console);
      const stdout = openChildEnd(paths.fifo('stdout'));
      childEnds.push(stdout);
      const stderr = openChildEnd(paths.fifo('stderr'));
      childEnds.push(stderr);
      if (service.rootfs !== null) stopSharing = await shareRoot(service.rootfs, paths.rootShare, console);
      const child = await spawnDetached(platform.qemu, args, ['ignore', console, console, stdout, stderr, console]);
      const job = renderJobScript(service, network !== null, service.rootfs !== null);
      return new QemuVm(child, paths, job, onEvent);
    } catch (error) {
      stopSharing?.();
      throw error;
    } finally {
      // What stays open here would keep the streams from ever ending.
      closeAll(childEnds);
    }
  }
}
