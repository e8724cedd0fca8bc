/**
 * QEMU's command line. Pure: everything that varies is in {@link MachineSpec}. Nothing of the service but its name,
 * size and ports is in it, because every user of the host can read it.
 */
import { readCpuInfo } from '../../lib/proc.ts';
import type { Port } from '../../protocol/service.ts';
import type { VmPaths } from '../../state/paths.ts';
import type { Architecture } from '../host/host-tools.ts';

/** `tcg` emulates the processor in software; `kvm` uses the host's. */
export type Accelerator = 'kvm' | 'tcg';

/** A descriptor that QEMU inherits, by its number in QEMU. */
export interface InheritedFds {
  readonly stdout: number;
  readonly stderr: number;
  /** Takes what the guest's kernel prints; QEMU's own messages go to its descriptors 1 and 2. */
  readonly console: number;
}

/** Everything that shapes a machine. */
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
  /** Whether files of the host are shared through {@link VmPaths.share}. */
  readonly share: boolean;
  /** User of the host that QEMU changes to before the guest runs; null stays the daemon's. */
  readonly user?: string | null;
  /** Absolute path of the image that the guest sees as its disk, or null for none. */
  readonly disk: string | null;
  /** Absolute path of the root file system of an OCI image, which many machines read at once; null for none. */
  readonly rootImage?: string | null;
}

/**
 * Frequency of the time stamp counter in kHz. Debian's kernels hang at clock calibration under TCG on `microvm` unless
 * told, and take the number for the truth. The counter's rate is the nominal one, while "cpu MHz" follows power saving,
 * so the nominal sources come first.
 */
export function readTscKhz(cpuinfo: string = readCpuInfo()): number | null {
  const nominal = /^model name\s*:.*@\s*([\d.]+)GHz/m.exec(cpuinfo);
  if (nominal) return Math.round(Number(nominal[1]) * 1e6);
  const current = /^cpu MHz\s*:\s*([\d.]+)/m.exec(cpuinfo);
  return current ? Math.round(Number(current[1]) * 1e3) : null;
}

/**
 * The kernel's command line. `quiet` and the options behind it save boot time under TCG, measured; a guest runs one
 * service, so mitigations between its own processes are traded for speed under TCG only, where they protect nothing.
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
  // virtiofsd reads and writes the guest's memory, so it must be shared between the two.
  if (spec.share) args.push('-object', `memory-backend-memfd,id=ram,size=${spec.ramMib}M,share=on`);
  return args;
}

/**
 * QEMU changes its user itself, after it has opened all that it needs: FIFOs, sockets, kernel, /dev/kvm and virtiofsd
 * are the daemon's user's, whatever the other may reach, and nothing of the home has to be handed over. The sandbox is
 * on by then and would kill it for that; without capabilities, and as the sandbox sets no_new_privs, there is no way
 * back anyway. `-runas` is called `-run-with user=` as well since QEMU 9.1.
 */
function renderUser({ user = null }: MachineSpec): string[] {
  const elevation = user === null ? 'deny' : 'allow';
  const sandbox = `on,obsolete=deny,elevateprivileges=${elevation},spawn=deny,resourcecontrol=deny`;
  return ['-sandbox', sandbox, ...(user === null ? [] : ['-runas', user])];
}

/**
 * Connections of TCP come in, and where the guest may go out, all goes out. UDP ports are the network worker's: what a guest
 * sends by UDP that may not go out is dropped, answers included, by udp_input() of libslirp's src/udp.c.
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
 * QEMU listens, and does so again when the other side has gone: the network worker comes and goes with the daemon. The
 * socket is made in a thread of QEMU's, which begins here, long before QEMU changes its user.
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
 * The guest flushes what it syncs, and a flush is fdatasync(2) of the image; what the guest discards becomes a hole in
 * it. The lock keeps a second QEMU from writing to it. A write that finds no room on the host's disk pauses the machine,
 * see `machine-watch.ts`; any other error is the guest's.
 */
function renderDisk({ disk }: MachineSpec): string[] {
  if (disk === null) return [];
  const file = `file.driver=file,file.filename=${escapeValue(disk)},file.locking=on,file.discard=unmap`;
  return [
    ...['-blockdev', `driver=raw,node-name=disk,discard=unmap,cache.direct=off,cache.no-flush=off,${file}`],
    ...['-device', 'virtio-blk-device,drive=disk,serial=disk,werror=enospc'],
  ];
}

/** The guest tells it from the disk by its serial number. Opened for reading only, so its locks keep no other QEMU out. */
function renderRootImage({ rootImage = null }: MachineSpec): string[] {
  if (rootImage === null) return [];
  const file = `file.driver=file,file.filename=${escapeValue(rootImage)}`;
  return [
    ...['-blockdev', `driver=raw,node-name=image,read-only=on,${file}`],
    ...['-device', 'virtio-blk-device,drive=image,serial=image'],
  ];
}

/** One device for all that is shared: a microVM has few slots. The tag is what the guest's init mounts. */
function renderShare({ share, paths }: MachineSpec): string[] {
  if (!share) return [];
  return [
    ...['-chardev', `socket,id=share,path=${escapeValue(paths.share)}`],
    ...['-device', 'vhost-user-fs-device,chardev=share,tag=share'],
  ];
}

/**
 * Tells QEMU of a panic of the guest's kernel. The machine is paused then instead of ended, so that a daemon that was
 * not there learns of it, too. On aarch64 it would be a PCI device, whose driver the guest does not load.
 */
function renderPanicDevice(spec: MachineSpec): string[] {
  return spec.architecture === 'x86_64' ? ['-device', 'pvpanic', '-action', 'panic=pause'] : [];
}

/**
 * Arguments for `qemu-system-<arch>`. Ports of the serial device, as the guest's init knows them: 0 console, 1 stdout,
 * 2 stderr, 3 control, 4 exit record.
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
