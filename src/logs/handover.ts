/** What log workers have read and could not write, kept for those that come after them. */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import type { Report } from '../lib/report.ts';
import { type StreamId, streamKey } from '../protocol/log-files/names.ts';
import type { HeldOutput, HeldPlace } from '../protocol/logs.ts';

// Non-blocking: the number may belong to a pipe by now.
const { O_APPEND, O_NONBLOCK, O_RDWR } = constants;

/**
 * How many workers in a row may die of the same bytes, before one of them has told anything of the stream again. After
 * that the bytes are given up: it may be they that workers die of.
 */
const MAX_GIVES = 3;

interface HeldStream {
  readonly held: HeldOutput;
  /** Leads to the file wherever it is moved to; null where it could not be opened any more. */
  readonly fd: number | null;
  gives: number;
}

/** By stream; there is something only while a disk is full, and right after a worker died. Main thread. */
export class HeldStreams {
  readonly #report: Report;
  readonly #streams = new Map<string, HeldStream>();

  constructor(report: Report) {
    this.#report = report;
  }

  /** A worker told this of a stream; `held.place.fd` is its own. Null: everything is written. */
  keep(id: StreamId, held: HeldOutput | null): void {
    // A worker that died has closed its own, but the one from before may lead there, too.
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

  /** What the next worker is to be given; null where nothing is held. It is kept until that worker tells otherwise. */
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

/** Another descriptor of the file that `fd` leads to, see proc(5); null where that is not the one of the place. */
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
