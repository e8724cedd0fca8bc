/** Client of QEMU's machine protocol: JSON objects, a line each, over a unix socket. Source: QEMU's docs/interop/qmp-spec. */
import * as v from 'valibot';
import { MonocoreError } from '../../lib/errors.ts';
import { type Deferred, deferred } from '../../lib/promises.ts';
import type { Rate } from '../../lib/token-bucket.ts';
import { LineSocket } from '../guest/line-socket.ts';

const CALL_TIMEOUT_MS = 5000;

/** Lines of QEMU. On a full disk each request that a guest has under way makes an event, at every try. */
const LINES: Rate = { burst: 10_000, perSecond: 1000 };

const MessageSchema = v.union([
  v.object({ QMP: v.object({}) }),
  v.object({ id: v.number(), return: v.unknown() }),
  v.object({ id: v.number(), error: v.object({ class: v.string(), desc: v.string() }) }),
  v.object({ event: v.string(), data: v.optional(v.record(v.string(), v.unknown())) }),
]);

/** A connection to one QEMU. Main thread. */
export class QmpClient {
  readonly #lines: LineSocket;
  readonly #pending = new Map<number, Deferred<unknown>>();
  readonly #onEvent: (name: string, data: Record<string, unknown>) => void;
  #nextId = 1;

  /**
   * @param onEvent gets QEMU's events by name: `SHUTDOWN`, `GUEST_PANICKED`…
   * @param onOffence called once for a QEMU that floods the connection, or does not read
   */
  constructor(path: string, onEvent: (name: string, data: Record<string, unknown>) => void, onOffence: () => void) {
    this.#onEvent = onEvent;
    this.#lines = new LineSocket(path, {
      // Commands are accepted only after the negotiation.
      greeting: '{"execute":"qmp_capabilities","id":0}\n',
      lines: LINES,
      onLine: (line) => this.#onLine(line),
      onOffence,
    });
  }

  /**
   * Executes a command.
   *
   * @throws MonocoreError `CallTimeout` without an answer in 5 s (QEMU hangs or is gone), `Internal` for an error
   */
  async execute(command: string, words?: Record<string, string>): Promise<unknown> {
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

  /** Executes a command of QEMU's monitor for people; resolves with its text. @throws as {@link execute} */
  executeForPeople(line: string): Promise<unknown> {
    return this.execute('human-monitor-command', { 'command-line': line });
  }

  /** Resolves with true when all events of a dead QEMU were taken, and with false without a connection to it. */
  ended(): Promise<boolean> {
    return this.#lines.ended();
  }

  close(): void {
    this.#lines.close();
    const error = new MonocoreError('Aborted', 'the connection to QEMU was closed');
    for (const { reject } of this.#pending.values()) reject(error);
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
