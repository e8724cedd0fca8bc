/**
 * Command line of QEMU. Pure: everything that varies is in {@link MachineSpec}. It reveals only the name, size and
 * ports of the service, because every user of the host can read it.
 */
import { STREAM_NAMES } from '../../protocol/log-files/names.ts';
import type { ForwardedPort } from '../../protocol/service.ts';
import type { VmPaths } from '../../state/paths.ts';
import type { Architecture } from '../host/host-tools.ts';

/** `tcg` emulates the processor in software; `kvm` uses the processor of the host. */
export type Accelerator = 'kvm' | 'tcg';

/** Way in which the jail opens a file or socket for QEMU, see jail/jail.c. */
type Opening = 'read' | 'write' | 'append' | 'listen' | 'connect';

/** File or socket that is passed to QEMU as a descriptor, so that QEMU needs no permission to open it. */
export interface MachineFile {
  readonly id: string;
  readonly how: Opening;
  /** Absolute path. */
  readonly path: string;
}

/** Descriptor of the first {@link MachineFile}; lower ones are inherited. */
const FIRST_FD = 6;

/** User network of a machine. */
export interface MachineNetwork {
  readonly ports: readonly ForwardedPort[];
  readonly localOnly: boolean;
  /** True in a jail with its own network, which forwards host ports to {@link listForwards}. */
  readonly isPrivate: boolean;
}

/** TCP port of the host that the jail forwards to a port of 127.0.0.1 in its own network. */
export interface Forward {
  readonly address: string;
  readonly host: number;
  readonly inner: number;
}

/** First port that needs no capability: no other program uses the network of a jail. */
const FIRST_INNER_PORT = 1024;

/** Parameters of a machine. */
export interface MachineSpec {
  readonly architecture: Architecture;
  readonly accelerator: Accelerator;
  readonly name: string;
  readonly cpus: number;
  readonly ramMib: number;
  readonly kernelImage: string;
  readonly initramfs: string;
  /** Frequency of the host's time stamp counter in kHz; null lets the guest measure it. */
  readonly tscKhz: number | null;
  readonly paths: VmPaths;
  /** Null means no network device. */
  readonly network: MachineNetwork | null;
  /** MAC address in the network of the group, whose frames go through {@link VmPaths.groupNetwork}; null for none. */
  readonly groupMac?: string | null;
  /** True if host files are shared through {@link VmPaths.share}. */
  readonly share: boolean;
  /** Host user that QEMU itself switches to before the guest runs; null for none. */
  readonly user?: string | null;
  /** Absolute path of the image that becomes the guest's disk, or null for none. */
  readonly disk: string | null;
  /** Absolute path of the root file system of an OCI image, which many machines can read at once; null for none. */
  readonly rootImage?: string | null;
}

/**
 * Command line of the guest's kernel. `quiet` and the options after it measurably shorten the boot under TCG.
 * Mitigations between processes of a guest are useless under TCG and are disabled there.
 */
function renderKernelCommandLine(spec: MachineSpec): string {
  const words = ['console=hvc0', 'quiet', 'panic=-1', 'random.trust_cpu=on', 'cryptomgr.notests'];
  if (spec.architecture === 'x86_64') words.push('8250.nr_uarts=0', 'reboot=t');
  if (spec.accelerator === 'tcg') {
    words.push('nokaslr', 'mitigations=off', 'apparmor=0', 'audit=0', 'init_on_alloc=0');
    if (spec.architecture === 'x86_64' && spec.tscKhz !== null) {
      words.push(`tsc_early_khz=${spec.tscKhz}`, 'tsc=reliable');
    }
  }
  return words.join(' ');
}

function renderMachine(spec: MachineSpec): string[] {
  const memory = spec.share ? ',memory-backend=ram' : '';
  const machine = spec.architecture === 'x86_64' ? `microvm,isa-serial=off${memory}` : `virt${memory}`;
  const args = ['-M', machine, '-cpu', spec.accelerator === 'kvm' ? 'host' : 'max'];
  args.push('-accel', spec.accelerator === 'kvm' ? 'kvm' : 'tcg,tb-size=32');
  // virtiofsd reads and writes the guest's memory, so QEMU must share it.
  if (spec.share) args.push('-object', `memory-backend-memfd,id=ram,size=${spec.ramMib}M,share=on`);
  return args;
}

