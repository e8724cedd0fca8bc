/** Handover between log workers: keeps output that one worker has read but could not write, for its successor. */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import type { Report } from '../lib/report.ts';
import { type StreamId, streamKey } from '../protocol/log-files/names.ts';
import type { HeldOutput, HeldPlace } from '../protocol/logs.ts';

// Non-blocking, because the descriptor number may refer to a pipe by now.
const { O_APPEND, O_NONBLOCK, O_RDWR } = constants;

/**
 * Maximum number of consecutive workers that may die after receiving the same bytes without reporting on the stream.
 * After that the bytes are dropped, because they may be the cause.
 */
const MAX_GIVES = 3;

interface HeldStream {
  readonly held: HeldOutput;
  /** Descriptor that follows the file if it is moved; null if the file could not be opened. */
  readonly fd: number | null;
  gives: number;
}

/** Unwritten output by stream; empty unless a disk is full or a worker has just died. Main thread. */
export class Handover {
  readonly #report: Report;
  readonly #streams = new Map<string, HeldStream>();

  constructor(report: Report) {
    this.#report = report;
  }

  /**
   * Records what a worker reports about a stream; `held.place.fd` is a descriptor of the worker. Null means that
   * everything has been written.
   */
  keep(id: StreamId, held: HeldOutput | null): void {
    // A worker that died has closed its descriptor, but our previous one may refer to the same file.
    const before = this.#streams.get(streamKey(id))?.fd ?? null;
    const fd = held?.place ? (openSame(held.place.fd, held.place) ?? openSame(before, held.place)) : null;
    this.forget(id);
    if (!held) return;
    this.#streams.set(streamKey(id), { held, fd, gives: 0 });
  }

  /** Drops the output of a stream that has ended. */
  forget(id: StreamId): void {
    const key = streamKey(id);
    const fd = this.#streams.get(key)?.fd ?? null;
    if (fd !== null) closeSync(fd);
    this.#streams.delete(key);
  }

  /** Output for the next worker; null if there is none. It is kept until that worker reports on the stream. */
  give(id: StreamId): HeldOutput | null {
    const stream = this.#streams.get(streamKey(id));
    if (!stream) return null;
    const { held, fd, gives } = stream;
    if (gives === MAX_GIVES) {
      this.forget(id);
      const { service, stream: name } = id;
      this.#report(
        'error',
        `${service}: ${countBytes(held)} bytes of its ${name} are lost: log threads crashed while writing them`,
      );
      return null;
    }
    stream.gives += 1;
    return { ...held, place: held.place && { ...held.place, fd } };
  }

  close(): void {
    for (const { fd } of this.#streams.values()) if (fd !== null) closeSync(fd);
    this.#streams.clear();
  }
}

/** Opens the file of `fd` again, see proc(5); null if it is not the expected file. */
function openSame(fd: number | null, { dev, ino }: HeldPlace): number | null {
  if (fd === null) return null;
  let own: number;
  try {
    own = openSync(`/proc/self/fd/${fd}`, O_RDWR | O_APPEND | O_NONBLOCK);
  } catch {
    return null;
  }
  const status = fstatSync(own);
  if (status.dev === dev && status.ino === ino) return own;
  closeSync(own);
  return null;
}

function countBytes({ items, framer, withheld }: HeldOutput): number {
  const begun = framer.type === 'buffering' ? (framer.line?.length ?? 0) : 0;
  const waiting = items.reduce((sum, item) => sum + ('bytes' in item ? item.bytes.length : 0), 0);
  return waiting + begun + withheld.length;
}
