/** Starts microVMs with QEMU. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { MonocoreError } from '../../lib/errors.ts';
import { STREAM_NAMES, type StreamName } from '../../protocol/log-files/names.ts';
import { memberMac } from '../../protocol/network.ts';
import type { Service } from '../../protocol/service.ts';
import type { HomePaths } from '../../state/paths.ts';
import type {
  Adoption,
  AdoptRequest,
  Backend,
  BackendEvent,
  Instance,
  LaunchRequest,
  PreparedInstance,
} from '../backend.ts';
import { hasNetwork, type Job, makeJob, stopSignalOf } from '../guest/job.ts';
import { prepareDisk } from '../host/disk.ts';
import { readExitRecord } from '../host/exit-record.ts';
import { closeAll, type FifoMaker, openReadEnd } from '../host/fifos.ts';
import { findAdopted, type Spawner } from '../host/host-process.ts';
import { type AppliedLimits, ServiceLimits } from '../host/limits/service-limits.ts';
import { findUser, type HostUser } from '../host/limits/user.ts';
import { checkPortsAreFree } from '../host/port-forwards.ts';
import { makeRuntimeFolder, openEnds, openReadEnds } from '../host/runtime-folder.ts';
import { describeOmissions } from '../host/service-command.ts';
import { describeLinks, findSharedFiles, type SharedFile } from '../host/shared-files.ts';
import { endStrayShare, guardAdoptedShare, shareFiles } from '../host/virtiofsd.ts';
import { renderCommandLine } from './command-line.ts';
import { memoryLimitBytes } from './memory-limit.ts';
import { groupObstacle, type Platform, preparePlatform, type RunInitramfsJob } from './platform.ts';
import { QemuVm } from './qemu-vm.ts';

/** Descriptors 1 and 2 of QEMU are the console's; the guest's streams follow. */
const CHILD_FDS = { stdout: 3, stderr: 4, console: 5 } as const;

const NOT_IN_GROUP = 'it was started without a device for that; restart it';

/**
 * Limits of the network that a service asked for, for people.
 *
 * @param obstacle reason why it has no device in the network of its group; null when it has one, or needs none
 */
export function describeNetworkLimits({ group, ports }: Service, obstacle: string | null): string[] {
  if (obstacle === null) return [];
  const notes = group === null ? [] : [`it reaches no service of its group by name: ${obstacle}`];
  if (ports.some(({ protocol }) => protocol === 'udp')) notes.push(`its UDP ports are closed: ${obstacle}`);
  return notes;
}

/**
 * Notes on a service, for people.
 *
 * @param obstacle see {@link describeNetworkLimits}
 * @throws the system's error
 */
async function describeShortcomings(
  { service, image = null }: Pick<LaunchRequest, 'service' | 'image'>,
  limits: readonly string[],
  obstacle: string | null,
): Promise<string[]> {
  return [
    ...limits,
    ...(await describeLinks(service.volumes)),
    ...describeNetworkLimits(service, obstacle),
    ...(image ? describeOmissions(image.defaults) : []),
  ];
}

/** Parts of a launch that are its service's own. */
interface Preparation {
  readonly user: HostUser | null;
  readonly limits: AppliedLimits;
  readonly files: readonly SharedFile[];
  readonly job: Job;
}

/** Back end of isolation `vm`. Main thread. */
export class QemuBackend implements Backend {
  readonly #paths: HomePaths;
  readonly #limits: ServiceLimits;
  readonly #spawner: Spawner;
  readonly #fifos: FifoMaker;
  readonly #buildInitramfs: RunInitramfsJob;
  /** By the kernel that the config names, null for none. */
  readonly #platforms = new Map<string | null, Promise<Platform>>();

  /**
   * @param fifos shared by the back ends
   * @param buildInitramfs runs the job in the pool
   */
  constructor(paths: HomePaths, spawner: Spawner, fifos: FifoMaker, buildInitramfs: RunInitramfsJob) {
    this.#paths = paths;
    this.#limits = new ServiceLimits(paths);
    this.#spawner = spawner;
    this.#fifos = fifos;
    this.#buildInitramfs = buildInitramfs;
  }