/**
 * Without a jail, QEMU switches its user itself, after it has opened kernel and /dev/kvm as the daemon's user. By then
 * its sandbox is active and would kill QEMU for the switch, so elevation must be allowed; without capabilities and with
 * no_new_privs there is no way back. Since QEMU 9.1 `-runas` is also available as `-run-with user=`.
 */
function renderUser({ user = null }: MachineSpec): string[] {
  const elevation = user === null ? 'deny' : 'allow';
  const sandbox = `on,obsolete=deny,elevateprivileges=${elevation},spawn=deny,resourcecontrol=deny`;
  return ['-sandbox', sandbox, ...(user === null ? [] : ['-runas', user])];
}

/**
 * Arguments for the user network. It forwards TCP ports and, if allowed, carries outgoing traffic of the guest. UDP
 * ports belong to the network worker: with `restrict=on`, udp_input() in libslirp's src/udp.c drops the answers, too.
 */
function renderNetwork({ network }: MachineSpec): string[] {
  if (!network) return [];
  const forwards = tcpPorts(network).map(({ address, host, guest }, index) => {
    const place = network.isPrivate ? `127.0.0.1:${FIRST_INNER_PORT + index}` : `${address}:${host}`;
    return `,hostfwd=tcp:${place}-:${guest}`;
  });
  const restrict = network.localOnly ? 'on' : 'off';
  return ['-netdev', `user,id=net,restrict=${restrict}${forwards.join('')}`, '-device', 'virtio-net-device,netdev=net'];
}

function tcpPorts({ ports }: MachineNetwork): ForwardedPort[] {
  return ports.filter(({ protocol }) => protocol === 'tcp');
}

/** Ports that the jail forwards. */
export function listForwards({ network }: MachineSpec): Forward[] {
  if (!network?.isPrivate) return [];
  return tcpPorts(network).map(({ address, host }, index) => ({ address, host, inner: FIRST_INNER_PORT + index }));
}

/**
 * Arguments for the group's network. QEMU listens again after the network worker, which starts and ends with the
 * daemon, has disconnected.
 */
function renderGroupNetwork({ groupMac = null }: MachineSpec, fdOf: FdOf): string[] {
  if (groupMac === null) return [];
  return [
    ...['-netdev', `stream,id=group,server=on,addr.type=fd,addr.str=${fdOf('group')}`],
    ...['-device', `virtio-net-device,netdev=group,mac=${groupMac}`],
  ];
}

/**
 * Arguments for the disk. A flush in the guest is fdatasync(2) on the image; a discard in the guest punches a hole in
 * it. The lock prevents a second QEMU from writing to it. If a write finds no space on the host's disk, the machine is
 * paused, see `monitor.ts`; any other error is reported to the guest.
 */
function renderDisk({ disk }: MachineSpec, fdOf: FdOf): string[] {
  if (disk === null) return [];
  const file = `file.driver=file,file.filename=${fdSet(fdOf('disk'))},file.locking=on,file.discard=unmap`;
  return [
    ...['-blockdev', `driver=raw,node-name=disk,discard=unmap,cache.direct=off,cache.no-flush=off,${file}`],
    ...['-device', 'virtio-blk-device,drive=disk,serial=disk,werror=enospc'],
  ];
}

/**
 * Arguments for the root image. The serial number lets the guest distinguish it from the disk. Opened read-only, so
 * that its locks exclude no other QEMU.
 */
function renderRootImage({ rootImage = null }: MachineSpec, fdOf: FdOf): string[] {
  if (rootImage === null) return [];
  const file = `file.driver=file,file.filename=${fdSet(fdOf('image'))}`;
  return [
    ...['-blockdev', `driver=raw,node-name=image,read-only=on,${file}`],
    ...['-device', 'virtio-blk-device,drive=image,serial=image'],
  ];
}

/**
 * Arguments for a single device with all shared files, because a microVM has few slots. The guest's agent mounts its
 * tag.
 */
