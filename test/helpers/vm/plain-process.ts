/** A plain process without supervisor or log worker: the backend alone, its streams read raw. */
import { once } from 'node:events';
import { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { StreamName } from '../../../src/protocol/log-files/names.ts';
import type { Service } from '../../../src/protocol/service.ts';
import { HomePaths } from '../../../src/state/paths.ts';
import { makeHome } from '../../../src/state/store.ts';
import type { BackendEvent, Instance, LaunchRequest, PreparedInstance } from '../../../src/vm/backend.ts';
import type { Prober } from '../../../src/vm/host/host-backend.ts';
import { ProcessBackend } from '../../../src/vm/process/process-backend.ts';
import { eventually } from '../eventually.ts';
import { openSpawner } from '../processes/spawner.ts';
import { defer, makeTempDir } from '../temp.ts';
import { makeBackendHost } from './backend-host.ts';

export function makeRequest(service: Service): LaunchRequest {
  return { service, ports: [], localOnly: true, groupIndex: null, kernel: null };
}

/** A backend over a new home. */
export async function openDriver(t: TestContext, prober?: Prober) {
  const paths = new HomePaths(await makeTempDir(t));
  await makeHome(paths);
  const spawner = openSpawner(t);
  return { paths, spawner, backend: new ProcessBackend(makeBackendHost(paths, spawner, prober && { prober })) };
}

/** A stream as far as it was read. */
class StreamReader {
  readonly #socket: Socket;
  #text = '';

  constructor(fd: number) {
    this.#socket = new Socket({ fd, readable: true, writable: false });
    this.#socket.setEncoding('utf8');
    this.#socket.on('data', (text: string) => {
      this.#text += text;
    });
  }

  async toEnd(): Promise<string> {
    if (!this.#socket.closed) await once(this.#socket, 'close');
    return this.#text;
  }

  firstLine(): Promise<string> {
    return eventually('a line', () => /^(.*)\n/.exec(this.#text)?.[1]);
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** A launched process and what has come of it so far. */
interface LaunchedProcess {
  readonly vm: Instance;
  readonly paths: HomePaths;
  readonly backend: ProcessBackend;
  /** Notes about its limits. */
  readonly notes: readonly string[];
  /** Resolves with the event of that type, also when it came before. */
  event<Type extends BackendEvent['type']>(type: Type): Promise<Extract<BackendEvent, { type: Type }>>;
  /** Types of the events so far. */
  types(): string[];
  /** The whole stream, once it has ended. */
  read(stream: StreamName): Promise<string>;
  /** The first line of a stream, by default of the one that was captured from the start. */
  firstLine(stream: StreamName, fd?: number): Promise<string>;
}

/** Launches a service as a plain process; it is killed when the test has ended. */
export async function launchProcess(
  t: TestContext,
  service: Service,
  { prepared, prober }: { prepared?: PreparedInstance; prober?: Prober } = {},
): Promise<LaunchedProcess> {
  const { paths, backend } = await openDriver(t, prober);
  const captured = prepared === undefined;
  const ready = prepared ?? (await backend.prepare(makeRequest(service)));
  const readers = new Map<StreamName, StreamReader>();
  if (captured) for (const { stream, fd } of ready.streams) readers.set(stream, new StreamReader(fd));

  const events: BackendEvent[] = [];
  const vm = await ready.launch((event) => events.push(event));
  const event: LaunchedProcess['event'] = (type) =>
    eventually(type, () => events.find((candidate) => candidate.type === type) as never);
  defer(t, async () => {
    vm.kill('SIGKILL');
    await event('process-ended');
    for (const reader of readers.values()) reader.close();
  });
  return {
    vm,
    paths,
    backend,
    notes: ready.notes,
    event,
    types: () => events.map(({ type }) => type),
    read: (stream) => readers.get(stream)!.toEnd(),
    firstLine(stream, fd) {
      if (fd !== undefined) readers.set(stream, new StreamReader(fd));
      return readers.get(stream)!.firstLine();
    },
  };
}