  /** Prepared at the first launch, and again after a failure. */
  #platform(kernel: string | null): Promise<Platform> {
    const known = this.#platforms.get(kernel);
    if (known) return known;
    const platform = preparePlatform(this.#paths, kernel, this.#buildInitramfs);
    this.#platforms.set(kernel, platform);
    platform.catch(() => this.#platforms.delete(kernel));
    return platform;
  }

  async prepare(request: LaunchRequest, signal: AbortSignal): Promise<PreparedInstance> {
    const { service, address, kernel } = request;
    const platform = await this.#platform(kernel);
    const obstacle = request.groupIndex === null ? null : groupObstacle(platform.verdict.qemu_version);
    const groupIndex = obstacle === null ? request.groupIndex : null;
    const user = await findUser(service.user);
    const job = await makeJob({ ...request, groupIndex });
    const files = await findSharedFiles(service);
    await checkPortsAreFree(service, address, this.#paths.runDir);
    if (service.disk_mib !== null) {
      await prepareDisk(this.#paths.disk(service.name), service.disk_mib, service.name);
    }
    if (signal.aborted) throw new MonocoreError('Aborted', `the start of ${service.name} was cancelled`);
    const paths = this.#paths.vm(service.name);
    await makeRuntimeFolder(
      paths,
      STREAM_NAMES.map((stream) => paths.fifo(stream)),
      this.#fifos,
    );
    const limits = await this.#limits.apply(service, {
      memoryBytes: memoryLimitBytes(service.ram_mib, files.length > 0),
      cpus: service.cpus,
      cpuShares: service.cpu_shares,
    });
    const notes = await describeShortcomings(request, limits.notes, obstacle);
    const { streams, childEnds } = openEnds(paths, STREAM_NAMES);
    // The streams end only when nobody holds these ends.
    const discard = () => closeAll(childEnds);
    return {
      streams,
      notes,
      discard,
      launch: (onEvent) =>
        this.#launch(platform, { ...request, groupIndex }, { user, limits, files, job }, onEvent).finally(discard),
    };
  }

  async adopt(request: AdoptRequest): Promise<Adoption> {
    const { service, groupIndex, identity, runJob } = request;
    const paths = this.#paths.vm(service.name);
    const adopted = await findAdopted(identity, paths.control);
    if (!adopted) {
      const { exit, oomKilled } = readExitRecord(paths.exitRecord);
      return { type: 'gone', exit, oomKilled };
    }
    const limits = await this.#limits.recall(service.name);
    // Its QEMU may be too old for the device, or an earlier version of monocore launched it without one.
    const inGroup = groupIndex !== null && existsSync(paths.groupNetwork);
    guardAdoptedShare(paths, adopted.identity);
    // Made only when the guest waits for it: the files that it needs may be gone when the guest has it already. Without
    // the facts of its image there is no job, and the guest is ended when its time is up.
    const isKnown = service.image === null || Boolean(request.image);
    const jobRequest = { ...request, groupIndex: inGroup ? groupIndex : null };
    const job = {
      make: runJob && isKnown ? () => makeJob(jobRequest) : null,
      stopSignal: stopSignalOf(request),
      inGroup,
    };
    const obstacle = inGroup || groupIndex === null ? null : NOT_IN_GROUP;
    return {
      type: 'running',
      streams: openReadEnds(paths, STREAM_NAMES),
      notes: await describeShortcomings(request, limits.notes, obstacle),
      attach: (onEvent) => new QemuVm(adopted, paths, job, onEvent),
    };
  }

  reopenStream(service: string, stream: StreamName): number {
    return openReadEnd(this.#paths.vm(service).fifo(stream));
  }

  async cleanUp(service: string): Promise<void> {
    await endStrayShare(this.#paths.vm(service));
    await this.#limits.release(service);
    await rm(this.#paths.vm(service).dir, { recursive: true, force: true });
  }

  async removeData(service: string): Promise<void> {
    await rm(this.#paths.disk(service), { force: true });
  }

  async #launch(
    platform: Platform,
    request: LaunchRequest,
    { user, limits, files, job }: Preparation,
    onEvent: (event: BackendEvent) => void,
  ): Promise<Instance> {
    const { service, address, localOnly, groupIndex, image } = request;
    const paths = this.#paths.vm(service.name);
    const network = hasNetwork(request) ? { address, ports: service.ports, localOnly } : null;
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
      groupMac: groupIndex === null ? null : memberMac(groupIndex),
      share: files.length > 0,
      user: user?.name ?? null,
      disk: service.disk_mib === null ? null : this.#paths.disk(service.name),
      rootImage: image?.root ?? null,
    });
    // A console without a reader must not block QEMU, so it may lose text; the service's streams may not.
    const console = { fifo: paths.fifo('console'), nonBlocking: true };
    const [stdout, stderr] = (['stdout', 'stderr'] as const).map((stream) => ({
      fifo: paths.fifo(stream),
      nonBlocking: false,
    }));
    const share = files.length === 0 ? null : await shareFiles(files, paths, limits, this.#spawner);
    try {
      const command = limits.wrap({ program: platform.qemu, args });
      const fds = ['null' as const, console, console, stdout!, stderr!, console];
      const child = await this.#spawner.spawn({ ...command, fds, workdir: null, env: null }, paths.control);
      share?.guard(child.identity);
      const guestJob = { make: async () => job, stopSignal: stopSignalOf(request), inGroup: groupIndex !== null };
      return new QemuVm(child, paths, guestJob, onEvent);
    } catch (error) {
      share?.stop();
      throw error;
    }
  }
}
