/**
 * Command line of QEMU. Pure: everything that varies is in {@link MachineSpec}. It tells only the name, size and ports of
 * the service, because every user of the host can read it.
 */
import type { Port } from '../../protocol/service.ts';
import type { VmPaths } from '../../state/paths.ts';
import type { Architecture } from '../host/host-tools.ts';

/** `tcg` emulates the processor in software; `kvm` uses the host's. */
export type Accelerator = 'kvm' | 'tcg';

/** Descriptors that QEMU inherits, by their numbers in QEMU. */
interface InheritedFds {
  readonly stdout: number;
  readonly stderr: number;
  /** Output of the guest's kernel; QEMU's own messages go to its descriptors 1 and 2. */
  readonly console: number;
}

/** Parameters of a machine. */
export interface MachineSpec {
  readonly architecture: Architecture;
  readonly accelerator: Accelerator;
  readonly name: string;
  readonly cpus: number;
  readonly ramMib: number;
  readonly kernelImage: string;
  readonly initramfs: string;
  /** Frequency of the host's time stamp counter in kHz; null leaves it to the guest. */
  readonly tscKhz: number | null;
  readonly paths: VmPaths;
  readonly fds: InheritedFds;
  /** Null: no network device. */
  readonly network: { readonly address: string; readonly ports: readonly Port[]; readonly localOnly: boolean } | null;
  /** Ethernet address in the network of the group, whose frames go over {@link VmPaths.groupNetwork}; null for none. */
  readonly groupMac?: string | null;
  /** True when files of the host are shared through {@link VmPaths.share}. */
  readonly share: boolean;
  /** User of the host that QEMU switches to before the guest runs; null keeps the daemon's. */
  readonly user?: string | null;
  /** Absolute path of the image that the guest sees as its disk, or null for none. */
  readonly disk: string | null;
  /** Absolute path of the root file system of an OCI image, which many machines read at once; null for none. */
  readonly rootImage?: string | null;
}

