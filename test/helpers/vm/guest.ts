/** A VM without supervisor or log worker: the backend alone, its streams read raw. */

import { once } from 'node:events';
import { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { ProcessIdentity } from '../../../src/lib/proc.ts';
import type { ServiceImage } from '../../../src/protocol/images.ts';
import type { StreamName } from '../../../src/protocol/log-files/names.ts';
import type { Service } from '../../../src/protocol/service.ts';
import { HomePaths } from '../../../src/state/paths.ts';
import { makeHome } from '../../../src/state/store.ts';
import { portsOf } from '../../../src/supervisor/status.ts';
import { JobPool } from '../../../src/threads/job-pool.ts';
import type { BackendEvent, Instance, PreparedInstance } from '../../../src/vm/backend.ts';
import { QemuBackend } from '../../../src/vm/qemu/qemu-backend.ts';
import { shareKernel } from '../home.ts';
import { openSpawner } from '../processes/spawner.ts';
import { defer, makeTempDir } from '../temp.ts';
import { makeBackendHost } from './backend-host.ts';

/** A launched guest and what has come of it so far. */
export interface Guest {
  readonly vm: Instance;
  readonly paths: HomePaths;
  /** Notes about the service at its launch. */
  readonly notes: readonly string[];
  /** Resolves with the first event of that type, also when it came before. */
  event<Type extends BackendEvent['type']>(type: Type): Promise<Extract<BackendEvent, { type: Type }>>;
  /** Begins to read a stream; to be called once for each. */
  read(stream: StreamName): Collector;
}

/** A stream that is being read. */
interface Collector {
  /** Resolves with the bytes once the stream has ended. */
  readonly ended: Promise<Buffer>;
  /** Returns true if the received bytes end with that text of up to a few hundred bytes. */
  endsWith(text: string): boolean;
}

/** Reads a FIFO as the log worker does, without ever blocking. */
function openCollector(fd: number): Collector {
  const chunks: Buffer[] = [];
  const socket = new Socket({ fd, readable: true, writable: false });
  socket.on('data', (chunk) => chunks.push(chunk));
  const ended = once(socket, 'close').then(() => Buffer.concat(chunks));
  return { ended, endsWith: (text) => Buffer.concat(chunks.slice(-8)).toString('latin1').endsWith(text) };
}

/** A home whose services are launched one by one. */
interface GuestHost {
  readonly paths: HomePaths;
  readonly backend: QemuBackend;
  /** Launches a service in a VM; it is killed when the test has ended. */
  launch(service: Service, image?: ServiceImage | null, kernel?: string | null): Promise<Guest>;
  /** Takes over a VM that another process launched and that waits for its job; as {@link GuestHost.launch}. */
  adopt(service: Service, identity: ProcessIdentity): Promise<Guest>;
}

/** A host of guests on a home of its own. */
export async function makeGuestHost(t: TestContext): Promise<GuestHost> {
  const paths = new HomePaths(await makeTempDir(t));
  await makeHome(paths);
  shareKernel(paths.home);
  const pool = new JobPool();
  defer(t, () => pool.close());
  const backend = new QemuBackend(makeBackendHost(paths, openSpawner(t), { runJob: (job) => pool.run(job) }));
  return {
    paths,
    backend,
    async launch(service, image = null, kernel = null) {
      const ports = portsOf({ service, group: null, groupIp: null, kernel: null });
      const request = { service, ports, localOnly: true, groupIndex: null, kernel, image };
      const { streams, launch, notes } = await backend.prepare(request, new AbortController().signal);
      return observe(t, paths, { streams, notes, begin: launch });
    },
    async adopt(service, identity) {
      const adoption = await backend.adopt({ service, localOnly: true, groupIndex: null, identity, runJob: true });
      if (adoption.type === 'gone') throw new Error('there is nothing to be taken over');
      const { streams, notes, attach } = adoption;
      return observe(t, paths, { streams, notes, begin: async (onEvent) => attach(onEvent) });
    },
  };
}

/** Launches a service on a home of its own. */
export async function launchGuest(t: TestContext, service: Service): Promise<Guest> {
  return (await makeGuestHost(t)).launch(service);
}

interface Beginning extends Pick<PreparedInstance, 'streams' | 'notes'> {
  readonly begin: (onEvent: (event: BackendEvent) => void) => Promise<Instance>;
}

async function observe(t: TestContext, paths: HomePaths, { streams, notes, begin }: Beginning): Promise<Guest> {
  const events: BackendEvent[] = [];
  const waiting = new Set<() => void>();
  const vm = await begin((event) => {
    events.push(event);
    for (const check of [...waiting]) check();
  });
  const event: Guest['event'] = (type) =>
    new Promise((resolve) => {
      const check = (): void => {
        const found = events.find((candidate) => candidate.type === type);
        if (!found) return;
        waiting.delete(check);
        resolve(found as never);
      };
      waiting.add(check);
      check();
    });
  defer(t, async () => {
    vm.kill('SIGKILL');
    await event('process-ended');
  });
  const fds = new Map(streams.map(({ stream, fd }) => [stream, fd]));
  return { vm, paths, notes, event, read: (stream) => openCollector(fds.get(stream)!) };
}