function renderShare({ share }: MachineSpec, fdOf: FdOf): string[] {
  if (!share) return [];
  return [
    ...['-chardev', `socket,id=share,fd=${fdOf('share')}`],
    ...['-device', 'vhost-user-fs-device,chardev=share,tag=share'],
  ];
}

/**
 * Arguments for the device that reports a panic of the guest's kernel to QEMU. The machine is paused instead of ended,
 * so that a later daemon sees the panic, too. On aarch64 it would be a PCI device, whose driver the guest does not
 * load.
 */
function renderPanicDevice(spec: MachineSpec): string[] {
  return spec.architecture === 'x86_64' ? ['-device', 'pvpanic', '-action', 'panic=pause'] : [];
}

/** Files and sockets of a machine, in the order of their descriptors. */
export function listMachineFiles({
  paths,
  groupMac = null,
  share,
  disk,
  rootImage = null,
}: MachineSpec): MachineFile[] {
  const files: MachineFile[] = STREAM_NAMES.map((id) => ({ id, how: 'append', path: paths.fifo(id) }));
  const add = (id: string, how: Opening, path: string) => files.push({ id, how, path });
  add('exit', 'append', paths.exitRecord);
  add('control', 'listen', paths.control);
  add('qmp', 'listen', paths.qmp);
  if (groupMac !== null) add('group', 'listen', paths.groupNetwork);
  if (share) add('share', 'connect', paths.share);
  if (disk !== null) add('disk', 'write', disk);
  if (rootImage !== null) add('image', 'read', rootImage);
  return files;
}

/** Descriptor of the machine's file with the given id. */
type FdOf = (id: string) => number;

/** Path with which QEMU opens a descriptor that `-add-fd` has put into the set of the same number. */
function fdSet(fd: number): string {
  return `/dev/fdset/${fd}`;
}

/**
 * Renders the arguments of `qemu-system-<arch>`. The guest's agent knows the ports of the serial device by their names.
 */
export function renderCommandLine(spec: MachineSpec): string[] {
  const files = listMachineFiles(spec);
  const fdOf = (id: string) => FIRST_FD + files.findIndex((file) => file.id === id);
  const opened = files.filter(({ how }) => how !== 'listen' && how !== 'connect').map(({ id }) => fdOf(id));
  const file = (id: string) => ['-chardev', `file,id=${id},path=${fdSet(fdOf(id))},append=on`];
  const socket = (id: string) => ['-chardev', `socket,id=${id},fd=${fdOf(id)},server=on,wait=off`];
  const port = (id: string, nr: number) => ['-device', `virtserialport,chardev=${id},nr=${nr},name=${id}`];
  return [
    ...['-name', `${spec.name},debug-threads=on`],
    ...renderMachine(spec),
    ...['-m', `${spec.ramMib}M`, '-smp', String(spec.cpus)],
    ...['-nodefaults', '-no-user-config', '-nographic', '-no-reboot'],
    ...renderUser(spec),
    ...['-kernel', spec.kernelImage, '-initrd', spec.initramfs, '-append', renderKernelCommandLine(spec)],
    ...opened.flatMap((fd) => ['-add-fd', `fd=${fd},set=${fd}`]),
    // virtiofsd accepts only modern devices, and nothing here needs the legacy layout.
    ...['-global', 'virtio-mmio.force-legacy=false'],
    ...['-device', 'virtio-serial-device'],
    ...[...file('console'), '-device', 'virtconsole,chardev=console,nr=0'],
    ...[...file('stdout'), ...port('stdout', 1)],
    ...[...file('stderr'), ...port('stderr', 2)],
    ...[...socket('control'), ...port('control', 3)],
    ...[...file('exit'), ...port('exit', 4)],
    ...[...socket('qmp'), '-mon', 'chardev=qmp,mode=control'],
    ...renderPanicDevice(spec),
    ...renderDisk(spec, fdOf),
    ...renderRootImage(spec, fdOf),
    ...renderNetwork(spec),
    ...renderGroupNetwork(spec, fdOf),
    ...renderShare(spec, fdOf),
  ];
}
