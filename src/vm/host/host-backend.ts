/** Parts that all back ends share. */
import { rm } from 'node:fs/promises';
import type { BuildInitramfsJob, InitramfsImage } from '../../protocol/jobs.ts';
import type { StreamName } from '../../protocol/log-files/names.ts';
import type { NetworkProbe, ProbeResult } from '../../protocol/supervision.ts';
import type { HomePaths } from '../../state/paths.ts';
import type { Adoption, AdoptRequest, Backend, BackendEvent, LaunchRequest, PreparedInstance } from '../backend.ts';
import { type FifoMaker, openReadEnd } from './fifos.ts';
import type { Spawner } from './host-process.ts';
import { ServiceLimits } from './limits/service-limits.ts';

/** Runs a job off the main thread. */
export type RunInitramfsJob = (job: BuildInitramfsJob) => Promise<InitramfsImage>;

/** Probes ports of this host off the main thread; the daemon passes its metrics thread. */
export interface Prober {
  /** Never rejects; when it resolves, the connection is closed. */
  probe(probe: NetworkProbe, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult>;
}

/** Parts of the daemon that back ends use. */
export interface BackendHost {
  readonly paths: HomePaths;
  readonly spawner: Spawner;
  readonly fifos: FifoMaker;
  readonly runJob: RunInitramfsJob;
  readonly prober: Prober;
}

/** Running VM that can be left to the next daemon. */
interface Leavable {
  /** Closes the connections to the VM, which runs on. */
  leave(): void;
}

/** Back end whose VMs are processes of this host. Main thread. */
export abstract class HostBackend implements Backend {
  protected readonly host: BackendHost;
  protected readonly limits: ServiceLimits;
  /** VMs whose process has not ended. */
  readonly #running = new Set<Leavable>();

  constructor(host: BackendHost) {
    this.host = host;
    this.limits = new ServiceLimits(host.paths);
  }

  abstract prepare(request: LaunchRequest, signal: AbortSignal): Promise<PreparedInstance>;
  abstract adopt(request: AdoptRequest): Promise<Adoption>;

  /** Creates a VM that {@link HostBackend.leave} leaves unless its process has ended. */
  protected watch<Vm extends Leavable>(
    create: (onEvent: (event: BackendEvent) => void) => Vm,
    onEvent: (event: BackendEvent) => void,
  ): Vm {
    const vm: Vm = create((event) => {
      if (event.type === 'process-ended') this.#running.delete(vm);
      onEvent(event);
    });
    this.#running.add(vm);
    return vm;
  }

  leave(): void {
    for (const vm of this.#running) vm.leave();
    this.#running.clear();
  }

  reopenStream(service: string, stream: StreamName): number {
    return openReadEnd(this.host.paths.vm(service).fifo(stream));
  }

  // A plain process writes where it likes, so by default monocore keeps no data of a service.
  hasData(_service: string): boolean {
    return false;
  }

  async moveData(_from: string, _to: string): Promise<void> {}

  async removeData(_service: string): Promise<void> {}

  async cleanUp(service: string): Promise<void> {
    await this.limits.release(service);
    await rm(this.host.paths.vm(service).dir, { recursive: true, force: true });
  }
}
