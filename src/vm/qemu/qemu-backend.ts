/** Starts microVMs with QEMU. */
import { existsSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { MonocoreError } from '../../lib/errors.ts';
import { MIB } from '../../lib/units.ts';
import { STREAM_NAMES } from '../../protocol/log-files/names.ts';
import { memberMac } from '../../protocol/network.ts';
import type { Service } from '../../protocol/service.ts';
import type { VmPaths } from '../../state/paths.ts';
import type { Adoption, AdoptRequest, BackendEvent, LaunchRequest, PreparedInstance } from '../backend.ts';
import { type EndObserver, type GuestJob, GuestVm } from '../guest/guest-vm.ts';
import { hasNetwork, makeJob, stopSignalOf } from '../guest/job.ts';
import { moveDisk, prepareDisk } from '../host/disk.ts';
import { findOffence, makeBoundedRecord, readExitRecord } from '../host/exit-record.ts';
import { HostBackend } from '../host/host-backend.ts';
import { findAdopted, type HostProcess, killMachine, machinePid } from '../host/host-process.ts';
import type { Command } from '../host/limits/launcher.ts';
import { findUser } from '../host/limits/user.ts';
import { checkPortsAreFree } from '../host/port-forwards.ts';
import { makeRuntimeFolder, openReadEnds, prepareInstance } from '../host/runtime-folder.ts';
import { describeOmissions } from '../host/service-command.ts';
import { describeLinks, findSharedFiles } from '../host/shared-files.ts';
import { endStrayShare, guardAdoptedShare, shareFiles } from '../host/virtiofsd.ts';
import { listForwards, listMachineFiles, type MachineSpec, renderCommandLine } from './command-line.ts';
import { type JailKind, jailCommand } from './jail/jail.ts';
import { memoryLimitBytes } from './memory-limit.ts';
import { MachineMonitor } from './monitor.ts';
import { groupObstacle, type Platform, preparePlatform } from './platform.ts';

const NOT_IN_GROUP = 'it was started without a device for that; restart it';

const NOT_JAILED = 'it was started without a jail';

/**
 * Notes on network features that a service asked for but does not get, for people.
 *
 * @param obstacle reason why it has no device in the network of its group; null if it has one or needs none
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
 * @throws the system error
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

/** Notes on a VM that has no jail, for people. */
function describeJail({ namespaces, obstacle }: JailKind): string[] {
  return namespaces === 'none' ? [`its QEMU is not jailed, and sees the host as the daemon does: ${obstacle}`] : [];
}

/** {@link GuestVm} whose machine is monitored over QMP. Main thread. */
export class QemuVm extends GuestVm {
  readonly monitor: MachineMonitor;

  /**
   * Creates the VM.
   *
   * @param findExceededLimit memory limit in bytes that its process reached; null if it reached none
   */
  constructor(
    process: HostProcess,
    paths: VmPaths,
    job: GuestJob,
    findExceededLimit: () => Promise<number | null>,
    onEvent: (event: BackendEvent) => void,
  ) {
    const monitor = new MachineMonitor(
      paths.qmp,
      () => void killMachine(process.identity),
      (reason) => {
        if (reason === null) this.setClock();
        onEvent({ type: 'paused', reason });
      },
    );
    const findEnd: EndObserver = async (exit, asked) => {
      const reason = await monitor.endReason(exit, asked);
      if (reason === 'guest-flood') return { reason, offence: 'flooded the monitor of its VM' };
      const memoryLimitBytes = reason === 'vm-crash' ? await findExceededLimit() : null;
      return memoryLimitBytes === null ? reason && { reason } : { reason: 'memory-limit', memoryLimitBytes };
    };
    super(process, paths, job, findEnd, onEvent);
    this.monitor = monitor;
  }

  override leave(): void {
    super.leave();
    this.monitor.qmp.close();
  }

  examine(): Promise<string> {
    return this.monitor.examine();
  }
}

/** Back end of isolation `vm`. Main thread. */
export class QemuBackend extends HostBackend {
  /** Platforms by the kernel that the config sets, null for none. */
  readonly #platforms = new Map<string | null, Promise<Platform>>();

  /**
   * Prepares the platform at the first launch, and again after a failure or if its cached file was damaged or removed.
   */
  async #platform(kernel: string | null): Promise<Platform> {
    const known = this.#platforms.get(kernel) ?? this.#preparePlatform(kernel);
    const platform = await known;
    const cached = statSync(platform.machine.initramfs, { throwIfNoEntry: false });
    if (cached?.size === platform.initramfsBytes && existsSync(platform.machine.kernelImage)) return platform;
    // Another launch may already have replaced it.
    const latest = this.#platforms.get(kernel) ?? known;
    return latest === known ? this.#preparePlatform(kernel) : latest;
  }

  #preparePlatform(kernel: string | null): Promise<Platform> {
    const platform = preparePlatform(this.host.paths, kernel, this.host.runJob);
    this.#platforms.set(kernel, platform);
    platform.catch(() => this.#platforms.delete(kernel));
    return platform;
  }

  async prepare(request: LaunchRequest, signal: AbortSignal): Promise<PreparedInstance> {
    const { service, ports, localOnly, image } = request;
    const { name, disk_mib } = service;
    const { paths: home, fifos } = this.host;
    const { qemu, machine, verdict, jail } = await this.#platform(request.kernel);
    const obstacle = request.groupIndex === null ? null : groupObstacle(verdict.qemu_version);
    const groupIndex = obstacle === null ? request.groupIndex : null;
    const user = await findUser(service.host_user);
    const job = await makeJob({ ...request, groupIndex });
    const files = await findSharedFiles(service);
    await checkPortsAreFree(name, ports, home);
    if (disk_mib !== null) await prepareDisk(home.disk(name), disk_mib, name);
    if (signal.aborted) throw new MonocoreError('Aborted', `the start of ${name} was cancelled`);
    const paths = home.vm(name);
    const fifoPaths = STREAM_NAMES.map((stream) => paths.fifo(stream));
    await makeRuntimeFolder(paths, fifoPaths, fifos);
    const limits = await this.limits.apply(service, {
      memoryBytes: memoryLimitBytes(service.ram_mib, files.length > 0),
      cpus: service.cpus,
      cpuShares: service.cpu_shares,
    });
    const isJailed = jail.kind.namespaces !== 'none';
    const spec: MachineSpec = {
      ...machine,
      accelerator: verdict.accelerator,
      name,
      cpus: service.cpus,
      ramMib: service.ram_mib,
      paths,
      network: hasNetwork(request) ? { ports, localOnly, isPrivate: isJailed } : null,
      groupMac: groupIndex === null ? null : memberMac(groupIndex),
      share: files.length > 0,
      user: isJailed ? null : (user?.name ?? null),
      disk: disk_mib === null ? null : home.disk(name),
      rootImage: image?.root ?? null,
    };
    // The other files that QEMU writes are the disk and, with a share, the guest's memory.
    const largestBytes = Math.max(disk_mib ?? 0, spec.share ? service.ram_mib : 0) * MIB;
    const jailed = await jailCommand({ program: qemu, args: renderCommandLine(spec) }, paths.jail, {
      ...jail,
      files: listMachineFiles(spec),
      forwards: listForwards(spec),
      goesOut: !localOnly,
      fileBytes: await makeBoundedRecord(paths.exitRecord, largestBytes),
      openFiles: service.open_files,
      user,
      dir: paths.dir,
    });
    const command = limits.launch(jailed);
    const guestJob = { make: async () => job, stopSignal: stopSignalOf(request), inGroup: groupIndex !== null };
    const notes = await describeShortcomings(request, [...limits.notes, ...describeJail(jail.kind)], obstacle);
    const findExceededLimit = () => this.limits.findExceeded(name);
    return prepareInstance(paths, STREAM_NAMES, notes, async (onEvent) => {
      const share = files.length === 0 ? null : await shareFiles(files, paths, limits, this.host.spawner);
      const process = await this.#spawn(command, paths).catch((error: unknown) => {
        share?.stop();
        throw error;
      });
      share?.guard(process.identity);
      return this.watch((listen) => new QemuVm(process, paths, guestJob, findExceededLimit, listen), onEvent);
    });
  }

  async adopt(request: AdoptRequest): Promise<Adoption> {
    const { service, groupIndex, identity, runJob } = request;
    const paths = this.host.paths.vm(service.name);
    const adopted = await findAdopted(identity, paths.processRecord);
    if (!adopted) {
      const { exit, oomKilled } = readExitRecord(paths.exitRecord);
      return { type: 'gone', exit, oomKilled, offence: findOffence(paths.exitRecord) };
    }
    const limits = await this.limits.recall(service.name);
    // Its QEMU may be too old for the device, or an earlier version of monocore may have launched it without one.
    const inGroup = groupIndex !== null && existsSync(paths.groupNetwork);
    guardAdoptedShare(paths, adopted.identity);
    // Built only when the guest asks for it: if the guest already has it, the files that it needs may be gone. Without
    // information about its image there is no job, and the guest is ended at its deadline.
    const isKnown = service.image === null || Boolean(request.image);
    const jobRequest = { ...request, groupIndex: inGroup ? groupIndex : null };
    const job = {
      make: runJob && isKnown ? () => makeJob(jobRequest) : null,
      stopSignal: stopSignalOf(request),
      inGroup,
    };
    const obstacle = inGroup || groupIndex === null ? null : NOT_IN_GROUP;
    const findExceededLimit = () => this.limits.findExceeded(service.name);
    const isJailed = machinePid(adopted.identity.pid) !== adopted.identity.pid;
    const jailNotes = isJailed ? [] : describeJail({ namespaces: 'none', obstacle: NOT_JAILED });
    return {
      type: 'running',
      streams: openReadEnds(paths, STREAM_NAMES),
      notes: await describeShortcomings(request, [...limits.notes, ...jailNotes], obstacle),
      attach: (onEvent) => this.watch((listen) => new QemuVm(adopted, paths, job, findExceededLimit, listen), onEvent),
    };
  }

  override async cleanUp(service: string): Promise<void> {
    await endStrayShare(this.host.paths.vm(service));
    await super.cleanUp(service);
  }

  override hasData(service: string): boolean {
    return existsSync(this.host.paths.disk(service));
  }

  override moveData(from: string, to: string): Promise<void> {
    return moveDisk(this.host.paths.disk(from), this.host.paths.disk(to));
  }

  override async removeData(service: string): Promise<void> {
    await rm(this.host.paths.disk(service), { force: true });
  }

  #spawn(command: Command, paths: VmPaths): Promise<HostProcess> {
    // A console without a reader must not block QEMU, so its text may be lost; output of the service must not.
    const console = { fifo: paths.fifo('console'), nonBlocking: true };
    const stdout = { fifo: paths.fifo('stdout'), nonBlocking: false };
    const stderr = { fifo: paths.fifo('stderr'), nonBlocking: false };
    const fds = ['null' as const, console, console, stdout, stderr, console];
    return this.host.spawner.spawn({ ...command, fds, workdir: null, env: {} }, paths.processRecord);
  }
}
