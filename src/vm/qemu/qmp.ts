/**
 * Client of QEMU's machine protocol: one JSON object per line over a Unix socket. Source: QEMU's docs/interop/qmp-spec.
 */
import * as v from 'valibot';
import { MonocoreError } from '../../lib/errors.ts';
import { type Deferred, deferred } from '../../lib/promises.ts';
import type { Rate } from '../../lib/token-bucket.ts';
import { LineSocket } from '../guest/line-socket.ts';

const CALL_TIMEOUT_MS = 5000;

/** Limit on lines from QEMU. On a full disk, each pending request of a guest causes an event at every attempt. */
const LINES: Rate = { burst: 10_000, perSecond: 1000 };

const MessageSchema = v.union([
  v.object({ QMP: v.object({}) }),
  v.object({ id: v.number(), return: v.unknown() }),
  v.object({ id: v.number(), error: v.object({ class: v.string(), desc: v.string() }) }),
  v.object({ event: v.string(), data: v.optional(v.record(v.string(), v.unknown())) }),
]);

function closed(): MonocoreError {
  return new MonocoreError('Aborted', 'the connection to QEMU was closed');
}

/** Connection to one QEMU. Main thread. */
export class QmpClient {
  readonly #lines: LineSocket;
  readonly #pending = new Map<number, Deferred<unknown>>();
  readonly #onEvent: (name: string, data: Record<string, unknown>) => void;
  #nextId = 1;
  #isClosed = false;

  /**
   * Connects to QEMU.
   *
   * @param onEvent receives QEMU's events by name: `SHUTDOWN`, `GUEST_PANICKED`…
   * @param onOffence as in `LineProtocol`
   */
  constructor(
    path: string,
    onEvent: (name: string, data: Record<string, unknown>) => void,
    onOffence: (offence: string) => void,
  ) {
    this.#onEvent = onEvent;
    this.#lines = new LineSocket(path, {
      // Commands are accepted only after this negotiation.
      greeting: '{"execute":"qmp_capabilities","id":0}\n',
      lines: LINES,
      onLine: (line) => this.#onLine(line),
      onOffence,
    });
  }

  /**
   * Executes a command.
   *
   * @throws MonocoreError `CallTimeout` without an answer within 5 s (QEMU hangs or is gone), `Internal` for an error,
   * `Aborted` if the client is closed
   */
  async execute(command: string, words?: Record<string, string>): Promise<unknown> {
    if (this.#isClosed) throw closed();
    const id = this.#nextId++;
    const call = deferred<unknown>();
    this.#pending.set(id, call);
    this.#lines.send(`${JSON.stringify({ execute: command, arguments: words, id })}\n`);
    const expire = (): void =>
      call.reject(new MonocoreError('CallTimeout', `QEMU did not answer ${command} in ${CALL_TIMEOUT_MS} ms`));
    const timer = setTimeout(expire, CALL_TIMEOUT_MS);
    return call.promise.finally(() => {
      clearTimeout(timer);
      this.#pending.delete(id);
    });
  }

  /** Executes a command of QEMU's human monitor; resolves with its output. @throws as {@link execute} */
  executeForPeople(line: string): Promise<unknown> {
    return this.execute('human-monitor-command', { 'command-line': line });
  }

  /**
   * Resolves with true when all events of a dead QEMU have been handled, and with false if there is no connection to
   * it.
   */
  ended(): Promise<boolean> {
    return this.#lines.ended();
  }

  close(): void {
    this.#isClosed = true;
    this.#lines.close();
    for (const { reject } of this.#pending.values()) reject(closed());
  }

  #onLine(line: string): void {
    const message = v.safeParse(v.pipe(v.string(), v.parseJson(), MessageSchema), line);
    if (!message.success) return;
    if ('event' in message.output) this.#onEvent(message.output.event, message.output.data ?? {});
    if (!('id' in message.output)) return;
    const call = this.#pending.get(message.output.id);
    if ('error' in message.output) call?.reject(new MonocoreError('Internal', `QEMU: ${message.output.error.desc}`));
    else call?.resolve(message.output.return);
  }
}
