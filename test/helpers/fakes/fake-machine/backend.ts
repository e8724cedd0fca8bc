/**
 * Back end of fake machines: a VM without a kernel, which is a small process of the host. It shares the host's side and
 * the guest's protocol with QEMU, so launches, streams, exit codes, adoption and crashes are real and take milliseconds.
 */
import { fileURLToPath } from 'node:url';
import { MonocoreError } from '../../../../src/lib/errors.ts';
import { STREAM_NAMES } from '../../../../src/protocol/log-files/names.ts';
import type { Adoption, AdoptRequest, LaunchRequest, PreparedInstance } from '../../../../src/vm/backend.ts';
import { BACKENDS, type BackendRegistry } from '../../../../src/vm/backends.ts';
import * as protocol from '../../../../src/vm/guest/agent/protocol.ts';
import { type EndObserver, GuestVm } from '../../../../src/vm/guest/guest-vm.ts';
import { makeJob, stopSignalOf } from '../../../../src/vm/guest/job.ts';
import { findOffence, readExitRecord } from '../../../../src/vm/host/exit-record.ts';
import { HostBackend } from '../../../../src/vm/host/host-backend.ts';
import { findAdopted } from '../../../../src/vm/host/host-process.ts';
import { makeRuntimeFolder, openReadEnds, prepareInstance } from '../../../../src/vm/host/runtime-folder.ts';

const MACHINE = fileURLToPath(new URL('./machine.js', import.meta.url));

/** A fake machine has no panics and no resets: all but a clean exit is a crash. */
const observer: EndObserver = async ({ code }, asked) => (asked || code === 0 ? null : { reason: 'vm-crash' });

class FakeMachineBackend extends HostBackend {
  async prepare(request: LaunchRequest, signal: AbortSignal): Promise<PreparedInstance> {
    const { service } = request;
    const job = await makeJob({ ...request, groupIndex: null });
    if (job.secrets.length > 0) throw new MonocoreError('StartFailed', 'fake machines take no secrets');
    const paths = this.host.paths.vm(service.name);
    const fifoPaths = STREAM_NAMES.map((stream) => paths.fifo(stream));
    await makeRuntimeFolder(paths, fifoPaths, this.host.fifos);
    if (signal.aborted) throw new MonocoreError('Aborted', `the start of ${service.name} was cancelled`);
    const [console, stdout, stderr] = (['console', 'stdout', 'stderr'] as const).map((stream) => ({
      fifo: paths.fifo(stream),
      nonBlocking: stream === 'console',
    }));
    const command = {
      program: process.execPath,
      args: [MACHINE, paths.control, paths.exitRecord, JSON.stringify(protocol)],
      fds: ['null' as const, console!, console!, stdout!, stderr!],
      workdir: '/',
      env: { PATH: process.env.PATH },
    };
    const guestJob = { make: async () => job, stopSignal: stopSignalOf(request), inGroup: false };
    return prepareInstance(paths, STREAM_NAMES, [], async (onEvent) => {
      const child = await this.host.spawner.spawn(command, paths.processRecord);
      return new GuestVm(child, paths, guestJob, observer, onEvent);
    });
  }

  async adopt(request: AdoptRequest): Promise<Adoption> {
    const paths = this.host.paths.vm(request.service.name);
    const adopted = await findAdopted(request.identity, paths.processRecord);
    if (!adopted) {
      return { type: 'gone', ...readExitRecord(paths.exitRecord), offence: findOffence(paths.exitRecord) };
    }
    const make = request.runJob ? () => makeJob({ ...request, groupIndex: null }) : null;
    const guestJob = { make, stopSignal: stopSignalOf(request), inGroup: false };
    return {
      type: 'running',
      streams: openReadEnds(paths, STREAM_NAMES),
      notes: [],
      attach: (onEvent) => new GuestVm(adopted, paths, guestJob, observer, onEvent),
    };
  }
}

/** The back ends of monocore, with fake machines in place of QEMU. */
export const FAKE_BACKENDS: BackendRegistry = { ...BACKENDS, vm: (host) => new FakeMachineBackend(host) };
