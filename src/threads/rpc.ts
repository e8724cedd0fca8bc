/**
 * Calls between threads over comlink: errors keep their codes, and no call hangs.
 *
 * Plain comlink waits forever for a dead worker and reduces errors to message, name and stack. Import comlink only
 * here: two copies would not share the transfer handlers.
 */
import type { MessagePort, Worker } from 'node:worker_threads';
import * as Comlink from 'comlink';
import nodeEndpoint from 'comlink/dist/umd/node-adapter.js';
import { fromWireError, MonocoreError, toWireError, type WireError } from '../lib/errors.ts';
import { deferred } from '../lib/promises.ts';

/** Comlink proxy of `Api` whose errors arrive as MonocoreErrors. */
export type Remote<Api> = Comlink.Remote<Api>;

Comlink.transferHandlers.set('throw', {
  // comlink marks thrown values with a symbol that it does not export; its own handler recognises it.
  canHandle: Comlink.transferHandlers.get('throw')!.canHandle,
  serialize: ({ value }: { value: unknown }) => [toWireError(value), []],
  deserialize: (wire: WireError) => {
    throw fromWireError(wire);
  },
} as Comlink.TransferHandler<{ value: unknown }, WireError>);

// The adapter is CommonJS: some loaders wrap its default export, others do not.
const endpointOf = ((nodeEndpoint as unknown as { default?: typeof nodeEndpoint }).default ??
  nodeEndpoint) as unknown as (port: MessagePort | Worker) => Comlink.Endpoint;

/** Marks `ports` in `value` for transfer with the call. */
export function transfer<T>(value: T, ports: readonly MessagePort[]): T {
  return Comlink.transfer(value, ports as never);
}

/**
 * Answers calls on `port` with the methods of `api`, which is frozen, because comlink lets the other side set
 * properties.
 */
export function expose(api: object, port: MessagePort): void {
  Comlink.expose(Object.freeze(api), endpointOf(port));
}

/** Deadlines of calls. */
export interface CallDeadlines {
  /** Milliseconds; null to wait as long as the other thread lives. */
  readonly defaultMs: number | null;
  /** Deadlines by method name. */
  readonly perMethodMs?: Readonly<Record<string, number | null>>;
}

/** Remote API that can be shut down. */
export interface Wrapped<Api> {
  readonly remote: Remote<Api>;
  /** Fails all pending and later calls with `error`. */
  fail(error: MonocoreError): void;
}

/**
 * Wraps the API at the other end of `port`. A call without an answer within its deadline throws `CallTimeout`; it may
 * still take effect. {@link Wrapped.fail} makes pending calls throw its error.
 *
 * @param name of the other side, for messages
 */
export function wrap<Api>(name: string, port: MessagePort | Worker, deadlines: CallDeadlines): Wrapped<Api> {
  const inner = Comlink.wrap(endpointOf(port)) as Record<string, (...args: unknown[]) => Promise<unknown>>;
  /** Functions that reject the pending calls. */
  const pending = new Set<(error: MonocoreError) => void>();
  let failure: MonocoreError | null = null;

  const call = async (method: string, args: unknown[]): Promise<unknown> => {
    if (failure) throw failure;
    const { promise, resolve, reject } = deferred<unknown>();
    const { defaultMs, perMethodMs } = deadlines;
    const deadlineMs = perMethodMs?.[method] === undefined ? defaultMs : perMethodMs[method];
    const expire = (): void =>
      reject(new MonocoreError('CallTimeout', `${name}.${method} did not answer in ${deadlineMs} ms`));
    const timer = deadlineMs === null ? undefined : setTimeout(expire, deadlineMs).unref();
    pending.add(reject);
    inner[method]!(...args).then(resolve, reject);
    return promise.finally(() => {
      clearTimeout(timer);
      pending.delete(reject);
    });
  };

  return {
    // A promise may be resolved with the proxy, so it must not look like a thenable.
    remote: new Proxy({} as Remote<Api>, {
      get: (_target, method) => (method === 'then' ? undefined : (...args: unknown[]) => call(method as string, args)),
    }),
    fail(error) {
      failure = error;
      for (const reject of pending) reject(error);
    },
  };
}
