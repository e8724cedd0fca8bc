/**
 * Calls between threads over comlink: errors keep their codes, and no call hangs.
 *
 * Plain comlink waits for ever for a dead worker and reduces errors to message, name and stack. Import comlink only here: two
 * copies would not share the transfer handlers.
 */
import type { MessagePort, Worker } from 'node:worker_threads';
import * as Comlink from 'comlink';
import nodeEndpoint from 'comlink/dist/umd/node-adapter.js';
import { fromWireError, MonocoreError, toWireError, type WireError } from '../lib/errors.ts';

/** A comlink proxy of `Api`, whose errors arrive as MonocoreErrors. */
export type Remote<Api> = Comlink.Remote<Api>;

Comlink.transferHandlers.set('throw', {
  // comlink recognises a thrown value by a symbol that it does not export; its own handler knows it.
  canHandle: Comlink.transferHandlers.get('throw')!.canHandle,
  serialize: ({ value }: { value: unknown }) => [toWireError(value), []],
  deserialize: (wire: WireError) => {
    throw fromWireError(wire);
  },
} as Comlink.TransferHandler<{ value: unknown }, WireError>);

// The adapter is CommonJS: its default export is wrapped under some loaders and bare under others.
const endpointOf = ((nodeEndpoint as unknown as { default?: typeof nodeEndpoint }).default ??
  nodeEndpoint) as unknown as (port: MessagePort | Worker) => Comlink.Endpoint;

/** Marks `ports` in `value` for transfer with the call. */
export function transfer<T>(value: T, ports: readonly MessagePort[]): T {
  return Comlink.transfer(value, ports as never);
}

/** Answers calls on `port` with the methods of `api`, frozen because comlink lets the other side set properties. */
export function expose(api: object, port: MessagePort): void {
  Comlink.expose(Object.freeze(api), endpointOf(port));
}

/** Deadlines of calls. */
export interface CallDeadlines {
  /** Default in milliseconds. */
  readonly defaultMs: number;
  /** By method name; null for as long as the other thread lives. */
  readonly perMethodMs?: Readonly<Record<string, number | null>>;
}

/** A remote that can be ended. */
export interface Wrapped<Api> {
  readonly remote: Remote<Api>;
  /** Fails every pending call, and each later one, with `error`. */
  fail(error: MonocoreError): void;
}

/**
 * Wraps the api at the other end of `port`. A call without an answer within its deadline throws `CallTimeout`; it may still
 * take effect. {@link Wrapped.fail} makes pending calls throw its error.
 *
 * @param name of the other side, for messages
 */
export function wrap<Api>(name: string, port: MessagePort | Worker, deadlines: CallDeadlines): Wrapped<Api> {
  const inner = endpointOf(port);
  /** Timers of the deadlines, by the ids of calls. */
  const pending = new Map<string, NodeJS.Timeout | undefined>();
  const listeners = new Set<(event: Event) => void>();
  let failure: MonocoreError | null = null;

  const deliver = (data: unknown): void => {
    for (const listener of [...listeners]) listener({ data } as unknown as Event);
  };
  const settle = (id: string): void => {
    clearTimeout(pending.get(id));
    pending.delete(id);
  };
  const failCall = (id: string, error: MonocoreError): void => {
    settle(id);
    // The shape of a comlink answer whose value the 'throw' handler deserializes, see comlink's protocol.ts.
    deliver({ id, type: 'HANDLER', name: 'throw', value: toWireError(error) });
  };

  inner.addEventListener('message', ((event: { data: { id?: string } | null }) => {
    if (typeof event.data?.id !== 'string' || !pending.has(event.data.id)) return;
    settle(event.data.id);
    deliver(event.data);
  }) as never);

  const endpoint: Comlink.Endpoint = {
    // comlink listens with functions only.
    addEventListener: (_type, listener) => listeners.add(listener as (event: Event) => void),
    removeEventListener: (_type, listener) => listeners.delete(listener as (event: Event) => void),
    start: () => inner.start?.(),
    postMessage(message: { id: string; path?: string[] }, transferables) {
      const method = message.path?.join('.') ?? 'call';
      const { id } = message;
      if (failure) {
        const error = failure;
        pending.set(id, undefined);
        queueMicrotask(() => failCall(id, error));
        return;
      }
      const { defaultMs, perMethodMs } = deadlines;
      const deadlineMs = perMethodMs?.[method] === undefined ? defaultMs : perMethodMs[method];
      const expire = (): void =>
        failCall(id, new MonocoreError('CallTimeout', `${name}.${method} did not answer in ${deadlineMs} ms`));
      pending.set(id, deadlineMs === null ? undefined : setTimeout(expire, deadlineMs).unref());
      inner.postMessage(message, transferables);
    },
  };

  return {
    remote: Comlink.wrap<Api>(endpoint),
    fail(error) {
      failure = error;
      for (const id of [...pending.keys()]) failCall(id, error);
    },
  };
}
