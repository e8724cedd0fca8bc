/** A QEMU process and the guest in it. */
import { signalProcess } from '../../lib/proc.ts';
import type { VmPaths } from '../../state/paths.ts';
import type { BackendEvent } from '../backend.ts';
import { type GuestJob, GuestVm } from '../guest/guest-vm.ts';
import type { HostProcess } from '../host/host-process.ts';
import { MachineMonitor } from './monitor.ts';

/** A {@link GuestVm} whose machine is monitored over QMP. Main thread. */
export class QemuVm extends GuestVm {
  readonly monitor: MachineMonitor;

  constructor(process: HostProcess, paths: VmPaths, job: GuestJob, onEvent: (event: BackendEvent) => void) {
    const monitor = new MachineMonitor(
      paths.qmp,
      () => signalProcess(process.identity, 'SIGKILL', 'process'),
      (reason) => onEvent({ type: 'paused', reason }),
    );
    super(process, paths, job, monitor, onEvent);
    this.monitor = monitor;
  }
}