/**
 * Command line of the guest's kernel. `quiet` and the options behind it save boot time under TCG, as measured.
 * Mitigations between processes of a guest protect nothing under TCG and are off there.
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

/** A value in QEMU's `key=value,…` syntax, where a comma is written twice. */
function escapeValue(value: string): string {
  return value.replaceAll(',', ',,');
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
 * QEMU switches its user itself, after it has opened FIFOs, sockets, kernel, /dev/kvm and virtiofsd as the daemon's user,
 * so the other user needs access to none of them. The sandbox is on by then and would kill QEMU for the switch, so
 * elevation is allowed; without capabilities, and with the sandbox's no_new_privs, there is no way back. Since QEMU 9.1
 * `-runas` is also called `-run-with user=`.
 */
function renderUser({ user = null }: MachineSpec): string[] {
  const elevation = user === null ? 'deny' : 'allow';
  const sandbox = `on,obsolete=deny,elevateprivileges=${elevation},spawn=deny,resourcecontrol=deny`;
  return ['-sandbox', sandbox, ...(user === null ? [] : ['-runas', user])];
}

/**
 * The user network forwards TCP ports, and carries everything that the guest sends out where it may. UDP ports belong to
 * the network worker: with `restrict=on`, udp_input() in libslirp's src/udp.c drops the answers, too.
 */
function renderNetwork({ network }: MachineSpec): string[] {
  if (!network) return [];
  const forwards = network.ports
    .filter(({ protocol }) => protocol === 'tcp')
    .map(({ host, guest }) => `,hostfwd=tcp:${network.address}:${host}-:${guest}`)
    .join('');
  const restrict = network.localOnly ? 'on' : 'off';
  return ['-netdev', `user,id=net,restrict=${restrict}${forwards}`, '-device', 'virtio-net-device,netdev=net'];
}

/**
 * QEMU listens, and listens again when the network worker, which comes and goes with the daemon, has disconnected. A
 * thread of QEMU makes the socket long before QEMU switches its user.
 */
function renderGroupNetwork({ groupMac = null, paths }: MachineSpec): string[] {
  if (groupMac === null) return [];
  const address = `addr.type=unix,addr.path=${escapeValue(paths.groupNetwork)}`;
  return [
    ...['-netdev', `stream,id=group,server=on,${address}`],
    ...['-device', `virtio-net-device,netdev=group,mac=${groupMac}`],
  ];
}

/**
 * A flush of the guest is fdatasync(2) of the image; a discard of the guest makes a hole in it. The lock keeps a second
 * QEMU from writing to it. A write that finds no space on the host's disk pauses the machine, see `monitor.ts`; the guest
 * gets any other error.
 */
function renderDisk({ disk }: MachineSpec): string[] {
  if (disk === null) return [];
  const file = `file.driver=file,file.filename=${escapeValue(disk)},file.locking=on,file.discard=unmap`;
  return [
    ...['-blockdev', `driver=raw,node-name=disk,discard=unmap,cache.direct=off,cache.no-flush=off,${file}`],
    ...['-device', 'virtio-blk-device,drive=disk,serial=disk,werror=enospc'],
  ];
}

/** The serial number tells the guest the image from the disk. Opened for reading only, so its locks exclude no other QEMU. */
function renderRootImage({ rootImage = null }: MachineSpec): string[] {
  if (rootImage === null) return [];
  const file = `file.driver=file,file.filename=${escapeValue(rootImage)}`;
  return [
    ...['-blockdev', `driver=raw,node-name=image,read-only=on,${file}`],
    ...['-device', 'virtio-blk-device,drive=image,serial=image'],
  ];
}

/** Single device for all shared files, because a microVM has few slots. The guest's init mounts its tag. */
function renderShare({ share, paths }: MachineSpec): string[] {
  if (!share) return [];
  return [
    ...['-chardev', `socket,id=share,path=${escapeValue(paths.share)}`],
    ...['-device', 'vhost-user-fs-device,chardev=share,tag=share'],
  ];
}

/**
 * Device that reports a panic of the guest's kernel to QEMU. It pauses the machine instead of ending it, so that a later
 * daemon sees the panic, too. On aarch64 it would be a PCI device, whose driver the guest does not load.
 */
function renderPanicDevice(spec: MachineSpec): string[] {
  return spec.architecture === 'x86_64' ? ['-device', 'pvpanic', '-action', 'panic=pause'] : [];
}

/**
 * Renders the arguments of `qemu-system-<arch>`. Ports of the serial device, as the guest's init numbers them: 0 console,
 * 1 stdout, 2 stderr, 3 control, 4 exit record.
 */
export function renderCommandLine(spec: MachineSpec): string[] {
  const { paths, fds } = spec;
  const fifo = (id: string, fd: number) => ['-chardev', `file,id=${id},path=/dev/fd/${fd},append=on`];
  const socket = (id: string, path: string) => [
    '-chardev',
    `socket,id=${id},path=${escapeValue(path)},server=on,wait=off`,
  ];
  const port = (id: string, nr: number) => ['-device', `virtserialport,chardev=${id},nr=${nr},name=${id}`];
  return [
    ...['-name', `${spec.name},debug-threads=on`],
    ...renderMachine(spec),
    ...['-m', `${spec.ramMib}M`, '-smp', String(spec.cpus)],
    ...['-nodefaults', '-no-user-config', '-nographic', '-no-reboot'],
    ...renderUser(spec),
    ...['-kernel', spec.kernelImage, '-initrd', spec.initramfs, '-append', renderKernelCommandLine(spec)],
    // virtiofsd accepts modern devices only, and nothing here needs the legacy layout.
    ...['-global', 'virtio-mmio.force-legacy=false'],
    ...['-device', 'virtio-serial-device'],
    ...[...fifo('console', fds.console), '-device', 'virtconsole,chardev=console,nr=0'],
    ...[...fifo('stdout', fds.stdout), ...port('stdout', 1)],
    ...[...fifo('stderr', fds.stderr), ...port('stderr', 2)],
    ...[...socket('control', paths.control), ...port('control', 3)],
    ...['-chardev', `file,id=exit,path=${escapeValue(paths.exitRecord)},append=on`, ...port('exit', 4)],
    ...[...socket('qmp', paths.qmp), '-mon', 'chardev=qmp,mode=control'],
    ...renderPanicDevice(spec),
    ...renderDisk(spec),
    ...renderRootImage(spec),
    ...renderNetwork(spec),
    ...renderGroupNetwork(spec),
    ...renderShare(spec),
  ];
}
