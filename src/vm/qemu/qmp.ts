/** Client of QEMU's machine protocol: JSON objects, a line each, over a unix socket. Source: QEMU's docs/interop/qmp-spec. */
import * as v from 'valibot';
import { MonocoreError } from '../../lib/errors.ts';
import { LineSocket } from '../guest/line-socket.ts';

const CALL_TIMEOUT_MS = 5000;

const MessageSchema = v.union([
  v.object({ QMP: v.object({}) }),
  v.object({ id: v.number(), return: v.unknown() }),
  v.object({ id: v.number(), error: v.object({ class: v.string(), desc: v.string() }) }),
  v.object({ event: v.string(), data: v.optional(v.record(v.string(), v.unknown())) }),
]);

interface PendingCall {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: MonocoreError) => void;
  readonly timer: NodeJS.Timeout;
}

/** A connection to one QEMU. Main thread. */
export class QmpClient {
  readonly #lines: LineSocket;
  readonly #pending = new Map<number, PendingCall>();
  readonly #onEvent: (name: string, data: Record<string, unknown>) => void;
  #nextId = 1;

  /** @param onEvent gets QEMU's events by name: `SHUTDOWN`, `GUEST_PANICKED`… */
  constructor(path: string, onEvent: (name: string, data: Record<string, unknown>) => void = () => {}) {
    this.#onEvent = onEvent;
    this.#lines = new LineSocket(path, {
      // Commands are accepted only after the negotiation.
      onConnect: (send) => send('{"execute":"qmp_capabilities","id":0}\n'),
      onLine: (line) => this.#onLine(line),
    });
  }

  /**
   * Executes a command.
   *
   * @throws MonocoreError `CallTimeout` without an answer in 5 s (QEMU hangs or is gone), `Internal` for an error
   */
  execute(command: string, args: Record<string, unknown> = {}): Promise<unknown> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new MonocoreError('CallTimeout', `QEMU did not answer ${command} in ${CALL_TIMEOUT_MS} ms`));
      }, CALL_TIMEOUT_MS);
      this.#pending.set(id, { resolve, reject, timer });
      this.#lines.send(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
  }

  /** Resolves with true when all events of a dead QEMU were taken, and with false without a connection to it. */
  ended(): Promise<boolean> {
    return this.#lines.ended();
  }

  close(): void {
    this.#lines.close();
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new MonocoreError('Aborted', 'the connection to QEMU was closed'));
    }
    this.#pending.clear();
  }

  #onLine(line: string): void {
    const message = v.safeParse(v.pipe(v.string(), v.parseJson(), MessageSchema), line);
    if (!message.success) return;
    if ('event' in message.output) this.#onEvent(message.output.event, message.output.data ?? {});
    if (!('id' in message.output)) return;
    const call = this.#pending.get(message.output.id);
    if (!call) return;
    this.#pending.delete(message.output.id);
    clearTimeout(call.timer);
    if ('error' in message.output) call.reject(new MonocoreError('Internal', `QEMU: ${message.output.error.desc}`));
    else call.resolve(message.output.return);
  }
}
