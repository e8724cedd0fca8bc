/** Handover between log workers: keeps what one has read and could not write for the next one. */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import type { Report } from '../lib/report.ts';
import { type StreamId, streamKey } from '../protocol/log-files/names.ts';
import type { HeldOutput, HeldPlace } from '../protocol/logs.ts';

// Non-blocking: the number may belong to a pipe by now.
const { O_APPEND, O_NONBLOCK, O_RDWR } = constants;

/**
 * Workers in a row that may die after they were given the same bytes, without a word about the stream. Then the bytes are
 * given up, because they may be the cause.
 */
const MAX_GIVES = 3;

interface HeldStream {
  readonly held: HeldOutput;
  /** Descriptor that follows the file wherever it is moved; null when it could not be opened. */
  readonly fd: number | null;
  gives: number;
}

/** Held output by stream. It is empty unless a disk is full or a worker has just died. Main thread. */
export class Handover {
  readonly #report: Report;
  readonly #streams = new Map<string, HeldStream>();

  constructor(report: Report) {
    this.#report = report;
  }

  /** Keeps what a worker told of a stream, where `held.place.fd` is the worker's. Null: everything is written. */
  keep(id: StreamId, held: HeldOutput | null): void {
    // A worker that died has closed its descriptor, but the previous one may lead to the same file.
    const before = this.#streams.get(streamKey(id))?.fd ?? null;
    const fd = held?.place ? (openSame(held.place.fd, held.place) ?? openSame(before, held.place)) : null;
    this.forget(id);
    if (!held) return;
    this.#streams.set(streamKey(id), { held, fd, gives: 0 });
  }

  /** The stream has ended. */
  forget(id: StreamId): void {
    const key = streamKey(id);
    const fd = this.#streams.get(key)?.fd ?? null;
    if (fd !== null) closeSync(fd);
    this.#streams.delete(key);
  }

  /** The output for the next worker; null when there is none. It is kept until that worker reports on the stream. */
  give(id: StreamId): HeldOutput | null {
    const stream = this.#streams.get(streamKey(id));
    if (!stream) return null;
    const { held, fd, gives } = stream;
    if (gives === MAX_GIVES) {
      this.forget(id);
      const { service, stream: name } = id;
      this.#report('error', `${service}: ${countBytes(held)} bytes of its ${name} are lost: log threads died of them`);
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

/** Opens the file of `fd` again, see proc(5); null when that is not the file of the place. */
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
